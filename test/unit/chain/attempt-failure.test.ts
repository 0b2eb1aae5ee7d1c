import { expect } from 'vitest'
import type { Call, ProviderEvent, TimeoutSettings } from '../../../src/contract.ts'
import type { FailureReason } from '../../../src/contract-failures.ts'
import { ProviderError } from '../../../src/errors.ts'
import { defaults } from '../../../src/options.ts'
import { type FakeClock, fakeTarget } from '../../../src/testing/index.ts'
import { attemptAt, type Given } from '../../helpers/one-attempt.ts'
import { test } from '../../helpers/vitest.ts'

type Script = Parameters<typeof fakeTarget>[0]

/** The failure of an attempt at a target with this script, with what the attempt was charged to. */
async function failed(clock: FakeClock, script: Script, given: Given = {}) {
  const { provider } = fakeTarget(script, { clock })
  const { outcomes, over, finished } = attemptAt(clock, provider, given)
  const error = (await clock.until(over)) as ProviderError
  const [outcome] = outcomes
  return { error, charged: typeof outcome === 'object' ? outcome.charged : undefined, finished }
}

/** The limits of an attempt that has only one. */
function only(limits: Partial<TimeoutSettings>): TimeoutSettings {
  const [{ timeout }, no] = [defaults, Infinity]
  return { ...timeout, connectMs: no, headersMs: no, firstChunkMs: no, queuedMs: no, chunkMs: no, totalMs: no, ...limits }
}

// ---- what a failure says

test('a failure names the target and the request, unless its provider has named them', async ({ clock }) => {
  const reason = 'overloaded' as const
  const emitted: ProviderEvent = { type: 'headers', status: 200, headers: {}, requestId: 'of the headers' }
  const fails = (error: ProviderError) =>
    attemptAt(clock, async (_call, { emit }) => {
      emit(emitted)
      throw error
    }).over
  const named = { provider: 'theirs', model: 'theirs-1', requestId: 'of the body' }
  expect(await fails(new ProviderError('Busy.', { reason }))).toMatchObject({
    ...{ provider: 'own', model: 'm', requestId: 'of the headers' },
  })
  expect(await fails(new ProviderError('Busy.', { reason, ...named }))).toMatchObject(named)
})

test('a clock that runs out says how long the wait was, and which option limits it', async ({ clock }) => {
  const silences: readonly [Script, Given, string][] = [
    [{ connectAfterMs: Infinity }, { timeout: only({ connectMs: 300.4 }) }, 'No connection after 300 ms (connectMs).'],
    [{ hang: true }, { timeout: only({ headersMs: 300 }) }, 'No response headers after 300 ms (headersMs).'],
    [
      { text: 'late', firstChunkAfterMs: 999 },
      { firstChunkMs: 300, timeout: only({}) },
      'No content after 300 ms (firstChunkMs).',
    ],
    [
      { keepAlives: 99, keepAliveEveryMs: 100 },
      { timeout: only({ queuedMs: 300 }) },
      'Still queued after 300 ms: only keep-alives came (queuedMs).',
    ],
    [
      { text: ['a', 'b'], chunkEveryMs: 999 },
      { timeout: only({ chunkMs: 300 }) },
      'Silent for 300 ms in the middle of the answer (chunkMs).',
    ],
  ]
  for (const [script, given, message] of silences) {
    const { error } = await failed(clock, script, given)
    expect(error).toMatchObject({ message, reason: 'timeout', clock: /\((\w+)Ms\)/.exec(message)?.[1] })
  }
})

test('an answer whose check never settles fails when the time of the call is over, and that is no fault of the target', async ({
  clock,
}) => {
  const fold = { finish: () => new Promise<never>(() => {}) }
  const { error, charged } = await failed(clock, 'Hello.', { fold, deadline: 9_000 })
  expect(error).toMatchObject({ reason: 'timeout', clock: 'total', charged: 'nobody' })
  expect(error.message).toContain('totalMs) while its answer was being checked: a schema had not finished.')
  expect([charged, clock.now()]).toEqual(['nobody', 9_000])
})

// ---- a connection that breaks after a silence

