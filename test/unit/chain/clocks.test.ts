import { expect } from 'vitest'
import {
  chunkCame,
  headersCame,
  keepAliveCame,
  pauseClocks,
  startChunks,
  startClocks,
  startTransport,
  stopClocks,
} from '../../../src/chain/clocks.ts'
import { defaults } from '../../../src/options.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const noFirstContent = { firstContentAt: Infinity, callStartedAt: 0 }

function start(clock: FakeClock, over: { deadline?: number; shareMs?: number; firstContentAt?: number } = {}) {
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
