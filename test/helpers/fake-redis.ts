import type { Clock } from '../../src/contract.ts'
import type { NodeRedisClient, NodeRedisSubscriber } from '../../src/redis/redis-client.ts'

/** A Redis in memory, on a fake clock, with the commands that are used. It goes away, is slow and answers oddly on request. */
export type FakeRedis = {
  client(): NodeRedisClient
  /** Every value, whatever it is: tests put foreign data here. */
  readonly values: Map<string, string | Map<string, number>>
  /** Commands received, by name. */
  readonly received: string[]
  /** Texts that were published. */
  readonly published: string[]
  say(channel: string, text: string): void
  /** `undefined`: it behaves. `hang`: takes commands and never answers. An error: every command fails with it. */
  trouble: 'hang' | Error | undefined
  /** Its user may not run scripts. */
  refusesScripts: boolean
  /** How long it takes for each answer. */
  delayMs: number
  /** Every connection breaks; none comes up until `up()`. */
  down(): void
  up(): void
  /** Listening connections that are open. */
  listeners(): number
  /** Connections made for listening so far. */
  copies(): number
}

type Copy = { emit(event: string, error?: unknown): void; isOpen: boolean; channel: string; onText: (text: string) => void }

export function fakeRedis(clock: Clock): FakeRedis {
  const values: FakeRedis['values'] = new Map()
  const ends = new Map<string, number>()
  const copies: Copy[] = []
  const waiting: (() => void)[] = []
  let isUp = true

  const fake: FakeRedis = {
    ...{ values, received: [], published: [], trouble: undefined, refusesScripts: false, delayMs: 0 },
    say(channel, text) {
      for (const copy of copies) if (copy.isOpen && isUp && copy.channel === channel) copy.onText(text)
    },
    client: () => ({ isOpen: true, sendCommand: async command => send(command), duplicate }),
    down() {
      isUp = false
      for (const copy of copies) if (copy.isOpen) copy.emit('error', new Error('Socket closed unexpectedly'))
    },
    up() {
      isUp = true
      for (const resume of waiting.splice(0)) resume()
      for (const copy of copies) if (copy.isOpen && copy.channel !== '') copy.emit('ready')
    },
    listeners: () => copies.filter(({ isOpen }) => isOpen).length,
    copies: () => copies.length,
  }

  async function send(command: readonly string[]): Promise<unknown> {
    if (!isUp) throw new Error('connect ECONNREFUSED')
    const [name = '', ...rest] = command
    fake.received.push(name)
    if (fake.trouble === 'hang') return new Promise(() => {})
    if (fake.trouble !== undefined) throw fake.trouble
    const { promise, resolve } = Promise.withResolvers<void>()
    if (fake.delayMs === 0) resolve()
    else clock.setTimeout(resolve, fake.delayMs)
    await promise
    return run(name, rest)
  }

  function expire(): void {
    for (const [key, end] of ends) if (end <= clock.now()) values.delete(key)
    for (const key of ends.keys()) if (!values.has(key)) ends.delete(key)
  }

  function sorted(key: string): Map<string, number> {
    const set = values.get(key) ?? new Map<string, number>()
    if (typeof set === 'string') throw new Error('WRONGTYPE Operation against a key holding the wrong kind of value')
    values.set(key, set)
    return set
  }

  const within = (key: string, from: string, to: string) =>
    [...sorted(key)].filter(([, score]) => score >= bound(from) && score <= bound(to)).toSorted((a, b) => a[1] - b[1])

  function run(name: string, [key = '', ...rest]: readonly string[]): unknown {
    expire()
    const [a = '', b = ''] = rest
    switch (name) {
      case 'TIME':
        return [String(1_700_000_000 + Math.floor(clock.now() / 1_000)), String(Math.round((clock.now() % 1_000) * 1_000))]
      case 'SET': {
        if (rest.includes('NX') && values.has(key)) return null
        values.set(key, a)
        ends.set(key, clock.now() + Number(rest[rest.indexOf('PX') + 1]))
        return 'OK'
      }
      case 'MGET':
        return [key, ...rest].map(each => (typeof values.get(each) === 'string' ? values.get(each) : null))
      case 'DEL':
        return [key, ...rest].filter(each => values.delete(each)).length
      case 'PEXPIRE':
        ends.set(key, clock.now() + Number(a))
        return 1
      case 'ZADD': {
        const isGreater = a === 'GT'
        const [score = '', member = ''] = isGreater ? rest.slice(1) : rest
        const before = sorted(key).get(member)
        if (!isGreater || before === undefined || before < Number(score)) sorted(key).set(member, Number(score))
        return before === undefined ? 1 : 0
      }
      case 'ZREM':
        return rest.filter(each => sorted(key).delete(each)).length
      case 'ZCOUNT':
        return within(key, a, b).length
      case 'ZREMRANGEBYSCORE':
        return within(key, a, b).filter(([member]) => sorted(key).delete(member)).length
      case 'ZRANGEBYSCORE':
        return within(key, a, b).flatMap(([member, score]) => [member, String(score)])
      case 'EVAL':
        if (fake.refusesScripts) throw new Error("NOPERM User default has no permissions to run the 'eval' command")
        if (a === '0') return 1
        return a === '1' ? deleteOwn(b, rest[2]) : writeLater(b, rest.slice(2))
      case 'PUBLISH':
        fake.published.push(a)
        fake.say(key, a)
        return 1
      default:
        throw new Error(`ERR unknown command '${name}'`)
    }
  }

  /** What the script that gives a lease up does. */
  function deleteOwn(name: string, mine: string | undefined) {
    return values.get(name) === mine ? run('DEL', [name]) : 0
  }

  /** What the script of the archive does. That it is written so is shown on a real Redis. */
  function writeLater(index: string, [name = '', end = '', slot = '', text = '', valueMs = '', indexMs = '']: readonly string[]) {
    const known = sorted(index).get(slot)
    if (known !== undefined && known > Number(end) && values.has(name)) return 0
    run('SET', [name, text, 'PX', valueMs])
    run('ZADD', [index, end, slot])
    return run('PEXPIRE', [index, indexMs])
  }

  function duplicate(): NodeRedisSubscriber {
    const listeners: { readonly event: string; readonly listener: (error: unknown) => void }[] = []
    const copy: Copy = {
      isOpen: false,
      channel: '',
      onText: () => {},
      emit(event, error) {
        for (const each of listeners) if (each.event === event) each.listener(error)
      },
    }
    copies.push(copy)
    return {
      get isOpen() {
        return copy.isOpen
      },
      on: (event, listener) => listeners.push({ event, listener }),
      async connect() {
        copy.isOpen = true
        if (!isUp) await new Promise<void>(resolve => void waiting.push(resolve))
      },
      async subscribe(channel, onText) {
        Object.assign(copy, { channel, onText })
      },
      destroy: () => void (copy.isOpen = false),
    }
  }
  return fake
}

function bound(text: string): number {
  if (text === '+inf') return Infinity
  return text === '-inf' ? -Infinity : Number(text)
}