test('a connection that breaks after ten silent seconds without content is a timeout, because a retry would only wait again', async ({
  clock,
}) => {
  const usage = { inputTokens: 1 }
  const breaks = async (afterMs: number, reason: FailureReason) => {
    const cause = new ProviderError('Broken.', { reason, status: 200, requestId: 'r1', usage })
    const stream = async () => {
      await new Promise<void>(resolve => clock.setTimeout(resolve, afterMs))
      throw cause
    }
    return (await clock.until(attemptAt(clock, stream).over)) as ProviderError
  }
  expect(await breaks(9_999, 'network')).toMatchObject({ reason: 'network' })
  expect(await breaks(10_000, 'server-error')).toMatchObject({ reason: 'server-error' })
  const error = await breaks(10_000, 'truncated')
  expect(error).toMatchObject({ reason: 'timeout', clock: 'firstChunk', status: 200, requestId: 'r1', usage })
  expect(error.message).toBe('Silent for 10000 ms without any content, then the connection broke.')
  expect(error.cause).toMatchObject({ message: 'Broken.', reason: 'truncated' })
  expect(await breaks(10_000, 'network')).toMatchObject({ reason: 'timeout' })
})

test('in the middle of an answer, five silent seconds that are ten times its longest pause make a timeout of a broken connection', async ({
  clock,
}) => {
  const breaks = async (pauseMs: number, silentMs: number) => {
    const stream = async (_call: Call, { emit }: { emit(event: ProviderEvent): boolean }) => {
      const wait = (ms: number) => new Promise<void>(resolve => clock.setTimeout(resolve, ms))
      emit({ type: 'text-delta', text: 'a' })
      await wait(pauseMs)
      emit({ type: 'text-delta', text: 'b' })
      await wait(silentMs)
      throw new ProviderError('Broken.', { reason: 'network' })
    }
    return (await clock.until(attemptAt(clock, stream).over)) as ProviderError
  }
  expect(await breaks(100, 4_999)).toMatchObject({ reason: 'network' })
  expect(await breaks(700, 6_999)).toMatchObject({ reason: 'network' })
  expect(await breaks(700, 7_000)).toMatchObject({ reason: 'timeout', clock: 'chunk' })
  const error = await breaks(100, 5_000)
  expect(error).toMatchObject({ reason: 'timeout', clock: 'chunk' })
  expect(error.message).toBe('Silent for 5000 ms in the middle of the answer, then the connection broke.')
})

test('a reader who pauses the attempt, and a check that blocks the process, are no silence of the target', async ({ clock }) => {
  const paused = attemptAt(
    clock,
    async (_call, { emit }) => {
      emit({ type: 'text-delta', text: 'a' })
      await new Promise<void>(resolve => clock.setTimeout(resolve, 60_000))
      throw new ProviderError('Broken.', { reason: 'network' })
    },
    { fold: { emit: () => false } },
  )
  expect(await clock.until(paused.over)).toMatchObject({ reason: 'network' })

  let blockedMs = 0
  const finish = () => {
    blockedMs = 60_000
    throw new ProviderError('Half a tool call.', { reason: 'truncated' })
  }
  const blocked = { ...clock, now: () => clock.now() + blockedMs }
  const checked = attemptAt(blocked, fakeTarget('whole', { clock }).provider, { fold: { finish } })
  expect(await clock.until(checked.over)).toMatchObject({ reason: 'truncated' })
})

// ---- what it is charged to

const silent: Script = { text: 'late', firstChunkAfterMs: Infinity }

test('a silence that a call had too little time for proves nothing about the target', async ({ clock }) => {
  const chargedAfter = async (deadlineMs: number, given: Given = {}, script: Script = silent) =>
    (await failed(clock, script, { deadline: clock.now() + deadlineMs, ...given })).charged
  // a target whose usual time is not known has two seconds, one that is known a third more than its usual time
  expect(await chargedAfter(1_999)).toBeUndefined()
  expect(await chargedAfter(2_000)).toBe('target')
  expect(await chargedAfter(5_199, { usualMs: 4_000 })).toBeUndefined()
  expect(await chargedAfter(5_200, { usualMs: 4_000 })).toBe('target')
  // unless its own limit is shorter
  expect(await chargedAfter(9_000, { firstChunkMs: 1_000 })).toBe('target')
  // other clocks than those of the call always count, and so does a silence after content
  expect(await chargedAfter(9_000, { timeout: only({ headersMs: 100 }) }, { hang: true })).toBe('target')
  expect(await chargedAfter(100, {}, { text: ['a', 'b'], chunkEveryMs: 999 })).toBe('target')
})

test('a target that thinks in silence has a minute after it has accepted the request (F9)', async ({ clock }) => {
  const chargedAfter = async (deadlineMs: number, given: Given = {}, script: Script = silent) =>
    (await failed(clock, script, { deadline: clock.now() + deadlineMs, firstChunkMs: 300_000, thinks: true, ...given })).charged
  expect(await chargedAfter(59_999)).toBeUndefined()
  expect(await chargedAfter(60_000)).toBe('target')
  expect(await chargedAfter(129_999, { usualMs: 100_000 })).toBeUndefined()
  expect(await chargedAfter(130_000, { usualMs: 100_000 })).toBe('target')
  expect(await chargedAfter(2_000, {}, { hang: true })).toBe('target')
})

