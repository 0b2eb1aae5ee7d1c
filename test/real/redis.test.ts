import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis as IoRedis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createClient } from 'unbusy'
import { answer, fakeTarget, startServer } from 'unbusy/testing'
import { redisHealth } from 'unbusy/redis'
import type { HealthFact, StoreMessage } from '../../src/health/store.ts'
import { type FleetProcess, type FleetSettings, startFleetProcess } from '../helpers/fleet.ts'
import { peers } from '../helpers/peers.ts'
import { loadRedis, redisLibraries, type RedisLibrary } from '../helpers/redis-clients.ts'
import { createRedisServer, redisServer } from '../helpers/redis-server.ts'

const fives = peers('redis-5')
const libraries = redisLibraries.filter(name => !name.endsWith('-5') || !fives.isMissing)

const eventually = async (check: () => unknown) => vi.waitFor(check, { timeout: 20_000, interval: 10 })

const processes: FleetProcess[] = []
beforeAll(async () => {
  if (!redisServer.isMissing) processes.push(...(await Promise.all(Array.from({ length: 4 }, startFleetProcess))))
})
afterAll(async () => void (await Promise.all(processes.map(async each => each.end()))))

test.skipIf(fives.isMissing)(`version 5 of the packages is tried too${fives.suffix}`, () => {
  expect(libraries).toContain('ioredis-5')
})

describe.skipIf(redisServer.isMissing).each(libraries)(
  `a fleet of four processes, with the package %s${redisServer.suffix}`,
  library => {
    test('the first 503s met by one keep the others away', async ({ annotate }) => {
      const { first } = await startFleet({ library, openMs: 60_000 })
      const [one, ...others] = processes
      while (!one!.has('open')) await one!.ask()
      await eventually(() => expect(others.every(each => each.has('open'))).toBe(true))
      const openedAt = one!.events.find(({ type }) => type === 'open')!.at
      const delays = others.map(({ events }) => events.find(({ type }) => type === 'open')!.at - openedAt)
      await annotate(`the others knew after ${delays.join(', ')} ms`)
      const met = first.served()
      const calls = await Promise.all(others.map(async each => each.ask()))
      expect(calls.map(({ provider }) => provider)).toEqual(['second', 'second', 'second'])
      expect(first.served()).toBe(met)
      // the promise is 200 ms for each; a busy machine may be late with one of three processes, but not with all
      expect(Math.min(...delays)).toBeLessThan(200)
    })

    test('one probe at a time in the whole fleet, and all return when the target is well (R107)', async ({ annotate }) => {
      const { first } = await startFleet({ library, openMs: 300 })
      const runs = processes.map(each => each.run())
      await eventually(() => expect(processes.every(each => each.has('open'))).toBe(true))
      // calls that were under way when it opened are no probes
      await eventually(() => expect(first.watchWhenIdle()).toBe(true))
      const probes = () => processes.flatMap(({ events }) => events.filter(({ type }) => type === 'probe')).length
      await eventually(() => expect(probes()).toBeGreaterThan(6))
      expect(first.mostAtOnce()).toBe(1)
      await annotate(`${probes()} probes by ${processes.filter(each => each.has('probe')).length} of 4 processes`)
      first.heal()
      await eventually(() => expect(processes.every(each => each.events.at(-1)?.type === 'first')).toBe(true))
      const calls = (await Promise.all(runs.map(async run => run.stop()))).flat()
      expect(calls.filter(({ provider }) => provider.startsWith('none'))).toEqual([])
      for (const each of processes) expect(await each.ask()).toMatchObject({ provider: 'first' })
    })

    test.each(['killed', 'frozen'] as const)(
      'Redis %s mid-run: no call fails and none is slowed; one warning, and recovery by itself (R112, R117)',
      async how => {
        const { redis, settings } = await startFleet({ library, openMs: 60_000, isWell: true })
        const runs = processes.map(each => each.run())
        await delay(300)
        if (how === 'killed') await redis.kill()
        else redis.freeze()
        // a frozen Redis is noticed by the next heartbeat
        await eventually(() => expect(processes.every(each => each.has('lost'))).toBe(true))
        await delay(300)
        if (how === 'killed') await redis.up()
        else redis.thaw()
        await eventually(() => expect(processes.every(each => each.has('back'))).toBe(true))
        const calls = (await Promise.all(runs.map(async run => run.stop()))).flat()
        expect(calls.length).toBeGreaterThan(20)
        expect(new Set(calls.map(({ provider }) => provider))).toEqual(new Set(['first']))
        // a call that had waited for a command would have waited for its time limit
        expect(Math.max(...calls.map(({ durationMs }) => durationMs))).toBeLessThan(settings.commandTimeoutMs)
        for (const { events } of processes) {
          expect(events.filter(({ type }) => type === 'lost' || type === 'back').map(({ type }) => type)).toEqual([
            'lost',
            'back',
          ])
        }
      },
    )
  },
)

