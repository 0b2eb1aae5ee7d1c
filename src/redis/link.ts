import type { Clock } from '../contract.ts'
import type { StoreMessage } from '../health/store.ts'
import { type Ask, type Bounded, createBounded } from './bounded.ts'
import { createLossReport } from './loss-report.ts'
import type { LossReport } from './loss-report.ts'
import type { Listening, Redis } from './redis-client.ts'

/** Whether Redis can be relied on. While it cannot, nothing is sent but one attempt at a time to come back. */
export type Link = {
  /** Rejects at once while Redis is away. */
  readonly ask: Ask
  isUp(): boolean
  close(): void
}

export type LinkOptions = {
  readonly redis: Redis
  readonly channel: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly onText: (text: string) => void
  /** Reads what the others know. Only when all of it succeeds, Redis counts as back: one that answers PING may still refuse the rest. */
  readonly resync: (ask: Ask) => Promise<void>
  /** Redis is there, at first or again, and everything was read. */
  readonly onUp: () => void
  readonly tell: (message: StoreMessage) => void
}

type Memory = LinkOptions & {
  readonly bounded: Bounded
  readonly report: LossReport
  state: 'starting' | 'up' | 'lost' | 'closed'
  listening: Listening
  isListening: boolean
  /** How often it was lost what others tell. */
  losses: number
  isTrying: boolean
  triedAt: number
  timer: unknown
  /** What went wrong last. */
  error: unknown
}

/** How often it is tried to come back. */
const retryMs = 1_000
/** A command that a client keeps in its queue holds up the next attempt for so long at most. */
const patienceMs = 30_000
const deaf: Listening = { isOver: () => true, close: () => {} }

export function createLink(options: LinkOptions): Link {
  const { redis, clock, timeoutMs, tell } = options
  const memory: Memory = {
    ...options,
    bounded: createBounded({ clock, timeoutMs, send: command => redis.send(command) }),
    report: createLossReport(clock, tell),
    state: 'starting',
    listening: deaf,
    isListening: false,
    losses: 0,
    isTrying: false,
    triedAt: Number.NEGATIVE_INFINITY,
    timer: undefined,
    error: undefined,
  }
  memory.timer = clock.setTimeout(() => tick(memory), 2 * timeoutMs)
  listen(memory)
  return {
    isUp: () => memory.state === 'up',
    ask: (...command) => ask(memory, command),
    close() {
      memory.state = 'closed'
      clock.clearTimeout(memory.timer)
      memory.listening.close()
    },
  }
}

async function ask(memory: Memory, command: readonly string[]): Promise<unknown> {
  if (memory.state !== 'up') throw new Error('Redis is not there.')
  try {
    return await memory.bounded.ask(...command)
  } catch (error) {
    lose(memory, error)
    throw error
  }
}

function listen(memory: Memory): void {
  memory.listening.close()
  memory.listening = deaf
  try {
    memory.listening = memory.redis.listen(memory.channel, {
      onText(text) {
        if (memory.state !== 'closed') memory.onText(text)
      },
      onReady() {
        memory.isListening = true
        void attempt(memory)
      },
      onLoss: error => loseEars(memory, error),
    })
  } catch (error) {
    memory.error = error
  }
}

/** What is told meanwhile is not heard, so all of it must be read again. */
function loseEars(memory: Memory, error: unknown): void {
  memory.isListening = false
  memory.losses += 1
  if (memory.state === 'up') lose(memory, error)
  else if (error instanceof Error) memory.error = error
}

async function attempt(memory: Memory): Promise<void> {
  if (memory.isTrying || memory.state === 'closed') return
  const { losses, clock } = memory
  memory.isTrying = true
  memory.triedAt = clock.now()
  try {
    await memory.resync(memory.bounded.ask)
    if (memory.isListening && memory.losses === losses) rise(memory)
  } catch (error) {
    lose(memory, error)
  } finally {
    memory.isTrying = false
  }
}

function rise(memory: Memory): void {
  if (memory.state === 'closed') return
  memory.state = 'up'
  memory.clock.clearTimeout(memory.timer)
  memory.report.back()
  memory.onUp()
}

function lose(memory: Memory, error: unknown): void {
  if (error instanceof Error) memory.error = error
  if (memory.state === 'closed') return
  if (memory.state !== 'lost') {
    memory.clock.clearTimeout(memory.timer)
    memory.state = 'lost'
    memory.timer = memory.clock.setTimeout(() => tick(memory), retryMs)
  }
  memory.report.lost(memory.error)
}

function tick(memory: Memory): void {
  const { clock, bounded } = memory
  memory.state = 'lost'
  memory.timer = clock.setTimeout(() => tick(memory), retryMs)
  memory.report.lost(memory.error)
  if (memory.listening.isOver()) listen(memory)
  else if (memory.isListening && (bounded.unanswered() === 0 || clock.now() - memory.triedAt >= patienceMs)) void attempt(memory)
}
