import { expect, test } from 'vitest'
import type { AttemptRecord, ClientEvent } from '../../../src/contract-events.ts'
import { recordEvents } from '../../../src/testing/index.ts'

const settings = {
  ...{ temperature: undefined, topP: undefined, maxOutputTokens: undefined, stopSequences: undefined },
  ...{ seed: undefined, reasoning: undefined, outputType: 'text' as const },
}
const asked = { address: undefined, port: undefined, stream: true, settings }

const of = { callId: 1, provider: 'deepseek', model: 'm', name: undefined, targetIndex: 0, step: 0, attempt: 1 }

const record: AttemptRecord = {
  provider: 'deepseek',
  model: 'm',
  name: undefined,
  targetIndex: 0,
  step: 0,
  attempt: 1,
  outcome: 'answered',
  reason: undefined,
  message: undefined,
  status: 200,
  clock: undefined,
  requestId: undefined,
  waitMs: 0,
  durationMs: 5,
  firstChunkMs: 3,
  chunks: 2,
  usage: undefined,
  continuedFrom: undefined,
  kind: 'first',
  cost: undefined,
  costIsUpperBound: false,
  worstCost: undefined,
  responseId: undefined,
  responseModel: undefined,
  finishReason: 'stop',
}

const callStart: ClientEvent = { at: 0, type: 'call-start', callId: 1, targets: 1, metadata: {}, stream: false, epochOffsetMs: 0 }
const attemptStart: ClientEvent = { at: 1, type: 'attempt-start', ...asked, kind: 'first', ...of }
const attemptEnd: ClientEvent = { at: 2, type: 'attempt-end', ...of, record }
const callEnd: ClientEvent = {
  at: 3,
  type: 'call-end',
  callId: 1,
  stream: false,
  outcome: 'answered',
  durationMs: 3,
  provider: 'deepseek',
  model: 'm',
  targetIndex: 0,
  step: 0,
  attempts: [record],
  usage: undefined,
  cost: undefined,
  metadata: {},
  error: undefined,
}

function recorderOf(...told: readonly ClientEvent[]): ReturnType<typeof recordEvents> {
  const events = recordEvents()
  for (const event of told) events.listener(event)
  return events
}

test('everything is kept in order, and can be asked for by type', () => {
  const events = recorderOf(callStart, attemptStart, attemptEnd, callEnd)
  expect(events.events).toEqual([callStart, attemptStart, attemptEnd, callEnd])
  expect(events.types()).toEqual(['call-start', 'attempt-start', 'attempt-end', 'call-end'])
  expect(events.of('attempt-start').map(event => event.kind)).toEqual(['first'])
  expect(events.attempts()).toEqual([record])
  events.clear()
  expect(events.events).toEqual([])
})

test('when every start has its end nothing is unpaired', () => {
  const events = recorderOf(callStart, attemptStart, attemptEnd, callEnd)
  expect(events.unpaired()).toEqual([])
  events.assertPaired()
})

test.for([
  ['a start without an end', [callStart], ['call 1 started and never ended']],
  [
    'an attempt that outlives its call',
    [callStart, attemptStart, callEnd],
    ['attempt 1 of target 0 (deepseek m) in call 1 started and never ended'],
  ],
  ['an end without a start', [attemptEnd], ['attempt 1 of target 0 (deepseek m) in call 1 ended and never started']],
  ['two ends', [callStart, callEnd, callEnd], ['call 1 ended twice']],
  ['two starts', [callStart, callStart, callEnd], ['call 1 started twice']],
  ['one call again after its end', [callStart, callEnd, callStart, callEnd], ['call 1 started twice']],
] as const)('%s is told', ([, told, problems]) => {
  const events = recorderOf(...told)
  expect(events.unpaired()).toEqual(problems)
  expect(() => events.assertPaired()).toThrow(problems[0])
})

test('the second attempt at a target is another attempt', () => {
  const second = { ...of, attempt: 2 }
  const events = recorderOf(attemptStart, attemptEnd, { ...attemptStart, ...second }, { ...attemptEnd, ...second })
  expect(events.unpaired()).toEqual([])
})
