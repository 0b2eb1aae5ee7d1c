import { Socket } from 'node:net'
/**
 * The user's own client, by the few methods that are used of it: no package is imported, and either one will do.
 * Both libraries find the place of keys in a command by themselves (ioredis' `keyPrefix` holds for ours too).
 */
export type RedisClient = NodeRedisClient | IoRedisClient

/** A client of the package `redis` (node-redis). */
export type NodeRedisClient = {
  readonly isOpen: boolean
  sendCommand(command: readonly string[]): Promise<unknown>
  duplicate(): NodeRedisSubscriber
}

export type NodeRedisSubscriber = {
  readonly isOpen: boolean
  on(event: string, listener: (error: unknown) => void): unknown
  connect(): Promise<unknown>
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>
  destroy(): void
  unref?(): void
}

/** A client of the package `ioredis`. */
export type IoRedisClient = {
  call(command: string, values: string[]): Promise<unknown>
  duplicate(): IoRedisSubscriber
}

export type IoRedisSubscriber = {
  readonly status: string
  on(event: string, listener: (first: unknown, second: unknown) => void): unknown
  connect(): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  disconnect(): void
  readonly stream?: unknown
}

/** What is needed of Redis, whichever client it is reached by. */
export type Redis = {
  /** Rejects with an error reply, or when the connection breaks; may also never settle. */
  send(command: readonly string[]): Promise<unknown>
  /** Listens to a channel on a connection of its own, which connects again by itself. */
  listen(channel: string, listener: Listener): Listening
}

export type Listener = {
  onText(text: string): void
  /** From now on it hears; told again after every loss. */
  onReady(): void
  onLoss(error: unknown): void
}

export type Listening = {
  /** It has given up: only a new one may hear again. */
  isOver(): boolean
  close(): void
}

/** Tells the two libraries apart by what they can do. */
export function redisOf(client: RedisClient): Redis {
  const given: unknown = client
  if (typeof given !== 'object' || given === null) throw new TypeError(`redisHealth: the client is ${typeof given}. ${howTo}`)
  if (given instanceof Promise) throw new TypeError(`redisHealth: the client is a promise. Await it: redisHealth(await ...).`)
  if ('slots' in given || Reflect.get(given, 'isCluster') === true) {
    throw new TypeError('redisHealth: a cluster is not supported. Give it a client of one Redis server.')
  }
  if (hasMethods(given, 'call', 'duplicate')) return ioRedis(client as IoRedisClient)
  if (hasMethods(given, 'sendCommand', 'duplicate')) return nodeRedis(client as NodeRedisClient)
  throw new TypeError(`redisHealth: this is no client of the package redis or ioredis. ${howTo}`)
}

const howTo = "Write redisHealth(redis) with redis = createClient() of 'redis' or new Redis() of 'ioredis'."

function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every(name => typeof Reflect.get(value, name) === 'function')
}

function nodeRedis(client: NodeRedisClient): Redis {
  return {
    send: command => client.sendCommand(command),
    listen(channel, { onText, onReady, onLoss }) {
      const copy = client.duplicate()
      let isSubscribed = false
      let hasFailed = false
      // Without a listener for errors Node would end the process when Redis goes away.
      copy.on('error', onLoss)
      // whoever ends its own connection is done: to hear from others is no reason to stay (F87)
      copy.unref?.()
      copy.on('ready', () => {
        if (isSubscribed) onReady()
      })
      const subscribe = async (): Promise<void> => {
        await copy.connect()
        await copy.subscribe(channel, onText)
        isSubscribed = true
        onReady()
      }
      subscribe().catch((error: unknown) => {
        hasFailed = true
        onLoss(error)
      })
      return {
        isOver: () => hasFailed || (isSubscribed && !copy.isOpen),
        close: () => {
          if (copy.isOpen) copy.destroy()
        },
      }
    },
  }
}

function unrefStream(stream: unknown): void {
  if (stream instanceof Socket) stream.unref()
}

function ioRedis(client: IoRedisClient): Redis {
  return {
    send: ([name = '', ...values]) => client.call(name, values),
    listen(channel, { onText, onReady, onLoss }) {
      const copy = client.duplicate()
      let hasFailed = false
      copy.on('error', onLoss)
      copy.on('close', onLoss)
      const unref = () => unrefStream(copy.stream)
      copy.on('connect', unref)
      copy.on('message', (_channel, text) => onText(String(text)))
      copy.on('ready', () => {
        unref()
        copy.subscribe(channel).then(onReady, (error: unknown) => {
          // It is not tried again until it connects again: a user who may not subscribe.
          hasFailed = copy.status === 'ready'
          onLoss(error)
        })
      })
      if (copy.status === 'wait') copy.connect().catch(onLoss)
      return { isOver: () => hasFailed || copy.status === 'end', close: () => copy.disconnect() }
    },
  }
}
