import type { Clock, ClockName, TimeoutSettings } from '../contract.ts'

export type ClocksOptions = {
  readonly clock: Clock
  readonly timeout: TimeoutSettings
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  /** The longest that may pass without any content while another target could still answer. */
  readonly shareMs: number
  onTimeout(name: ClockName, afterMs: number): void
}

/** Told by the attempt as events come; each is a few assignments. */
export type Clocks = {
  connecting(): void
  sent(): void
  headers(): void
  /** A keep-alive: the request waits in a queue, which has a clock of its own. */
  queued(): void
  firstChunk(): void
  chunk(now: number): void
  /** A tool call's input is being written; servers buffer it, so silence may last longer. */
  toolCall(now: number): void
  /** The reader is behind and we read no further: that silence is ours. */
  pause(): void
  resume(): void
  stop(): void
}

type Phase = { name: ClockName; since: number; limitMs: number } | undefined

/** Tool arguments may be held back by the server until they are whole (lidge-jun/opencodex#2156). */
const toolCallPatience = 2

/** The longest delay that a Node timer can hold; anything longer would fire at once. */
export const longestTimerMs = 2_147_483_647

/**
 * The clocks of one attempt on one timer. The timer is set again only when it fires too early or when a clock is due before it, so
 * that a chunk costs one assignment and no timer.
 */
export function startClocks(options: ClocksOptions): Clocks {
  const { clock, timeout, deadline } = options
  const startedAt = clock.now()
  let transport: Phase
  let content: Phase = { name: 'firstChunk', since: startedAt, limitMs: Math.min(timeout.firstChunkMs, options.shareMs) }
  let queuedUntil = Infinity
  let patience = 1
  let stopped = false
  let handle: unknown
  let firesAt = Infinity

  // the earliest of what runs now; a tie goes to the more telling clock
  const due = (): [at: number, name: ClockName, since: number] => {
    let at = deadline
    let name: ClockName = 'total'
    let since = startedAt
    for (const phase of [content, transport]) {
      if (phase === undefined || phase.since + phase.limitMs * patience > at) continue
      at = phase.since + phase.limitMs * patience
      name = phase.name
      since = phase.since
    }
    return queuedUntil < at ? [queuedUntil, 'queued', startedAt] : [at, name, since]
  }

  const arm = () => {
    if (stopped) return
    const [at] = due()
    if (at >= firesAt) return
    clock.clearTimeout(handle)
    firesAt = at
    handle = clock.setTimeout(fire, Math.min(longestTimerMs, Math.max(0, at - clock.now())))
  }

  const fire = () => {
    firesAt = Infinity
    const [at, name, since] = due()
    const now = clock.now()
    // a timer may fire a fraction of a millisecond early
    if (now + 1 < at) return arm()
    stop()
    options.onTimeout(name, now - since)
  }

  const stop = () => {
    stopped = true
    clock.clearTimeout(handle)
  }

  arm()
  return {
    connecting() {
      transport = { name: 'connect', since: clock.now(), limitMs: timeout.connectMs }
      arm()
    },
    sent() {
      transport = { name: 'headers', since: clock.now(), limitMs: timeout.headersMs }
      arm()
    },
    headers() {
      transport = undefined
    },
    queued() {
      if (content?.name !== 'firstChunk') return
      // While the server says that it holds the request, waiting is the queued clock's; the first chunk's starts anew with each sign.
      content.since = clock.now()
      queuedUntil = startedAt + Math.min(timeout.queuedMs, options.shareMs)
      arm()
    },
    firstChunk() {
      transport = undefined
      queuedUntil = Infinity
      content = { name: 'chunk', since: clock.now(), limitMs: timeout.chunkMs }
      arm()
    },
    chunk(now) {
      patience = 1
      if (content !== undefined) content.since = now
    },
    toolCall(now) {
      patience = toolCallPatience
      if (content !== undefined) content.since = now
    },
    pause() {
      content = undefined
    },
    resume() {
      content = { name: 'chunk', since: clock.now(), limitMs: timeout.chunkMs }
      arm()
    },
    stop,
  }
}
