import { expect } from 'vitest'
import type { Answer } from '../../../src/answer/answer.ts'
import { createAccount, hold, leftOf } from '../../../src/chain/account.ts'
import { abandonAttempt, abandoned } from '../../../src/chain/attempt.ts'
import type { ProviderEvent } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { attemptAt, openAttempt as open } from '../../helpers/one-attempt.ts'
import { test } from '../../helpers/vitest.ts'

const text = (of: string): ProviderEvent => ({ type: 'text-delta', text: of })
const finish = { type: 'finish', finishReason: 'stop', usage: {} } as const satisfies ProviderEvent
const never = <Result>() => new Promise<Result>(() => {})
const broken = new ProviderError('Broken.', { reason: 'network' })
const after = (clock: FakeClock, ms: number) => new Promise<void>(resolve => clock.setTimeout(resolve, ms))

// ---- how it ends

test('an attempt ends once: with its answer, its failure, or abandoned', async ({ clock }) => {
  const answered = open(clock)
  answered.emit(finish)
  answered.done.resolve()
  expect(await answered.over).toEqual({ text: 'answer' })
  abandonAttempt(answered.run, 'left')
  expect([answered.outcomes, answered.records.length, answered.drops()]).toEqual([['answered'], 1, 0])

  const left = open(clock)
  abandonAttempt(left.run, 'left')
  abandonAttempt(left.run, 'left again')
  left.done.reject(broken)
  expect(await left.over).toBe(abandoned)
  expect([left.outcomes, left.records.length, left.drops()]).toEqual([['abandoned'], 1, 1])
  expect(left.signal.reason).toBe('left')

  const failed = open(clock)
  failed.done.reject(broken)
  expect(await failed.over).toBe(broken)
  expect([failed.outcomes, failed.drops()]).toEqual([[{ failure: broken, charged: 'target' }], 1])
  expect(failed.signal.reason).toBe(broken)
  expect(clock.pending()).toBe(0)
})

test('what comes of an attempt after it was abandoned is not recorded: neither a checked answer nor a bug', async ({ clock }) => {
  const check = Promise.withResolvers<Answer>()
  const checking = open(clock, { fold: { finish: () => check.promise } })
  const buggy = open(clock)
  checking.emit(finish)
  checking.done.resolve()
  for (const { run } of [checking, buggy]) abandonAttempt(run, 'left')
  check.resolve({ text: 'late' } as Answer)
  buggy.done.reject(new Error('a bug'))
  await clock.advance(1)
  for (const { over, outcomes, records } of [checking, buggy]) {
    expect(await over).toBe(abandoned)
    expect([outcomes, records.length]).toEqual([['abandoned'], 1])
  }
})

test('the money that is held for a request is settled with its cost when it ends', async ({ clock }) => {
  const account = createAccount('`budget` of the client', { dollars: 10, perMs: Infinity })
  hold(account, 6)
  const target = { price: { input: 1_000_000, output: 0 } }
  const one = open(clock, { target, hold: { dollars: 6, accounts: [account], clock } })
  one.emit({ ...finish, usage: { inputTokens: 3, outputTokens: 0 } })
  one.done.resolve()
  await one.over
  expect(leftOf(account, 0)).toBe(7)
})

test('a failure that proves nothing about the target is no verdict for health', async ({ clock }) => {
  const { over, outcomes } = attemptAt(clock, never, { deadline: 100 })
  expect(await clock.until(over)).toMatchObject({ reason: 'timeout', clock: 'total' })
  expect(outcomes).toEqual(['abandoned'])
})

test('a provider that throws at once, or throws what is no failure, ends the attempt with its error', async ({ clock }) => {
  const bug = new Error('a bug')
  const throws = attemptAt(clock, () => {
    throw bug
  })
  expect(await throws.over).toBe(bug)
  expect([throws.outcomes, throws.records[0]?.outcome, throws.drops()]).toEqual([['abandoned'], 'failed', 1])
})

test('a provider that ends without a finish has been cut', async ({ clock }) => {
  const cut = open(clock)
  cut.emit({ type: 'headers', status: 200, headers: {}, requestId: 'r1' })
  cut.emit(text('half'))
  cut.done.resolve()
  expect(await cut.over).toMatchObject({ reason: 'truncated', status: 200, requestId: 'r1' })
})

test('after the end, what a provider emits is nothing, and does not hold it up', async ({ clock }) => {
  const late = open(clock)
  late.emit(finish)
  expect([late.emit(text('more')), late.folded]).toEqual([true, [finish]])
  late.done.resolve()
  await late.over
  expect([late.emit(text('more')), late.folded]).toEqual([true, [finish]])
})

// ---- a finish whose body does not end

