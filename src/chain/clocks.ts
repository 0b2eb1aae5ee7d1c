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
  headers(): unknown
  /** A keep-alive: the request waits in a queue, which has a clock of its own. */
  queued(): void
  firstChunk(): void
  chunk(now: number): void
  /** A tool call's input is being written; servers buffer it, so silence may last longer. */
  toolCall(now: number): void
  /** The answer is whole; the server has a moment to end the body. */
  finish(): void
  /** The reader is behind and we read no further: that silence is ours. */
  pause(): unknown
  resume(): void
  stop(): void
}

type Phase = { name: ClockName; since: number; limitMs: number }

type State = {
  readonly options: ClocksOptions
  readonly startedAt: number
  /** Connecting, or waiting for headers. */
  transport: Phase | undefined
  /** Waiting for the first chunk or for the next one; undefined while the reader holds us up. */
  content: Phase | undefined
  queuedUntil: number
  patience: number
  stopped: boolean
  handle: unknown
  firesAt: number
}

/** Tool arguments may be held back by the server until they are whole (lidge-jun/opencodex#2156). */
const toolCallPatience = 2

/** How long a server may keep the connection open after its answer is whole. */
const lingerMs = 1_000

/** The longest delay that a Node timer can hold; anything longer would fire at once. */
export const longestTimerMs = 2_147_483_647

/**
 * The clocks of one attempt on one timer. The timer is set again only when it fires too early or when a clock is due before it, so
 * that a chunk costs one assignment and no timer.
 */
export function startClocks(options: ClocksOptions): Clocks {
  const { clock, timeout, shareMs } = options
  const now = clock.now()
  const state: State = {
    options,
    startedAt: now,
    transport: undefined,
    content: { name: 'firstChunk', since: now, limitMs: Math.min(timeout.firstChunkMs, shareMs) },
    queuedUntil: Infinity,
    patience: 1,
    stopped: false,
    handle: undefined,
    firesAt: Infinity,
  }
  arm(state)
  return {
    connecting: () => waitForTransport(state, 'connect', timeout.connectMs),
    sent: () => waitForTransport(state, 'headers', timeout.headersMs),
    headers: () => (state.transport = undefined),
    queued: () => queued(state),
    firstChunk: () => waitForChunk(state, timeout.chunkMs),
    chunk: at => heard(state, at, 1),
    toolCall: at => heard(state, at, toolCallPatience),
    finish() {
      state.patience = 1
      waitForChunk(state, lingerMs)
    },
    pause: () => (state.content = undefined),
    resume: () => waitForChunk(state, timeout.chunkMs),
    stop: () => stop(state),
  }
}

function waitForTransport(state: State, name: ClockName, limitMs: number): void {
  state.transport = { name, since: state.options.clock.now(), limitMs }
  arm(state)
}

/** While the server says that it holds the request, waiting is the queued clock's; the first chunk's starts anew with each sign. */
function queued(state: State): void {
  const { clock, timeout, shareMs } = state.options
  if (state.content?.name !== 'firstChunk') return
  state.content.since = clock.now()
  state.queuedUntil = state.startedAt + Math.min(timeout.queuedMs, shareMs)
  arm(state)
}

/** Content is there, so that headers and places in queues are no matter any more. */
function waitForChunk(state: State, limitMs: number): void {
  state.transport = undefined
  state.queuedUntil = Infinity
  state.content = { name: 'chunk', since: state.options.clock.now(), limitMs }
  arm(state)
}

function heard(state: State, at: number, patience: number): void {
  state.patience = patience
  if (state.content !== undefined) state.content.since = at
}

function arm(state: State): void {
  if (state.stopped) return
  const { at } = due(state)
  if (at >= state.firesAt) return
  const { clock } = state.options
  clock.clearTimeout(state.handle)
  state.firesAt = at
  state.handle = clock.setTimeout(() => fire(state), Math.min(longestTimerMs, Math.max(0, at - clock.now())))
}

function fire(state: State): void {
  state.firesAt = Infinity
  const { at, name, since } = due(state)
  const now = state.options.clock.now()
  // a timer may fire a fraction of a millisecond early
  if (now + 1 < at) return arm(state)
  stop(state)
  state.options.onTimeout(name, now - since)
}

function stop(state: State): void {
  state.stopped = true
  state.options.clock.clearTimeout(state.handle)
}

/** Which clock ends the attempt next, and when. Of two at the same time, the more telling one. */
function due(state: State): { readonly at: number; readonly name: ClockName; readonly since: number } {
  const { startedAt, content, transport, patience } = state
  let next = { at: state.options.deadline, name: 'total' as ClockName, since: startedAt }
  if (state.queuedUntil <= next.at) next = { at: state.queuedUntil, name: 'queued', since: startedAt }
  for (const phase of [content, transport]) {
    if (phase === undefined) continue
    const at = phase.since + phase.limitMs * patience
    if (at <= next.at) next = { at, name: phase.name, since: phase.since }
  }
  return next
}
