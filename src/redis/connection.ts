import type { Clock } from '../contract.ts'
import type { StoreMessage } from '../health/store.ts'
import type { Redis, Subscription } from './redis-client.ts'

/** Sends one command. Rejects when the command fails, or when no answer comes in time. */
export type Send = (...command: readonly string[]) => Promise<unknown>

/** The connection to Redis, and whether Redis can be used. While it cannot, the only commands are one attempt at a time to come back. */
export type Connection = {
  /** Sends one command. Rejects at once while Redis is lost. */
  readonly send: Send
  isUp(): boolean
  close(): void
}

export type ConnectionOptions = {
  readonly redis: Redis
  readonly channel: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly onText: (text: string) => void
  /** Reads what other processes know. Redis is back only when all of this succeeds: a Redis that answers PING may refuse other commands. */
  readonly resync: (send: Send) => Promise<void>
  /** Called when Redis can be used, for the first time or again, and everything was read. */
  readonly onUp: () => void
  readonly report: (message: StoreMessage) => void
}

type ConnectionState = ConnectionOptions & {
  readonly commands: Commands
  readonly reporter: LossReporter
  state: 'starting' | 'up' | 'lost' | 'closed'
  subscription: Subscription
  isSubscribed: boolean
  /** How often the subscription was lost. */
  losses: number
  isTrying: boolean
  triedAt: number
  timer: unknown
  /** The last error. */
  error: unknown
}

/** How often this process tries to use Redis again, in milliseconds. */
const retryMs = 1_000
/** The longest that a command in the client's queue may delay the next attempt, in milliseconds. */
const patienceMs = 30_000
const noSubscription: Subscription = { isOver: () => true, close: () => {} }

export function createConnection(options: ConnectionOptions): Connection {
  const { redis, clock, timeoutMs, report } = options
  const connection: ConnectionState = {
    ...options,
    commands: createCommands({ clock, timeoutMs, send: command => redis.send(command) }),
    reporter: createLossReporter(clock, report),
    state: 'starting',
    subscription: noSubscription,
    isSubscribed: false,
    losses: 0,
    isTrying: false,
    triedAt: Number.NEGATIVE_INFINITY,
    timer: undefined,
    error: undefined,
  }
  connection.timer = clock.setTimeout(() => retry(connection), 2 * timeoutMs)
  subscribe(connection)
  return {
    isUp: () => connection.state === 'up',
    send: (...command) => send(connection, command),
    close() {
      connection.state = 'closed'
      clock.clearTimeout(connection.timer)
      connection.subscription.close()
    },
  }
}

async function send(connection: ConnectionState, command: readonly string[]): Promise<unknown> {
  if (connection.state !== 'up') throw new Error('Redis cannot be reached.')
  try {
    return await connection.commands.send(...command)
  } catch (error) {
    lose(connection, error)
    throw error
  }
}

function subscribe(connection: ConnectionState): void {
  connection.subscription.close()
  connection.subscription = noSubscription
  try {
    connection.subscription = connection.redis.subscribe(connection.channel, {
      onText(text) {
        if (connection.state !== 'closed') connection.onText(text)
      },
      onReady() {
        connection.isSubscribed = true
        void comeUp(connection)
      },
      onLoss: error => loseSubscription(connection, error),
    })
  } catch (error) {
    connection.error = error
  }
}

/** Messages that are published before the next subscription are missed, so everything must be read again. */
function loseSubscription(connection: ConnectionState, error: unknown): void {
  connection.isSubscribed = false
  connection.losses += 1
  if (connection.state === 'up') lose(connection, error)
  else if (error instanceof Error) connection.error = error
}

async function comeUp(connection: ConnectionState): Promise<void> {
  if (connection.isTrying || connection.state === 'closed') return
  const { losses, clock } = connection
  connection.isTrying = true
  connection.triedAt = clock.now()
  try {
    await connection.resync(connection.commands.send)
    if (connection.isSubscribed && connection.losses === losses) markUp(connection)
  } catch (error) {
    lose(connection, error)
  } finally {
    connection.isTrying = false
  }
}

function markUp(connection: ConnectionState): void {
  if (connection.state === 'closed') return
  connection.state = 'up'
  connection.clock.clearTimeout(connection.timer)
  connection.reporter.back()
  connection.onUp()
}

function lose(connection: ConnectionState, error: unknown): void {
  if (error instanceof Error) connection.error = error
  if (connection.state === 'closed') return
  if (connection.state !== 'lost') {
    connection.clock.clearTimeout(connection.timer)
    connection.state = 'lost'
    connection.timer = connection.clock.setTimeout(() => retry(connection), retryMs)
  }
  connection.reporter.lost(connection.error)
}

function retry(connection: ConnectionState): void {
  const { clock, commands } = connection
  connection.state = 'lost'
  connection.timer = clock.setTimeout(() => retry(connection), retryMs)
  connection.reporter.lost(connection.error)
  if (connection.subscription.isOver()) subscribe(connection)
  else if (connection.isSubscribed && (commands.unanswered() === 0 || clock.now() - connection.triedAt >= patienceMs))
    void comeUp(connection)
}

type Commands = {
  readonly send: Send
  /** Returns how many commands have no answer yet, including those that timed out. The client's queue must not grow while Redis is lost. */
  unanswered(): number
}

type CommandsOptions = {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly send: (command: readonly string[]) => Promise<unknown>
}

/** Gives every command a timeout: without one, others lost 8 s per request to a Redis that accepted connections but stayed silent (R117). */
function createCommands({ clock, timeoutMs, send: sendNow }: CommandsOptions): Commands {
  let unanswered = 0

  function sendInTime(...command: readonly string[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer = clock.setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    unanswered += 1
    const settle = () => {
      unanswered -= 1
      clock.clearTimeout(timer)
    }
    sendSafely(command).finally(settle).then(resolve, reject)
    return promise
  }

  /** Turns an exception of the client into a rejection. */
  async function sendSafely(command: readonly string[]): Promise<unknown> {
    return sendNow(command)
  }

  return { send: sendInTime, unanswered: () => unanswered }
}

/** Reports a loss once, and its end if the loss was reported. */
type LossReporter = {
  lost(error: unknown): void
  back(): void
}

/** A loss is reported at most once in this time, in milliseconds: an unstable Redis must not fill the logs (R117). */
const quietMs = 60_000

function createLossReporter(clock: Clock, report: (message: StoreMessage) => void): LossReporter {
  let isReported = false
  let reportedAt = Number.NEGATIVE_INFINITY
  return {
    lost(error) {
      const now = clock.now()
      if (isReported || now - reportedAt < quietMs) return
      isReported = true
      reportedAt = now
      const cause = error instanceof Error && error.message !== '' ? error.message.slice(0, 200) : 'no connection'
      report({ kind: 'lost', message: `Redis cannot be used (${cause}). This process continues with its own memory.` })
    },
    back() {
      if (isReported) report({ kind: 'back', message: 'Redis can be used again.' })
      isReported = false
    },
  }
}