test('a complete answer needs no end of its body: it has a second, and then it is the answer', async ({ clock }) => {
  const unended = open(clock)
  unended.emit(text('whole'))
  unended.emit(finish)
  expect(await clock.until(unended.over)).toEqual({ text: 'answer' })
  expect([clock.now(), unended.signal.aborted]).toEqual([1_000, true])
  const lost = open(clock)
  lost.emit(finish)
  lost.done.reject(broken)
  expect(await lost.over).toEqual({ text: 'answer' })
})

test('a check that is not over when the call is ends the attempt then, and one that waits for nothing is in time', async ({
  clock,
}) => {
  const finishing = (finished: () => Answer | Promise<Answer>) => {
    const one = open(clock, { deadline: clock.now() + 500, fold: { finish: finished } })
    one.emit(finish)
    return one
  }
  const answer = { text: 'answer' } as Answer
  const whole = finishing(() => answer)
  expect(await clock.until(whole.over)).toBe(answer)
  await clock.advance(10)
  expect([whole.outcomes, whole.records.length]).toEqual([['answered'], 1])
  const checking = finishing(never)
  expect(await clock.until(checking.over)).toMatchObject({ reason: 'timeout', clock: 'total', charged: 'nobody' })
})

// ---- a server that has reported its end in another way

test('what looked like the end is the end when the time for it is over, or what its listener throws', async ({ clock }) => {
  const ends = open(clock)
  ends.emit(text('whole'))
  ends.linger(() => void ends.emit(finish), 300)
  expect(await clock.until(ends.over)).toEqual({ text: 'answer' })
  expect(clock.now()).toBe(300)
  const throws = open(clock)
  throws.emit(text('half'))
  throws.linger(() => {
    throw broken
  }, 300)
  expect(await clock.until(throws.over)).toBe(broken)
})

test('more content, or a server that goes on, means that it was not the end: the attempt waits as before', async ({ clock }) => {
  const failsAfter = async (act: (one: ReturnType<typeof open>) => unknown) => {
    const startedAt = clock.now()
    const one = open(clock)
    act(one)
    const error = (await clock.until(one.over)) as ProviderError
    return [error.clock, clock.now() - startedAt]
  }
  let ends = 0
  const looksOver = (one: ReturnType<typeof open>) => one.linger(() => (ends += 1), 300)
  const goesOn = ({ linger }: ReturnType<typeof open>) => linger(undefined, 0)
  expect(await failsAfter(one => (looksOver(one), one.emit(text('more'))))).toEqual(['chunk', 60_000])
  expect(await failsAfter(one => (one.emit(text('a')), looksOver(one), goesOn(one)))).toEqual(['chunk', 60_000])
  expect(await failsAfter(one => (looksOver(one), goesOn(one)))).toEqual(['firstChunk', 20_000])
  // servers hold the input of a tool call back until it is whole
  const input = { type: 'tool-call-delta', toolCallId: 'c1', toolName: 'weather', inputText: '{' } as const
  expect(await failsAfter(({ emit }) => emit(input))).toEqual(['chunk', 120_000])
  expect(ends).toBe(0)
  // nothing had looked like the end: the clock goes on
  const goesOnLater = async (one: ReturnType<typeof open>) => {
    one.emit(text('a'))
    await after(clock, 5_000)
    goesOn(one)
  }
  expect(await failsAfter(goesOnLater)).toEqual(['chunk', 60_000])
  // it is too late for both after the finish
  const finished = open(clock, { fold: { finish: never }, deadline: clock.now() + 5_000 })
  finished.emit(finish)
  looksOver(finished)
  await clock.until(finished.over)
  expect(ends).toBe(0)
})

// ---- a reader that is behind

test('a reader that is behind stops the clock for chunks, and starts it when it has caught up', async ({ clock }) => {
  let drain = () => {}
  const fold = { emit: () => false, onDrain: (listener: () => void) => void (drain = listener) }
  const behind = (events: readonly ProviderEvent[]) => {
    const one = open(clock, { fold })
    const drained: number[] = []
    one.onDrain(() => drained.push(clock.now()))
    expect(events.map(one.emit)).toEqual(events.map(() => false))
    return { ...one, drained }
  }
  const one = behind([text('a')])
  await clock.advance(300_000)
  drain()
  expect(await clock.until(one.over)).toMatchObject({ clock: 'chunk' })
  expect([clock.now(), one.drained]).toEqual([360_000, [300_000]])
  drain()
  expect(one.drained).toEqual([300_000])
  // but neither after the finish, nor after what looks like the end
  const finished = behind([text('a'), finish])
  drain()
  await clock.until(finished.over)
  expect(clock.now()).toBe(361_000)
  const lingers = behind([text('a')])
  lingers.linger(() => void lingers.emit(finish), 200)
  drain()
  await clock.until(lingers.over)
  expect(clock.now()).toBe(361_200)
})
