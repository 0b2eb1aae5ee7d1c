import { expect } from 'vitest'
import { requestsIn, sourceOf } from '../../../src/chain/attempt-record.ts'
import type { Candidate, ChainTarget, Walk } from '../../../src/chain/state.ts'
import type { Call, ProviderEvent } from '../../../src/contract.ts'
import { ProviderError, type ProviderErrorOptions } from '../../../src/errors.ts'
import { type FakeClock, fakeTarget } from '../../../src/testing/index.ts'
import { attemptAt, type Given } from '../../helpers/one-attempt.ts'
import { test } from '../../helpers/vitest.ts'

const price = { input: 1, output: 1_000_000 }
const failing = async (clock: FakeClock, events: readonly ProviderEvent[], error: ProviderErrorOptions, given: Given = {}) => {
  const stream = async (_call: Call, { emit }: { emit(event: ProviderEvent): boolean }) => {
    for (const event of events) emit(event)
    throw new ProviderError('It failed.', error)
  }
  const { over, records } = attemptAt(clock, stream, { target: { price }, ...given })
  await over
  return records[0]
}
const headers = (status: number): ProviderEvent => ({ type: 'headers', status, headers: {} })
const text: ProviderEvent = { type: 'text-delta', text: 'a' }

test('a record has the names of the target, what was asked of it, and what it did', async ({ clock }) => {
  const usage = { inputTokens: 1_000_000, outputTokens: 2 }
  const script = { text: ['a', 'b'], firstChunkAfterMs: 30, chunkEveryMs: 5, usage, id: 'id1', model: 'm-2', requestId: 'r1' }
  const prefix = { text: 'So far', reasoningText: '' }
  const { over, records, run } = attemptAt(clock, fakeTarget(script, { clock }).provider, {
    ...{ attempt: 4, kind: 'retry', waitMs: 250, target: { price }, fold: { overrides: { prefix } } },
  })
  await clock.until(over)
  expect(records).toEqual([
    {
      ...{ provider: 'fake', model: 'm', name: 'first', targetIndex: 3, step: 2, attempt: 4, outcome: 'answered' },
      ...{ status: 200, requestId: 'r1', waitMs: 250, durationMs: 35, firstChunkMs: 30, chunks: 2, continuedFrom: 6 },
      ...{
        usage,
        kind: 'retry',
        cost: 3,
        costIsUpperBound: false,
        responseId: 'id1',
        responseModel: 'm-2',
        finishReason: 'stop',
      },
    },
  ])
  expect(run.record).toBe(records[0])
})

test('the failure of a request has its own status, id and usage before those that came before it', async ({ clock }) => {
  const of = { status: 502, requestId: 'of the failure', usage: { inputTokens: 1, outputTokens: 1 } }
  const came: ProviderEvent = { type: 'headers', status: 200, headers: {}, requestId: 'of the headers' }
  expect(await failing(clock, [came], { reason: 'overloaded', ...of })).toMatchObject({ reason: 'overloaded', ...of })
  const none = await failing(clock, [came], { reason: 'overloaded' })
  expect(none).toMatchObject({ status: 200, requestId: 'of the headers', usage: undefined, message: 'It failed.' })
})

test('a request costs nothing if it was not sent or was refused, and may cost all that it can if it failed otherwise', async ({
  clock,
}) => {
  const call = { model: 'm', messages: [], metadata: {}, maxOutputTokens: 7 }
  const costs = async (events: readonly ProviderEvent[], error: ProviderErrorOptions) => {
    const record = await failing(clock, events, error, { call })
    return [record?.cost, record?.worstCost]
  }
  const free = [0, undefined]
  const unknown = [undefined, 7]
  expect(await costs([{ type: 'connecting' }], { reason: 'network' })).toEqual(free)
  expect(await costs([{ type: 'connecting' }, { type: 'sent' }], { reason: 'network' })).toEqual(unknown)
  expect(await costs([], { reason: 'rate-limit', status: 429 })).toEqual(free)
  expect(await costs([headers(429)], { reason: 'rate-limit' })).toEqual(free)
  expect(await costs([headers(200)], { reason: 'rate-limit', status: 429 })).toEqual(free)
  expect(await costs([text], { reason: 'rate-limit', status: 429 })).toEqual(unknown)
  expect(await costs([headers(500)], { reason: 'server-error' })).toEqual(unknown)
})

