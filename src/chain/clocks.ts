import type { Clock, TimeoutSettings } from '../contract.ts'
import type { ClockName } from '../contract-failures.ts'
import { longestTimerMs } from '../health/timer.ts'

export type ClocksOptions = {
  readonly clock: Clock
  readonly timeout: TimeoutSettings
  /** The limit for the first content, in place of the one in `timeout`. */
  readonly firstChunkMs?: number | undefined
  /** When the attempt must be over, in the clock's time: the deadline of the call, or `totalMs` of the target if that is sooner. */
  readonly deadline: number
  /** The deadline of the call's first content and the start of the call, in the clock's time. */
  readonly firstContentAt: number
  readonly callStartedAt: number
  /** The longest time without content while another target could still answer. */
  readonly shareMs: number
}

type OnTimeout = (name: ClockName, afterMs: number) => void

/** A plain object without methods, because every waiting attempt holds one in memory. */
export type Clocks = {
  readonly options: ClocksOptions
  readonly onTimeout: OnTimeout
  startedAt: number
  /** The running transport clock: connecting, or waiting for headers. */
  transport: ClockName | undefined
  transportSince: number
  transportLimitMs: number
  /** The minimum of the headers clock for an answer in one piece, whose headers may take as long as the answer. */
  leastHeadersMs: number
  /** The running content clock: waiting for the first or the next chunk; undefined while a slow reader pauses the attempt. */
  content: ClockName | undefined
  contentSince: number
  contentLimitMs: number
  /** The longest silence between two chunks so far. */
  longestGapMs: number
  queuedUntil: number
  /** `contentLimitMs` is multiplied by this. */
  contentFactor: number
  stopped: boolean
  handle: unknown
  firesAt: number
}

/** Servers may buffer tool arguments until they are complete (lidge-jun/opencodex#2156). */
const toolCallFactor = 2

/** How long a provider may take to end after it has emitted `finish`. */
const lingerMs = 1_000

/**
 * Starts the clocks of one attempt, all on one timer. The timer is set again only when it fires too early or when a clock is due before
 * it, so that a chunk costs one assignment and no timer.
 */
export function startClocks(options: ClocksOptions, onTimeout: OnTimeout): Clocks {
  const { clock, timeout, firstChunkMs = timeout.firstChunkMs, shareMs } = options
  const now = clock.now()
  const clocks: Clocks = {
    options,
    onTimeout,
    startedAt: now,
    transport: undefined,
    transportSince: now,
    transportLimitMs: Infinity,
    leastHeadersMs: 0,
    content: 'firstChunk',
    contentSince: now,
    contentLimitMs: Math.min(firstChunkMs, shareMs),
    longestGapMs: 0,
    queuedUntil: Infinity,
    contentFactor: 1,
    stopped: false,
    handle: undefined,
    firesAt: Infinity,
  }
  // the timer first fires early enough that neither connecting nor the end of a short answer has to set it again
  arm(clocks, Math.min(due(clocks).at, now + Math.min(timeout.connectMs, lingerMs)))
  return clocks
}

/** Another request begins: the wait for content starts again. The call's own clocks go on. */
export function restartClocks(clocks: Clocks): void {
  clocks.startedAt = clocks.options.clock.now()
  clocks.contentSince = clocks.startedAt
  clocks.queuedUntil = Infinity
  clocks.transport = undefined
  // nothing is due sooner than before, so the timer stays as it is
}

/** An answer in one piece is silent until it is complete: these clocks apply where they are longer. */
export function morePatience(clocks: Clocks, more: Partial<TimeoutSettings>): void {
  const { firstChunkMs = 0, headersMs = 0 } = more
  clocks.leastHeadersMs = headersMs
  // nothing is due sooner than before, so the timer stays as it is
  clocks.contentLimitMs = Math.max(clocks.contentLimitMs, Math.min(firstChunkMs, clocks.options.shareMs))
}

/** Starts the connect clock, or the headers clock once the request is sent. */
export function startTransport(clocks: Clocks, name: 'connect' | 'headers'): void {
  const { clock, timeout } = clocks.options
  clocks.transport = name
  clocks.transportSince = clock.now()
  clocks.transportLimitMs = name === 'connect' ? timeout.connectMs : Math.max(timeout.headersMs, clocks.leastHeadersMs)
  arm(clocks, due(clocks).at)
}

export function headersCame(clocks: Clocks): void {
  clocks.transport = undefined
}

/**
 * A keep-alive came. While the server reports that it holds the request, the queued clock limits the wait; the first-chunk clock starts
 * again at each keep-alive.
 */
