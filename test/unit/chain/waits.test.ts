import { getEventListeners } from 'node:events'
import { expect } from 'vitest'
import { abort, createSignal, follow, listen, news, notify } from '../../../src/chain/signal.ts'
import { backoffMs, type Opener, untilOpening, wait } from '../../../src/chain/wait.ts'
import { within } from '../../../src/chain/within.ts'
import type { Call } from '../../../src/contract.ts'
import { longestTimerMs } from '../../../src/health/timer.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

// ---- signal

test('a call is ended once, and keeps the first reason', () => {
  const signal = createSignal()
  let ends = 0
  signal.onAbort = () => (ends += 1)
  abort(signal, 'first')
  abort(signal, 'second')
  expect([signal.aborted, signal.reason, ends]).toEqual([true, 'first', 1])
  abort(createSignal(), 'nobody listens')
})

test('a call follows the signal of its caller, before and after it begins, until it lets go', () => {
  const early = createSignal()
  follow(AbortSignal.abort('left'), early)
  expect([early.aborted, early.reason]).toEqual([true, 'left'])
  const controller = new AbortController()
  const signals = [createSignal(), createSignal()]
  const [letGo] = signals.map(signal => follow(controller.signal, signal))
  letGo?.()
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
  controller.abort('left')
  expect(signals.map(({ aborted, reason }) => [aborted, reason])).toEqual([
    [false, undefined],
    [true, 'left'],
  ])
  expect(() => follow(undefined, createSignal())()).not.toThrow()
})

test('news is heard once: at once if it came before, else when it comes', async () => {
  const signal = createSignal()
  notify(signal)
  await news(signal)
  let heard = 0
  const next = news(signal).then(() => (heard += 1))
  await Promise.resolve()
  expect(heard).toBe(0)
  notify(signal)
  await next
  expect([heard, signal.hasNews, signal.onNews]).toEqual([1, false, undefined])
})

test('a listener is called for news that came before it, and no more when it has stopped', () => {
  const signal = createSignal()
  let calls = 0
  const quiet = listen(signal, () => (calls += 1))
  expect(calls).toBe(0)
  notify(signal)
  expect(calls).toBe(1)
  quiet()
  expect([signal.hasNews, signal.onNews]).toEqual([false, undefined])
  notify(signal)
  listen(signal, () => (calls += 1))
  expect(calls).toBe(2)
})

// ---- waits

test('a backoff doubles up to its cap, is drawn below it, and is never nearly zero', () => {
  const settings = { maxRetries: 5, baseDelayMs: 250, maxDelayMs: 1_500 } as Parameters<typeof backoffMs>[0]
  const range = (retry: number) => [0, 0.5, 1].map(chance => backoffMs(settings, retry, () => chance))
  expect([0, 1, 2, 3, 9].map(range)).toEqual([
    [50, 150, 250],
    [50, 275, 500],
    [50, 525, 1_000],
    [50, 775, 1_500],
    [50, 775, 1_500],
  ])
  // where all waits are short, a fifth is the floor
  expect([0, 1].map(chance => backoffMs({ ...settings, baseDelayMs: 100 }, 0, () => chance))).toEqual([20, 100])
})

test('a wait is over after its time, or at once when it is cancelled, and leaves no timer', async ({ clock }) => {
  const [long, short] = [wait(clock, 1_000), wait(clock, 5)]
  long.cancel()
  await clock.advance(5)
  expect([await long.done, await short.done, clock.pending()]).toEqual([false, true, 0])
})

function openersIn(clock: FakeClock, ...untils: readonly number[]) {
  const listeners = new Set<() => void>()
  const given: unknown[][] = []
  const call = { model: 'a' } as Call
  const onOpening = (listener: () => void, ...rest: unknown[]) => {
    given.push(rest)
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  const openers = untils.map(until => ({ health: { onOpening }, call, until, deadline: until + 1 }) as unknown as Opener)
  return { waiting: untilOpening(clock, openers), listeners, given, call }
}

test('a call waits for the first of several targets, and then leaves the queues of all', async ({ clock }) => {
  const { waiting, listeners, given, call } = openersIn(clock, 100, 200)
  expect(given).toEqual([
    [101, call],
    [201, call],
  ])
  await clock.advance(150)
  for (const listener of listeners) listener()
  expect([await waiting.done, listeners.size, clock.pending()]).toEqual([true, 0, 0])
})

test('a call that waits for no target in time, or is cancelled, leaves all queues as well', async ({ clock }) => {
  await clock.advance(1_000)
  const late = openersIn(clock, 1_100, 1_200)
  const left = openersIn(clock, Infinity)
  left.waiting.cancel()
  expect([await left.waiting.done, left.listeners.size]).toEqual([false, 0])
  await clock.advance(199)
  expect(late.listeners.size).toBe(2)
  await clock.advance(1)
  expect([await late.waiting.done, late.listeners.size, clock.pending()]).toEqual([false, 0, 0])
  const past = openersIn(clock, 7)
  await clock.advance(1)
  expect(await past.waiting.done).toBe(false)
})

test('no wait asks for a longer timer than Node can hold', ({ clock }) => {
  const delays: number[] = []
  const watching: FakeClock = {
    ...clock,
    setTimeout: (listener, delayMs) => (delays.push(delayMs), clock.setTimeout(listener, delayMs)),
  }
  openersIn(watching, Infinity).waiting.cancel()
  void within(new Promise(() => {}), { clock: watching, signal: createSignal(), forMs: Infinity })
  expect(delays).toEqual([longestTimerMs, longestTimerMs])
})

// ---- a promise of the caller's

test('F83: a promise of the caller is waited for until its time is over, and its own end counts before', async ({ clock }) => {
  const signal = createSignal()
  const over = within(new Promise(() => {}), { clock, signal, forMs: 100 })
  await clock.advance(99)
  expect(clock.pending()).toBe(1)
  await clock.advance(1)
  expect([await over, signal.onAbort]).toEqual([undefined, undefined])
  expect(await within(Promise.resolve('done'), { clock, signal, forMs: 100 })).toBe('done')
  await expect(within(Promise.reject(new Error('failed')), { clock, signal, forMs: 100 })).rejects.toThrow('failed')
  expect([clock.pending(), signal.onAbort]).toEqual([0, undefined])
})

test('F83: the end of the call ends the wait for a promise of the caller, also when it came before', async ({ clock }) => {
  const signal = createSignal()
  const left = within(new Promise(() => {}), { clock, signal, forMs: 100 })
  abort(signal, new Error('left'))
  await expect(left).rejects.toThrow('left')
  await expect(within(new Promise(() => {}), { clock, signal, forMs: 100 })).rejects.toThrow('left')
  expect(clock.pending()).toBe(0)
})
