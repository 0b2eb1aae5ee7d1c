import { expect } from 'vitest'
import {
  awaitDeadline,
  chunkCame,
  finishCame,
  headersCame,
  keepAliveCame,
  morePatience,
  pauseClocks,
  restartClocks,
  startChunks,
  startClocks,
  startTransport,
  stopClocks,
  waitForFirstChunk,
} from '../../../src/chain/clocks.ts'
import type { ClocksOptions } from '../../../src/chain/clocks.ts'
import { defaults } from '../../../src/options.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const noFirstContent = { firstContentAt: Infinity, callStartedAt: 0 }

function start(clock: FakeClock, over: Partial<ClocksOptions> = {}) {
  const fired: string[] = []
  const clocks = startClocks(
    { clock, timeout: defaults.timeout, deadline: Infinity, shareMs: Infinity, ...noFirstContent, ...over },
    (name, afterMs) => void fired.push(`${name} ${afterMs} at ${clock.now()}`),
  )
  return { clocks, fired }
}

test('each phase has its own clock: connect, headers, first chunk', async ({ clock }) => {
  const one = start(clock)
  startTransport(one.clocks, 'connect')
  const other = start(clock)
  startTransport(other.clocks, 'connect')
  await clock.advance(1_000)
  startTransport(other.clocks, 'headers')
  const third = start(clock)
  startTransport(third.clocks, 'headers')
  headersCame(third.clocks)
  await clock.advance(60_000)
  expect([...one.fired, ...other.fired, ...third.fired]).toEqual([
    'connect 5000 at 5000',
    'headers 15000 at 16000',
    'firstChunk 20000 at 21000',
  ])
  expect(clock.pending()).toBe(0)
})

test('keep-alives hold the first-chunk clock off, up to the queued clock, and say nothing once content came (R70, R86)', async ({
  clock,
}) => {
  const queued = start(clock)
  const silent = start(clock)
  startChunks(silent.clocks)
  for (let second = 0; second < 700; second += 1) {
    keepAliveCame(queued.clocks)
    keepAliveCame(silent.clocks)
    await clock.advance(1_000)
  }
  expect(queued.fired).toEqual(['queued 600000 at 600000'])
  expect(silent.fired).toEqual(['chunk 60000 at 60000'])
})