export function keepAliveCame(clocks: Clocks): void {
  const { clock, timeout, shareMs } = clocks.options
  if (clocks.content !== 'firstChunk') return
  clocks.contentSince = clock.now()
  clocks.queuedUntil = clocks.startedAt + Math.min(timeout.queuedMs, shareMs)
  arm(clocks, due(clocks).at)
}

/** Waits for the first chunk again, when the expected end did not come or another request follows in the same attempt. */
export function waitForFirstChunk(clocks: Clocks): void {
  const { timeout, firstChunkMs = timeout.firstChunkMs, shareMs } = clocks.options
  clocks.content = 'firstChunk'
  clocks.contentSince = clocks.startedAt
  clocks.contentLimitMs = Math.min(firstChunkMs, shareMs)
  arm(clocks, due(clocks).at)
}

/** The first chunk came, or the reader has caught up: the clock for the next chunk starts now. */
export function startChunks(clocks: Clocks): void {
  waitForChunk(clocks, clocks.options.timeout.chunkMs)
}

/** A chunk came. Servers buffer the input of a tool call, so the silence during one may last longer. */
export function chunkCame(clocks: Clocks, at: number, isToolCall: boolean): void {
  clocks.contentFactor = isToolCall ? toolCallFactor : 1
  if (at - clocks.contentSince > clocks.longestGapMs) clocks.longestGapMs = at - clocks.contentSince
  clocks.contentSince = at
}

/** The answer is complete; the provider has a moment to end. */
export function finishCame(clocks: Clocks): void {
  lingerFor(clocks, lingerMs)
}

/** Everything was received, but the answer is not validated yet: only the deadline is left. */
export function awaitDeadline(clocks: Clocks): void {
  clocks.stopped = false
  clocks.transport = undefined
  clocks.content = undefined
  clocks.queuedUntil = Infinity
  arm(clocks, clocks.options.deadline)
}

/** The answer seems to be over: the rest must come within `forMs`, and keep-alives do not extend that. */
export function lingerFor(clocks: Clocks, forMs: number): void {
  clocks.contentFactor = 1
  waitForChunk(clocks, forMs)
}

/** The reader is behind and reading is paused: the silence is not the target's. */
export function pauseClocks(clocks: Clocks): void {
  clocks.content = undefined
}

export function stopClocks(clocks: Clocks): void {
  clocks.stopped = true
  clocks.options.clock.clearTimeout(clocks.handle)
}

/** Content has come, so the transport and queued clocks no longer apply. */
function waitForChunk(clocks: Clocks, limitMs: number): void {
  clocks.transport = undefined
  clocks.queuedUntil = Infinity
  clocks.content = 'chunk'
  clocks.contentSince = clocks.options.clock.now()
  clocks.contentLimitMs = limitMs
  arm(clocks, due(clocks).at)
}

function arm(clocks: Clocks, at: number): void {
  if (clocks.stopped || at >= clocks.firesAt) return
  const { clock } = clocks.options
  const now = clock.now()
  clock.clearTimeout(clocks.handle)
  clocks.firesAt = Math.min(at, now + longestTimerMs)
  clocks.handle = clock.setTimeout(() => fire(clocks), Math.max(0, clocks.firesAt - now))
}

function fire(clocks: Clocks): void {
  const { firesAt, options } = clocks
  clocks.firesAt = Infinity
  const { at, name, since } = due(clocks)
  const now = options.clock.now()
  // a timer may fire a fraction of a millisecond early: then the time that it was set for counts
  if (Math.max(now, firesAt) < at) return arm(clocks, at)
  stopClocks(clocks)
  clocks.onTimeout(name, now - since)
}

/** Returns which clock ends the attempt next, and when. Of two that are due together, the more specific one. */
function due(clocks: Clocks): { readonly at: number; readonly name: ClockName; readonly since: number } {
  const { startedAt, queuedUntil, content, contentSince, transport, transportSince } = clocks
  let next = { at: clocks.options.deadline, name: 'total' as ClockName, since: startedAt }
  const { firstContentAt, callStartedAt } = clocks.options
  if (content === 'firstChunk' && firstContentAt <= next.at)
    next = { at: firstContentAt, name: 'firstContent', since: callStartedAt }
  if (queuedUntil <= next.at) next = { at: queuedUntil, name: 'queued', since: startedAt }
  const contentAt = contentSince + clocks.contentLimitMs * clocks.contentFactor
  if (content !== undefined && contentAt <= next.at) next = { at: contentAt, name: content, since: contentSince }
  const transportAt = transportSince + clocks.transportLimitMs
  if (transport !== undefined && transportAt <= next.at) next = { at: transportAt, name: transport, since: transportSince }
  return next
}
