import { expect, test } from 'vitest'
import type { ServerLoad } from '../../../src/contract.ts'
import { watchQueues } from '../../../src/health/server-queues.ts'
import { createWorld } from '../../helpers/health-world.ts'

type Load = (signal: AbortSignal) => Promise<ServerLoad>

function serverOf(name: string, load?: Load) {
  return { provider: { name, stream: async () => {}, ...(load !== undefined && { load }) } }
}

const settled = async () => new Promise(resolve => setImmediate(resolve))

test('the servers of a pool are asked for their load once in two seconds, and none that a call may not go to', () => {
  const world = createWorld()
  const asked: string[] = []
  const named = (name: string) =>
    serverOf(name, async () => {
      asked.push(name)
      return { running: 1, waiting: 2 }
    })
  const [open_, shut] = [named('open'), named('shut')]
  const queues = watchQueues([open_, shut], world)
  for (let call = 0; call < 5; call += 1) queues.refresh(server => server === open_)
  expect(asked).toEqual(['open'])
  world.pass(2_001)
  queues.refresh(() => true)
  expect(asked).toEqual(['open', 'open', 'shut'])
  queues.close()
})

test('a server is as busy as its requests; among equals a fuller cache counts, in tenths and never as much as a request', async () => {
  const usages = [undefined, 0, 0.24, 0.26, 1]
  const servers = usages.map(kvUsage => serverOf('vllm', async () => ({ running: 1, waiting: 2, kvUsage })))
  const queues = watchQueues(servers, createWorld())
  queues.refresh(() => true)
  await settled()
  expect(servers.map(queues.of)).toEqual([3, 3, 3.2, 3.3, 3.9])
  expect(queues.loadOf(servers[2]!)).toEqual({ running: 1, waiting: 2, kvUsage: 0.24 })
  queues.close()
})

test('a server that fails to report has no figures, nor has one that reports none', async () => {
  const world = createWorld()
  let next: () => Promise<ServerLoad> = async () => ({ running: 4, waiting: 0 })
  const server = serverOf('vllm', async () => next())
  const silent = serverOf('llama')
  const queues = watchQueues([server, silent], world)
  const refresh = async () => {
    queues.refresh(() => true)
    await settled()
    world.pass(2_000)
  }
  await refresh()
  expect([server, silent].map(queues.of)).toEqual([4, 0])
  next = async () => Promise.reject(new Error('It cannot be reached.'))
  await refresh()
  expect(queues.of(server)).toBe(0)
  expect(queues.loadOf(server)).toBeUndefined()
  next = async () => ({ running: 4, waiting: 0 })
  await refresh()
  next = async () => undefined as never
  await refresh()
  expect(queues.loadOf(server), 'old figures').toBeUndefined()
  expect(world.timers()).toBe(0)
  watchQueues([silent], world).refresh(() => true)
  expect(world.timers(), 'no server is asked').toBe(0)
})

test('a server that does not report within a second is left, and a question that was answered leaves no timer', async () => {
  const world = createWorld()
  const signals: AbortSignal[] = []
  let isHanging = true
  const load: Load = async signal => {
    signals.push(signal)
    return isHanging ? new Promise<never>(() => {}) : { running: 0, waiting: 0 }
  }
  const queues = watchQueues([serverOf('vllm', load)], world)
  queues.refresh(() => true)
  world.pass(999)
  expect(signals[0]?.aborted).toBe(false)
  world.pass(1)
  expect(signals[0]?.aborted).toBe(true)
  world.pass(999)
  isHanging = false
  queues.refresh(() => true)
  expect(signals, 'two seconds have not passed').toHaveLength(1)
  world.pass(1)
  queues.refresh(() => true)
  await settled()
  expect(signals).toHaveLength(2)
  expect(world.timers()).toBe(0)
  expect(signals[1]?.aborted).toBe(false)
  isHanging = true
  world.pass(2_000)
  queues.refresh(() => true)
  queues.close()
  expect([signals[2]?.aborted, world.timers()]).toEqual([true, 0])
})

test('where no server may be asked, the question that runs goes on', () => {
  const world = createWorld()
  const signals: AbortSignal[] = []
  const queues = watchQueues(
    [
      serverOf('vllm', async signal => {
        signals.push(signal)
        return new Promise<never>(() => {})
      }),
    ],
    { ...world, setTimeout: () => 0 },
  )
  queues.refresh(() => true)
  world.pass(2_000)
  queues.refresh(() => false)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  world.pass(2_000)
  queues.refresh(() => true)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})
