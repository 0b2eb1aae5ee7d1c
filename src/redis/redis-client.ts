import { Socket } from 'node:net'
/**
 * Your own client, reduced to the few methods that are used. No package is imported, and either package works.
 * Both libraries find the keys in a command by themselves (the `keyPrefix` of ioredis applies to our keys too).
 */
export type RedisClient = NodeRedisClient | IoRedisClient

/** A client of the package `redis` (node-redis). */
export type NodeRedisClient = {
  readonly isOpen: boolean
  /** Sends one command. */
  sendCommand(command: readonly string[]): Promise<unknown>
  /** A second connection, which listens. */
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
  /** Sends one command. */
  call(command: string, values: string[]): Promise<unknown>
  /** A second connection, which listens. */
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

/** The operations of Redis that are needed, with either client. */
export type Redis = {
  /** Sends one command. Rejects on an error reply, or when the connection breaks; may also never settle. */
  send(command: readonly string[]): Promise<unknown>
  /** Subscribes to a channel on a separate connection, which reconnects by itself. */
  subscribe(channel: string, listener: Listener): Subscription
}

export type Listener = {
  onText(text: string): void
  /** Called when messages begin to arrive, also after every loss. */
  onReady(): void
  onLoss(error: unknown): void
}

export type Subscription = {
  /** Whether the subscription has given up: then only a new subscription can receive messages. */
  isOver(): boolean
  close(): void
}

/** Tells the two libraries apart by their methods. */
export function redisOf(client: RedisClient): Redis {
  const given: unknown = client
  if (typeof given !== 'object' || given === null) throw new TypeError(notOne)
  if (given instanceof Promise) throw new TypeError(`redisHealth: the client is a promise. Write redisHealth(await ...).`)
  if ('slots' in given || Reflect.get(given, 'isCluster') === true) {
    throw new TypeError('redisHealth: a cluster is not supported. Pass a client of a single Redis server.')
  }
  if (hasMethods(given, 'call', 'duplicate')) return ioRedis(client as IoRedisClient)
  if (hasMethods(given, 'sendCommand', 'duplicate')) return nodeRedis(client as NodeRedisClient)
  throw new TypeError(notOne)
}

const notOne =
  'redisHealth: this is not a client of the package redis or ioredis. ' +
  "Write redisHealth(redis) with redis = createClient() from 'redis', or new Redis() from 'ioredis'."

function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every(name => typeof Reflect.get(value, name) === 'function')
}

function nodeRedis(client: NodeRedisClient): Redis {
  return {
    send: command => client.sendCommand(command),
    subscribe(channel, { onText, onReady, onLoss }) {
      const copy = client.duplicate()
      let isSubscribed = false
      let hasFailed = false
      // Without an `error` listener Node would terminate the process when Redis goes away.
      copy.on('error', onLoss)
      // The subscription must not keep a process running that has closed its own connection (F87).
      copy.unref?.()
      copy.on('ready', () => {
        if (isSubscribed) onReady()
      })
      const connectAndSubscribe = async (): Promise<void> => {
        await copy.connect()
        await copy.subscribe(channel, onText)
        isSubscribed = true
        onReady()
      }
      connectAndSubscribe().catch((error: unknown) => {
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
    subscribe(channel, { onText, onReady, onLoss }) {
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
          // This user may not subscribe. There is no new attempt until the client reconnects.
          hasFailed = copy.status === 'ready'
          onLoss(error)
        })
      })
      if (copy.status === 'wait') copy.connect().catch(onLoss)
      return { isOver: () => hasFailed || copy.status === 'end', close: () => copy.disconnect() }
    },
  }
}