test('a chunk costs no timer, a paused reader stops the clock, and a stop leaves nothing', async ({ clock }) => {
  const { clocks, fired } = start(clock)
  startChunks(clocks)
  for (let chunk = 0; chunk < 100; chunk += 1) {
    await clock.advance(59_000)
    chunkCame(clocks, clock.now(), false)
    expect(clock.pending()).toBeLessThanOrEqual(1)
  }
  pauseClocks(clocks)
  await clock.advance(86_400_000)
  expect(fired).toEqual([])
  startChunks(clocks)
  stopClocks(clocks)
  await clock.advance(86_400_000)
  expect(fired).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('no timer is ever longer than Node can hold, and a far deadline is still kept', async ({ clock }) => {
  const days = 86_400_000
  const delays: number[] = []
  const watching: FakeClock = {
    ...clock,
    setTimeout: (listener, delayMs) => (delays.push(delayMs), clock.setTimeout(listener, delayMs)),
  }
  const timeout = {
    connectMs: Infinity,
    headersMs: Infinity,
    firstChunkMs: Infinity,
    queuedMs: Infinity,
    chunkMs: Infinity,
    totalMs: Infinity,
  }
  const fired: string[] = []
  startClocks(
    { clock: watching, timeout, deadline: 60 * days, shareMs: Infinity, ...noFirstContent },
    name => void fired.push(name),
  )
  await clock.advance(59 * days)
  expect(fired).toEqual([])
  await clock.advance(2 * days)
  expect(fired).toEqual(['total'])
  expect(Math.max(...delays)).toBeLessThanOrEqual(2 ** 31 - 1)
})

test('half of the time is the share of one, also while it is queued', async ({ clock }) => {
  const { clocks, fired } = start(clock, { shareMs: 7_000, deadline: 14_000 })
  for (let second = 0; second < 10; second += 1) {
    keepAliveCame(clocks)
    await clock.advance(1_000)
  }
  expect(fired).toEqual(['queued 7000 at 7000'])
})

test('the first content of the call has a clock that counts from the call, and content ends it (F37)', async ({ clock }) => {
  await clock.advance(1_000)
  const { fired } = start(clock, { firstContentAt: 5_000 })
  await clock.advance(10_000)
  expect(fired).toEqual(['firstContent 5000 at 5000'])

  const other = start(clock, { firstContentAt: clock.now() + 5_000 })
  await clock.advance(4_000)
  startChunks(other.clocks)
  await clock.advance(30_000)
  expect(other.fired).toEqual([])
  stopClocks(other.clocks)
})

test('an answer in one piece has longer clocks for its headers and its content, but no more than the share of the target', async ({
  clock,
}) => {
  const whole = { headersMs: 300_000, firstChunkMs: 200_000 }
  const headers = start(clock)
  morePatience(headers.clocks, whole)
  startTransport(headers.clocks, 'headers')
  const content = start(clock)
  morePatience(content.clocks, whole)
  const shared = start(clock, { shareMs: 30_000 })
  morePatience(shared.clocks, whole)
  const shorter = start(clock)
  morePatience(shorter.clocks, { headersMs: 1, firstChunkMs: 1 })
  const neither = start(clock)
  morePatience(neither.clocks, {})
  const paused = start(clock)
  pauseClocks(paused.clocks)
  morePatience(paused.clocks, whole)
  await clock.advance(400_000)
  expect(headers.fired).toEqual(['firstChunk 200000 at 200000'])
  expect(content.fired).toEqual(['firstChunk 200000 at 200000'])
  expect(shared.fired).toEqual(['firstChunk 30000 at 30000'])
  expect([...shorter.fired, ...neither.fired]).toEqual(['firstChunk 20000 at 20000', 'firstChunk 20000 at 20000'])
  expect(paused.fired).toEqual([])
  const onlyHeaders = start(clock, { firstContentAt: Infinity })
  pauseClocks(onlyHeaders.clocks)
  morePatience(onlyHeaders.clocks, whole)
  startTransport(onlyHeaders.clocks, 'headers')
  await clock.advance(400_000)
  expect(onlyHeaders.fired).toEqual(['headers 300000 at 700000'])
})

test('a clock that begins late in an attempt is kept to the millisecond, with one timer', async ({ clock }) => {
  const connecting = start(clock)
  const queued = start(clock, { timeout: { ...defaults.timeout, queuedMs: 10_000 } })
  await clock.advance(2_000)
  startTransport(connecting.clocks, 'connect')
  keepAliveCame(queued.clocks)
  expect(clock.pending()).toBe(2)
  await clock.advance(60_000)
  expect([...connecting.fired, ...queued.fired]).toEqual(['connect 5000 at 7000', 'queued 10000 at 10000'])
})

test('of two clocks that are due together the more specific one ends the attempt', async ({ clock }) => {
  const { timeout } = defaults
  const first = start(clock, { deadline: 5_000, firstContentAt: 5_000 })
  const queued = start(clock, { deadline: 7_000, firstContentAt: 7_000, timeout: { ...timeout, queuedMs: 7_000 } })
  const content = start(clock, { deadline: 20_000, firstContentAt: 20_000 })
  const connecting = start(clock, { deadline: 5_000 })
  startTransport(connecting.clocks, 'connect')
  keepAliveCame(queued.clocks)
  await clock.advance(30_000)
  expect([first, queued, content, connecting].flatMap(({ fired }) => fired)).toEqual([
    ...['firstContent 5000 at 5000', 'queued 7000 at 7000', 'firstChunk 20000 at 20000', 'connect 5000 at 5000'],
  ])
})

test('another request in the same attempt has the whole time again, and is not queued any more', async ({ clock }) => {
  const { clocks, fired } = start(clock, { deadline: 900_000 })
  startTransport(clocks, 'headers')
  keepAliveCame(clocks)
  await clock.advance(14_000)
  restartClocks(clocks)
  await clock.advance(19_999)
  expect(fired).toEqual([])
  await clock.advance(1)
  expect(fired).toEqual(['firstChunk 20000 at 34000'])
})

test('when the expected end does not come, content is waited for as at the beginning', async ({ clock }) => {
  const { clocks, fired } = start(clock, { firstChunkMs: 8_000, shareMs: 30_000 })
  startChunks(clocks)
  await clock.advance(1_000)
  waitForFirstChunk(clocks)
  await clock.advance(30_000)
  const shared = start(clock, { firstChunkMs: 8_000, shareMs: 6_000 })
  startChunks(shared.clocks)
  waitForFirstChunk(shared.clocks)
  await clock.advance(30_000)
  expect([...fired, ...shared.fired]).toEqual(['firstChunk 8000 at 8000', 'firstChunk 6000 at 37000'])
})

test('a provider that has emitted its finish has a second to end, and a validation has the time of the call', async ({
  clock,
}) => {
  const ending = start(clock)
  startChunks(ending.clocks)
  chunkCame(ending.clocks, clock.now(), true)
  finishCame(ending.clocks)
  const validated = start(clock, { deadline: 50_000 })
  const forGood = start(clock)
  for (const { clocks } of [validated, forGood]) finishCame(clocks)
  await clock.advance(1_000)
  // the provider has not ended, and the answer is still being validated
  for (const { clocks } of [validated, forGood]) awaitDeadline(clocks)
  await clock.advance(100_000)
  const ended = 'chunk 1000 at 1000'
  expect([...ending.fired, ...validated.fired, ...forGood.fired]).toEqual([ended, ended, 'total 50000 at 50000', ended])
  expect(clock.pending()).toBe(0)
})

test('the longest silence between two chunks is known, and the input of a tool call may be silent twice as long', async ({
  clock,
}) => {
  const { clocks, fired } = start(clock)
  startChunks(clocks)
  for (const gap of [100, 300, 200]) {
    await clock.advance(gap)
    chunkCame(clocks, clock.now(), true)
  }
  expect(clocks.longestGapMs).toBe(300)
  await clock.advance(200_000)
  expect(fired).toEqual(['chunk 120000 at 120600'])
})

test('a short answer sets one timer in all, and a clock that starts after the end sets none', async ({ clock }) => {
  let timers = 0
  const counting: FakeClock = { ...clock, setTimeout: (...given) => (timers++, clock.setTimeout(...given)) }
  const { clocks } = start(counting)
  startTransport(clocks, 'connect')
  await clock.advance(10)
  startTransport(clocks, 'headers')
  headersCame(clocks)
  startChunks(clocks)
  await clock.advance(500)
  finishCame(clocks)
  expect(timers).toBe(1)
  stopClocks(clocks)
  startChunks(clocks)
  expect([timers, clock.pending()]).toEqual([1, 0])
})

test('where a timer fires a little early, the time that it was set for counts', async ({ clock }) => {
  const early: FakeClock = { ...clock, setTimeout: (listener, delayMs) => clock.setTimeout(listener, Math.max(0, delayMs - 1)) }
  const { fired } = start(early, { deadline: 500 })
  await clock.advance(400_000)
  expect(fired).toEqual(['total 499 at 499'])
})