describe.skipIf(redisServer.isMissing).each(libraries)(
  `one store on a real Redis, with the package %s${redisServer.suffix}`,
  library => {
    const key = JSON.stringify(['https://api.example', 'digest', 'model'])
    const gate: HealthFact = { key, kind: 'gate', reason: 'rate-limit', forMs: 60_000 }
    const limit: HealthFact = { key, kind: 'limit', reason: 'rate-limit', forMs: 0, limit: 9 }

    test('facts, leases and shares work, and a late process reads all of it', async () => {
      const redis = await runRedis()
      const [a, b] = await joinTwo(library, redis.port)
      a.store.publish(gate)
      a.store.publish(limit)
      // a little less is left when it was told before Redis was there
      await eventually(() => expect(b.heard).toContainEqual({ ...gate, forMs: expect.closeTo(60_000, -4) }))
      await eventually(() => expect(b.heard).toContainEqual({ ...limit, limit: 4 }))
      expect(await a.store.lease(key, 5_000)).toBe(true)
      expect(await b.store.lease(key, 5_000)).toBe(false)
      expect(await a.store.lease(key, 5_000)).toBe(true)
      const late = await joinStore(library, redis.port)
      await eventually(() => expect(late.heard).toContainEqual({ ...limit, limit: 3 }))
      const read = late.heard.find(message => 'forMs' in message && message.kind === 'gate') as HealthFact | undefined
      expect(read?.forMs).toBeGreaterThan(40_000)
      expect(read?.forMs).toBeLessThanOrEqual(61_000)
      await eventually(() => expect(a.heard).toContainEqual({ ...limit, limit: 3 }))
      expect(await late.keys()).toSatisfy((keys: readonly string[]) => keys.every(name => name.startsWith('unbusy:')))
    })

    test('F88: of two gates told in one moment the longer one stays, for late processes too', async () => {
      const redis = await runRedis()
      const [a, b] = await joinTwo(library, redis.port)
      const [one, other] = [key, key.replace('model', 'other')]
      a.store.publish({ ...gate, key: one })
      b.store.publish({ ...gate, key: one, forMs: 1_000 })
      b.store.publish({ ...gate, key: other, forMs: 1_000 })
      a.store.publish({ ...gate, key: other })
      // a fact is written right after it is told, on the same connection
      for (const { heard } of [a, b]) await eventually(() => expect(heard.map(({ kind }) => kind)).toEqual(['gate', 'gate']))
      const ends = async (name: string) => Number(await a.raw('PTTL', `unbusy:fact:gate ${name}`))
      expect(await ends(one)).toBeGreaterThan(40_000)
      expect(await ends(other)).toBeGreaterThan(40_000)
      const late = await joinStore(library, redis.port)
      await eventually(() => expect(late.heard.filter(message => 'forMs' in message && message.forMs > 40_000)).toHaveLength(2))
    })

    test('configured limits are divided among the processes, and the division holds while Redis is down', async () => {
      const redis = await runRedis()
      const load = await loadRedis(library)
      const clients = [0, 1].map(() => {
        const { client: connection, disconnect } = load(redis.port)
        const identity = { origin: 'https://api.example', credential: 'digest' }
        const target = fakeTarget('Hi.', { identity, limits: { concurrency: 6, requestsPerMinute: 9 } })
        const client = createClient({ chain: [target], health: redisHealth(connection) })
        onTestFinished(async () => {
          await client.close()
          disconnect()
        })
        return client
      })
      const limits = () => clients.map(client => client.health()[0]?.limits)
      const halves = { concurrency: { limit: 3, used: 0 }, requestsPerMinute: { limit: 4, used: 0 } }
      await eventually(() => expect(limits()).toMatchObject([halves, halves]))
      await redis.kill()
      for (let call = 0; call < 4; call += 1) await clients[0]!.generate('Hi')
      const over = await clients[0]!.generate({ prompt: 'Hi', timeout: { totalMs: 2_000 } }).catch((error: unknown) => error)
      expect(over).toMatchObject({ name: 'ChainExhaustedError', failures: [{ reason: 'rate-limit' }] })
    })

    test('F93: a lease is given up by its holder alone', async () => {
      const redis = await runRedis()
      const [a, b] = await joinTwo(library, redis.port)
      expect(await a.store.lease(key, 30_000)).toBe(true)
      await b.store.release?.(key)
      expect(await b.store.lease(key, 30_000)).toBe(false)
      await a.store.release?.(key)
      expect(await b.store.lease(key, 30_000)).toBe(true)
    })

    test('F87: a client that was never closed keeps no process whose own connection has ended', async () => {
      const redis = await runRedis()
      const { ended, said } = await runUnclosed(library, redis.port)
      expect({ ended, said }).toEqual({ ended: 0, said: 'done' })
    })

    test('a Redis of foreign data under our names is local health and one warning', async () => {
      const redis = await runRedis()
      const a = await joinStore(library, redis.port)
      await eventually(async () => expect(await a.members()).toBe(1))
      await a.raw('FLUSHALL')
      await a.raw('SET', 'unbusy:facts', 'foreign')
      await a.raw('SET', 'unbusy:processes', 'foreign')
      await a.raw('SADD', `unbusy:lease:${key}`, 'foreign')
      await a.raw('PUBLISH', 'unbusy:news', 'foreign')
      expect(await a.store.lease(key, 5_000)).toBe(true)
      a.store.publish(gate)
      await eventually(() => expect(a.heard).toEqual([{ kind: 'lost', message: expect.stringContaining('WRONGTYPE') }]))
      expect(await a.store.lease(key, 5_000)).toBe(true)
      await a.raw('FLUSHALL')
      await eventually(() => expect(a.heard.map(({ kind }) => kind)).toEqual(['lost', 'back']))
      const late = await joinStore(library, redis.port)
      await eventually(() => expect(late.heard.map(({ kind }) => kind)).toEqual(['gate']))
    })

    test('the listening connection is closed with the client, and the own connection is not', async () => {
      const redis = await runRedis()
      const a = await joinStore(library, redis.port)
      await eventually(async () => expect(await a.members()).toBe(1))
      expect(await a.connections()).toBe(2)
      a.leave()
      await eventually(async () => expect(await a.connections()).toBe(1))
    })
  },
)

