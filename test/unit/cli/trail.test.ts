import { expect, test } from 'vitest'
import type { AttemptRecord, ClientEvent } from '../../../src/contract-events.ts'
import { detailOf, failureWords, lineOf, writeTrail } from '../../../src/cli/trail.ts'
import { screen } from '../../helpers/screen.ts'

const settings = {
  ...{ temperature: undefined, topP: undefined, maxOutputTokens: undefined, stopSequences: undefined },
  ...{ seed: undefined, reasoning: undefined, outputType: 'text' as const },
}
const asked = { address: undefined, port: undefined, stream: true, settings }

const of = { callId: 1, provider: 'deepseek', model: 'm', name: undefined, targetIndex: 0, step: 0, attempt: 1 }
const failure = { ...of, outcome: 'failed', reason: 'overloaded', status: 503, message: 'busy\nnow', durationMs: 12 }
const record = failure as unknown as AttemptRecord

test.each([
  [{ reason: 'overloaded', status: 503, clock: undefined }, '503 overloaded'],
  [{ reason: 'overloaded', status: 200, clock: undefined }, 'overloaded (in a 200)'],
  [{ reason: 'timeout', status: 200, clock: 'firstChunk' }, 'timeout (firstChunk)'],
  [{ reason: 'network', status: undefined, clock: undefined }, 'network'],
] as const)('%j is said in a word or two', (given, words) => {
  expect(failureWords(given)).toBe(words)
})

test('what a server says of a refused key is not repeated: it may quote the key', () => {
  expect(detailOf({ reason: 'authentication', status: 401, message: 'Your api key: ****1234 is invalid' })).toBe(
    'the key was refused',
  )
  expect(detailOf({ reason: 'authentication', status: undefined, message: 'There is no key' })).toBe('There is no key')
})

test('an attempt that answered needs no line: its commit had one', () => {
  expect(lineOf({ type: 'attempt-end', at: 0, ...of, record: { ...record, outcome: 'answered' } })).toBeUndefined()
})

test('the trail tells when, who and what, each in one line', () => {
  const terminal = screen()
  const events: readonly ClientEvent[] = [
    { type: 'call-start', at: 500, callId: 1, targets: 1, metadata: {}, stream: false, epochOffsetMs: 0 },
    { type: 'attempt-start', at: 500, ...asked, kind: 'first', ...of },
    { type: 'attempt-end', at: 512, record, ...of },
    { type: 'target-skip', at: 512, ...of, reason: 'overloaded', message: 'not again' },
    { type: 'commit', at: 520, ...of, provider: 'llama', durationMs: 20 },
  ]
  const listener = writeTrail(terminal)
  for (const event of events) listener(event)
  expect(terminal.text()).toBe(
    [
      '     0 ms  deepseek m                asked',
      '    12 ms  deepseek m                503 overloaded after 12 ms: busy now',
      '    20 ms  llama m                   first content after 20 ms',
      '',
    ].join('\n'),
  )
})