test('404 to a request with a prefix is charged to nobody: the server may have no endpoint for prefixes', async ({ clock }) => {
  const prefix = { text: 'Half an', reasoningText: '' }
  const chargedFor = async (error: FailureReason, overrides?: Partial<Call>) =>
    (await failed(clock, { error }, { fold: { overrides } })).charged
  expect(await chargedFor('not-found')).toBe('model')
  expect(await chargedFor('not-found', { maxOutputTokens: 9 })).toBe('model')
  expect(await chargedFor('not-found', { prefix })).toBe('nobody')
  expect(await chargedFor('overloaded', { prefix })).toBe('target')
})

// ---- a request that is sent again, and one that may still run

test('a changed request waits for the limit of requests: it fails, charged to nobody, until one is free', async ({ clock }) => {
  await clock.advance(1_000)
  const again = (againAt: number) => {
    const failure = new ProviderError('Not so.', { reason: 'invalid-request', status: 400 })
    const repeats = async (_call: Call, { emit }: { emit(event: ProviderEvent): boolean }) => {
      emit({ type: 'asked-again', failure })
      emit({ type: 'finish', finishReason: 'stop', usage: {} })
    }
    return attemptAt(clock, repeats, { againAt }).over
  }
  expect(await again(1_000)).toMatchObject({ text: 'answer' })
  expect(await again(1_001)).toMatchObject({ reason: 'rate-limit', retryAfterMs: 1, charged: 'nobody' })
})

test('the server may be at work on a request that failed, unless it never got it or refused it', async ({ clock }) => {
  const isAtWork = async (error: unknown, events: readonly ProviderEvent[] = []) => {
    const stream = async (_call: Call, { emit }: { emit(event: ProviderEvent): boolean }) => {
      for (const event of events) emit(event)
      throw error
    }
    const { over, finished } = attemptAt(clock, stream)
    await over
    return finished
  }
  const status = (code: number | undefined) => new ProviderError('It failed.', { reason: 'server-error', status: code })
  expect(await isAtWork(status(undefined))).toEqual([true])
  expect(await isAtWork(status(undefined), [{ type: 'connecting' }])).toEqual([false])
  expect(await isAtWork(status(undefined), [{ type: 'connecting' }, { type: 'sent' }])).toEqual([true])
  expect(await isAtWork(status(200))).toEqual([true])
  expect(await isAtWork(status(400))).toEqual([false])
  expect(await isAtWork(Object.assign(new Error('a bug'), { status: 500 }))).toEqual([true])
  // an attempt that was ended from here may have been sent meanwhile
  const { finished } = await failed(clock, { connectAfterMs: 999 }, { timeout: only({ connectMs: 100 }) })
  await clock.advance(999)
  expect(finished).toEqual([true])
})

test('the record of a changed request has nothing of the request before it', async ({ clock }) => {
  const wait = (ms: number) => new Promise<void>(resolve => clock.setTimeout(resolve, ms))
  const { over, records } = attemptAt(
    clock,
    async (_call, { emit }) => {
      emit({ type: 'connecting' })
      await wait(10)
      emit({ type: 'headers', status: 200, headers: {}, requestId: 'r1' })
      emit({ type: 'queued' })
      emit({ type: 'response-metadata', id: 'id1', model: 'model1', requestId: undefined })
      emit({ type: 'text-delta', text: 'a' })
      emit({ type: 'text-delta', text: 'b' })
      emit({ type: 'asked-again', failure: new ProviderError('Not so.', { reason: 'invalid-request' }) })
      await wait(25)
      emit({ type: 'text-delta', text: 'c' })
      throw new ProviderError('Broken.', { reason: 'server-error' })
    },
    { kind: 'hedge' },
  )
  await clock.until(over)
  const first = { status: 200, requestId: 'r1', responseId: 'id1', responseModel: 'model1' }
  const none = { status: undefined, requestId: undefined, responseId: undefined, responseModel: undefined }
  expect(records).toMatchObject([
    { ...first, attempt: 1, kind: 'hedge', reason: 'invalid-request', durationMs: 10, firstChunkMs: 10, chunks: 2 },
    { ...none, attempt: 2, kind: 'retry', reason: 'server-error', durationMs: 25, firstChunkMs: 25, chunks: 1 },
  ])
})