type Setup = { readonly library: RedisLibrary; readonly openMs: number; readonly isWell?: boolean }

async function startFleet({ library, openMs, isWell = false }: Setup) {
  const redis = await runRedis()
  const first = await startFirst(isWell)
  const second = await startServer(answer('Hello.'), { format: 'openai' })
  onTestFinished(() => second.close())
  const urls = { firstURL: first.url, secondURL: second.baseURL }
  const settings: FleetSettings = { library, port: redis.port, ...urls, openMs, commandTimeoutMs: 2_000 }
  await Promise.all(processes.map(async each => each.start(settings)))
  onTestFinished(async () => void (await Promise.all(processes.map(async each => each.close()))))
  const watcher = new IoRedis(redis.port, '127.0.0.1').on('error', () => {})
  onTestFinished(() => watcher.disconnect())
  await eventually(async () => expect(await watcher.zcard('unbusy:processes')).toBe(4))
  return { redis, first, settings }
}

/** A target that refuses after a moment, until it is well; it counts how many requests it has at once. */
async function startFirst(isWellAtFirst: boolean) {
  let isWell = isWellAtFirst
  let active = 0
  let most = 0
  let served = 0
  const reply = (response: ServerResponse) => {
    active -= 1
    if (!isWell) return response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":{"message":"busy"}}')
    const chunk = {
      id: '1',
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: 'Hi.' }, finish_reason: 'stop' }],
    }
    return response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`)
  }
  const server = createServer((request, response) => {
    active += 1
    served += 1
    most = Math.max(most, active)
    request.resume().on('end', () => setTimeout(reply, isWell ? 0 : 40, response))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address() as { readonly port: number }
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    served: () => served,
    mostAtOnce: () => most,
    watchWhenIdle() {
      most = active
      return active === 0
    },
    heal: () => void (isWell = true),
  }
}

async function runRedis() {
  const redis = await createRedisServer()
  onTestFinished(async () => redis.kill())
  return redis
}

/** Ends with a signal when it does not end by itself. */
async function runUnclosed(library: RedisLibrary, port: number) {
  const program = fileURLToPath(new URL('../helpers/redis-unclosed.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=unbusy-source', program, library, String(port)], {
    ...{ stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 },
  })
  const said = text(child.stdout)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { ended: code ?? signal, said: await said }
}

/**
 * Two stores that hear each other. A process that is counted may still be reading what the others know; until then it publishes nothing, and
 * its lease says yes to everything.
 */
async function joinTwo(library: RedisLibrary, port: number) {
  const [a, b] = [await joinStore(library, port), await joinStore(library, port)]
  let tries = 0
  await eventually(async () => {
    tries += 1
    const leases = [await a.store.lease(`up ${tries}`, 1_000), await b.store.lease(`up ${tries}`, 1_000)]
    expect(leases).toEqual([true, false])
  })
  return [a, b] as const
}

async function joinStore(library: RedisLibrary, port: number) {
  const { client, command: raw, disconnect } = (await loadRedis(library))(port)
  // a machine that is busy for a moment is no lost Redis
  const store = redisHealth(client, { commandTimeoutMs: 5_000 })
  const heard: StoreMessage[] = []
  const leave = store.subscribe(message => void ('count' in message || heard.push(message)))
  onTestFinished(() => {
    leave()
    disconnect()
  })
  return {
    ...{ store, heard, leave, raw },
    members: async () => Number(await raw('ZCARD', 'unbusy:processes')),
    keys: async () => (await raw('KEYS', '*')) as readonly string[],
    connections: async () =>
      String(await raw('CLIENT', 'LIST'))
        .trim()
        .split('\n').length,
  }
}
