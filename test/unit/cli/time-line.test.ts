import { expect, test } from 'vitest'
import type { AttemptRecord, ClientEvent } from '../../../src/contract-events.ts'
import { type Bar, drawBar, drawTimeLine } from '../../../src/cli/time-line.ts'
import { screen } from '../../helpers/screen.ts'

const plain = (_tone: string, text: string) => text
const scale = { msPerCell: 100, cells: 10 }
const bar: Bar = { kind: 'request', who: 'deepseek', tone: 'bad', startMs: 200, endMs: 600, note: '503' }
const lane = (changed: Partial<Bar>) => drawBar({ ...bar, ...changed }, scale, plain).slice(14, 24)

test.each([
  ['stands where its time is', {}, '  ████    '],
  ['shows the queue', { queuedMs: 400 }, '  ██░░    '],
  ['is seen even when it took no time', { endMs: 200 }, '  █       '],
  ['tells that it goes on beyond the edge', { endMs: 9_000 }, '  ███████›'],
  ['is seen when it begins beyond the edge', { startMs: 5_000, endMs: 6_000 }, '         ›'],
  ['is dotted for a wait', { kind: 'wait' as const }, '  ····    '],
])('a bar %s', (_claim, changed, expected) => {
  expect(lane(changed)).toBe(expected)
})

const settings = {
  ...{ temperature: undefined, topP: undefined, maxOutputTokens: undefined, stopSequences: undefined },
  ...{ seed: undefined, reasoning: undefined, outputType: 'text' as const },
}
const asked = { address: undefined, port: undefined, stream: true, settings }

const of = { callId: 1, provider: 'deepseek', model: 'm', name: undefined, targetIndex: 0, step: 0, attempt: 1 }
const record = { ...of, outcome: 'failed', reason: 'overloaded', status: 503 } as unknown as AttemptRecord
const story: readonly ClientEvent[] = [
  { type: 'call-start', at: 1_000, callId: 1, targets: 2, metadata: {}, stream: false, epochOffsetMs: 0 },
  { type: 'attempt-start', at: 1_000, ...asked, kind: 'first', ...of },
  { type: 'attempt-queued', at: 1_100, ...of },
  { type: 'attempt-end', at: 1_900, record, ...of },
  { type: 'wait', at: 1_900, waitMs: 100, reason: 'overloaded', ...of },
  { type: 'attempt-start', at: 2_000, ...asked, kind: 'retry', ...of, attempt: 2 },
  { type: 'attempt-end', at: 2_050, record: { ...record, outcome: 'abandoned' }, ...of },
  { type: 'target-skip', at: 2_050, ...of, reason: 'overloaded', message: 'again' },
  { type: 'target-skip', at: 2_050, ...of, targetIndex: 1, provider: 'openai', reason: 'rate-limit', message: 'gated' },
]

test('a time line in a file has one line for each request, wait and skip, with the times of the events', () => {
  const terminal = screen({ columns: 100 })
  const timeLine = drawTimeLine(terminal, { msPerCell: 50, until: 'answer' })
  for (const event of story) timeLine.onEvent(event)
  timeLine.close()
  const lines = terminal
    .text()
    .trimEnd()
    .split('\n')
    .map(line => line.replace(/\s+/g, ' ').trim())
  expect(lines).toEqual([
    'deepseek ██░░░░░░░░░░░░░░░░ 900 ms queued, then 503 overloaded',
    '·· 100 ms before deepseek is asked again',
    'deepseek █ 50 ms abandoned',
    'openai ╳ not asked (rate-limit, known from an earlier call)',
  ])
})

test('no line of a time line runs over the edge of a screen', () => {
  const terminal = screen({ isTTY: true, columns: 80 }, { NO_COLOR: '1' })
  const timeLine = drawTimeLine(terminal, { msPerCell: 50, until: 'answer' })
  for (const event of story) timeLine.onEvent(event)
  timeLine.close()
  const drawn = terminal.text().replaceAll('\r\x1b[2K', '\n').split('\n')
  expect(Math.max(...drawn.map(line => line.length))).toBeLessThanOrEqual(80)
})
