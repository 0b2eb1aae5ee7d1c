import { describe, expect, onTestFinished, test } from 'vitest'
import type { HealthFact } from '../../src/health/store.ts'
import { createFactStore, createRedisTime } from '../../src/redis/fact-store.ts'
import { loadRedis } from '../helpers/redis-clients.ts'
import { createRedisServer, redisServer } from '../helpers/redis-server.ts'

const [index, prefix] = ['test:facts', 'test:fact:']
const key = JSON.stringify(['https://api.example', 'digest', 'model'])
const slot = `gate ${key}`
const gate = (forMs: number): HealthFact => ({ key, kind: 'gate', reason: 'rate-limit', forMs })

/** The fake Redis of the unit tests runs no script: each branch of it is met here. */
describe.skipIf(redisServer.isMissing)(`F88: the script that writes a fact, on a real Redis${redisServer.suffix}`, () => {
  async function join() {
    const redis = await createRedisServer()
    onTestFinished(async () => redis.kill())
    const { command, disconnect } = (await loadRedis('ioredis'))(redis.port)
    onTestFinished(disconnect)
    // it stands still, so that two facts can end at the same moment
    const now = performance.now()
    const time = createRedisTime({ now: () => now, setTimeout, clearTimeout: () => {} })
    await time.read(command)
    const store = createFactStore({ index, prefix, time })
    await store.prepare(command)
    expect(store.mayRunScripts()).toBe(true)
    const number = async (...words: [string, ...string[]]) => Number(await command(...words))
    return {
      command,
      write: async (forMs: number, from = 'a') => store.write(command, { from, fact: gate(forMs) }),
      read: async () => (await store.read(command)).map(({ from, fact }) => [from, fact.forMs]),
      valueMs: async () => number('PTTL', `${prefix}${slot}`),
      indexMs: async () => number('PTTL', index),
      end: async () => number('ZSCORE', index, slot),
    }
  }
  const about = (ms: number): unknown => expect.closeTo(ms, -4)

  test('the first fact is written, value and index, each with its time', async () => {
    const { write, read, valueMs, indexMs } = await join()
    expect(await write(600_000)).toBe(1)
    expect(await read()).toEqual([['a', about(600_000)]])
    // the value outlives its index entry, and the index all values
    expect(await valueMs()).toBeGreaterThan(590_000)
    expect(await valueMs()).toBeLessThanOrEqual(601_000)
    expect(await indexMs()).toBeGreaterThan(24 * 3_600_000)
  })

  test('one that ends sooner changes nothing, neither value nor index nor their times', async () => {
    const { command, write, read, valueMs, indexMs, end } = await join()
    await write(600_000)
    const before = await end()
    await command('PEXPIRE', index, '500000')
    expect(await write(60_000, 'b')).toBe(0)
    expect(await read()).toEqual([['a', about(600_000)]])
    expect(await end()).toBe(before)
    expect(await valueMs()).toBeGreaterThan(590_000)
    expect(await indexMs()).toBeLessThanOrEqual(500_000)
  })

  test('one that ends later takes its place, with its own time, and the index lives on', async () => {
    const { command, write, read, valueMs, indexMs, end } = await join()
    await write(60_000)
    const before = await end()
    await command('PEXPIRE', index, '500000')
    expect(await write(600_000, 'b')).toBe(1)
    expect(await read()).toEqual([['b', about(600_000)]])
    expect((await end()) - before).toBeGreaterThan(530_000)
    expect(await valueMs()).toBeGreaterThan(590_000)
    expect(await indexMs()).toBeGreaterThan(24 * 3_600_000)
  })

  test('of two that end at the same moment the later news stays', async () => {
    const { write, read } = await join()
    await write(600_000)
    expect(await write(600_000, 'b')).toBe(1)
    expect(await read()).toEqual([['b', about(600_000)]])
  })

  test('an index entry whose value Redis has evicted keeps nothing out', async () => {
    const { command, write, read } = await join()
    await write(600_000)
    await command('DEL', `${prefix}${slot}`)
    expect(await write(60_000, 'b')).toBe(1)
    expect(await read()).toEqual([['b', about(60_000)]])
  })

  test('foreign data under the name of the index is an error of Redis', async () => {
    const { command, write } = await join()
    await command('SET', index, 'foreign')
    await expect(write(60_000)).rejects.toThrow('WRONGTYPE')
  })
})