test('an attempt that ends without a failure is no refusal, whatever its status was', async ({ clock }) => {
  const { over, records, run } = attemptAt(clock, fakeTarget({ status: 429, text: [] }, { clock }).provider, {
    target: { price },
  })
  await clock.until(over)
  expect(run.record).toBe(records[0])
  expect(records[0]).toMatchObject({ outcome: 'answered', cost: undefined })
})

test.for([
  ['chatcmpl-1/a:b', true],
  ['m', true],
  ['x'.repeat(128), true],
  ['x'.repeat(129), false],
  ['a piece of the prompt', false],
  ['two\nlines', false],
  ['\u4f60\u597d', false],
] as const)(
  'of what a server says as id and model only what is like one is recorded: %j, %s',
  async ([said, isName], { clock }) => {
    const record = await failing(clock, [{ type: 'response-metadata', id: said, model: said }], { reason: 'truncated' })
    const expected = isName ? said : undefined
    expect([record?.responseId, record?.responseModel]).toEqual([expected, expected])
  },
)

test('the hour of the request decides its price, at the time of day of the client', async ({ clock }) => {
  const night = { ...price, rules: [{ hoursUtc: [2, 3] as const, input: 5, output: 0 }] }
  const costs = async (hours: number, firstChunkAfterMs = 0) => {
    const usage = { inputTokens: 1_000_000, outputTokens: 0 }
    const target = { price: night, epochOffsetMs: () => hours * 3_600_000 }
    const { provider } = fakeTarget({ text: 'a', usage, firstChunkAfterMs }, { clock })
    const { over, records } = attemptAt(clock, provider, { target })
    await clock.until(over)
    return records[0]?.cost
  }
  await clock.advance(1_800_000)
  expect([await costs(1), await costs(2), await costs(3)]).toEqual([1, 5, 1])
  // it began a few seconds before the hour, and ended in it
  expect(await costs(1.499, 9_000)).toBe(5)
})

test('events name the target, the call and the request, and are made only where somebody listens', async ({ clock }) => {
  const script = { keepAlives: 2, keepAliveEveryMs: 50, text: 'a' }
  const { over, told, records } = attemptAt(clock, fakeTarget(script, { clock }).provider)
  await clock.until(over)
  const names = { provider: 'fake', model: 'm', name: 'first', targetIndex: 3, step: 2, callId: 7, attempt: 1 }
  expect(told.slice(1)).toEqual([
    { ...names, type: 'attempt-queued', at: 50 },
    { ...names, type: 'attempt-end', at: 100, record: records[0] },
  ])
  const unheard = attemptAt(clock, fakeTarget(script, { clock }).provider, { tell: undefined })
  expect(await clock.until(unheard.over)).toMatchObject({ text: 'answer' })
})

test('a sink is told which request of the call it is: skipped targets are none, those that run are', () => {
  const record = (attempt: number) => ({ record: { attempt } }) as Walk['trail'][number]
  expect(requestsIn([])).toBe(0)
  expect(requestsIn([record(0), record(1), record(2), { record: undefined }])).toBe(3)
  const target = { provider: { name: 'own' }, model: 'm', name: undefined, targetIndex: 1, step: 0 } as ChainTarget
  expect(sourceOf({ target, asked: 2 } as Candidate, 5)).toEqual({
    ...{ provider: target.provider, model: 'm', targetIndex: 1, step: 0, attempt: 2, requests: 5 },
  })
})
