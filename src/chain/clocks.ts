import type { Clock, ClockName, TimeoutSettings } from '../contract.ts'
import { ProviderError } from '../errors.ts'

export type ClocksOptions = {
  readonly clock: Clock
  readonly timeout: TimeoutSettings
  /** The longest until the first content, in place of that of `timeout`. */
  readonly firstChunkMs?: number | undefined
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  /** When the call must have its first content, and when it began, on the clock. */
  readonly firstContentAt: number
  readonly callStartedAt: number
  /** The longest that may pass without any content while another target could still answer. */
  readonly shareMs: number
}

type OnTimeout = (name: ClockName, afterMs: number) => void

/** One object, and functions over it: a thousand waiting attempts hold a thousand of it. */
export type Clocks = {
  readonly options: ClocksOptions
  readonly onTimeout: OnTimeout
  startedAt: number
  /** Connecting, or waiting for headers. */
  transport: ClockName | undefined
  transportSince: number
  transportLimitMs: number
  /** For an answer in one piece: its headers may take as long as the answer. */
  leastHeadersMs: number
  /** Waiting for the first chunk or for the next one; undefined while the reader holds us up. */
  content: ClockName | undefined
  contentSince: number
  contentLimitMs: number
  /** The longest silence between two chunks so far. */
  longestGapMs: number
  queuedUntil: number
  patience: number
  stopped: boolean
  handle: unknown
  firesAt: number
}

/** Tool arguments may be held back by the server until they are whole (lidge-jun/opencodex#2156). */
const toolCallPatience = 2

/** How long a provider may go on after it has emitted `finish`. */
const lingerMs = 1_000

/** The longest delay that a Node timer can hold; anything longer would fire at once. */
export const longestTimerMs = 2_147_483_647

/**
 * The clocks of one attempt on one timer. The timer is set again only when it fires too early or when a clock is due before it, so
 * that a chunk costs one assignment and no timer.
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
    patience: 1,
    stopped: false,
    handle: undefined,
    firesAt: Infinity,
  }
  // a first look so soon that neither connecting nor the end of a short answer need set the timer anew
  arm(clocks, Math.min(due(clocks).at, now + Math.min(timeout.connectMs, lingerMs)))
  return clocks
}

/** Another request begins: what one may wait for content is counted from it. The call's own clocks go on. */
export function restartClocks(clocks: Clocks): void {
  clocks.startedAt = clocks.options.clock.now()
  clocks.contentSince = clocks.startedAt
  clocks.queuedUntil = Infinity
  clocks.transport = undefined
  arm(clocks, due(clocks).at)
}

/** An answer in one piece says nothing before it is whole: these hold where they are longer. */
export function morePatience(clocks: Clocks, more: Partial<TimeoutSettings>): void {
  const { firstChunkMs = 0, headersMs = 0 } = more
  clocks.leastHeadersMs = headersMs
  if (clocks.content === undefined) return
  clocks.contentLimitMs = Math.max(clocks.contentLimitMs, Math.min(firstChunkMs, clocks.options.shareMs))
  arm(clocks, due(clocks).at)
}

/** A connection comes next, or headers do, because the request is sent. */
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
 * A keep-alive. While the server says that it holds the request, waiting is the queued clock's; the first chunk's starts anew with each
 * sign.
 */
export function keepAliveCame(clocks: Clocks): void {
  const { clock, timeout, shareMs } = clocks.options
  if (clocks.content !== 'firstChunk') return
  clocks.contentSince = clock.now()
  clocks.queuedUntil = clocks.startedAt + Math.min(timeout.queuedMs, shareMs)
  arm(clocks, due(clocks).at)
}

/** What had begun to wait for the end has nothing to wait for: another request follows in the same attempt. */
export function waitForFirstChunk(clocks: Clocks): void {
  const { timeout, firstChunkMs = timeout.firstChunkMs, shareMs } = clocks.options
  clocks.content = 'firstChunk'
  clocks.contentSince = clocks.startedAt
  clocks.contentLimitMs = Math.min(firstChunkMs, shareMs)
  arm(clocks, due(clocks).at)
}

/** The first chunk is here, or the reader has caught up: the next one may take its time from now. */
export function startChunks(clocks: Clocks): void {
  waitForChunk(clocks, clocks.options.timeout.chunkMs)
}

/** While a tool call's input is being written servers buffer it, so silence may last longer. */
export function chunkCame(clocks: Clocks, at: number, isToolCall: boolean): void {
  clocks.patience = isToolCall ? toolCallPatience : 1
  if (at - clocks.contentSince > clocks.longestGapMs) clocks.longestGapMs = at - clocks.contentSince
  clocks.contentSince = at
}

/** The answer is whole; the provider has a moment to end. */
export function finishCame(clocks: Clocks): void {
  lingerFor(clocks, lingerMs)
}

/** Nothing is to come any more, but the answer is not checked yet: of all clocks only that of the call goes on. */
export function awaitDeadline(clocks: Clocks): void {
  clocks.stopped = false
  clocks.transport = undefined
  clocks.content = undefined
  clocks.queuedUntil = Infinity
  if (clocks.options.deadline < Infinity) arm(clocks, clocks.options.deadline)
}

/** The answer seems to be over: what may still come has so long, whatever signs of life come meanwhile. */
export function lingerFor(clocks: Clocks, forMs: number): void {
  clocks.patience = 1
  waitForChunk(clocks, forMs)
}

/** The reader is behind and we read no further: that silence is ours. */
export function pauseClocks(clocks: Clocks): void {
  clocks.content = undefined
}

export function stopClocks(clocks: Clocks): void {
  clocks.stopped = true
  clocks.options.clock.clearTimeout(clocks.handle)
}

/** Content is there, so that headers and places in queues are no matter any more. */
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
  // a timer may fire a fraction of a millisecond early: then it is the time that it was set for
  if (Math.max(now, firesAt) < at) return arm(clocks, at)
  stopClocks(clocks)
  clocks.onTimeout(name, now - since)
}

/** Which clock ends the attempt next, and when. Of two at the same time, the more telling one. */
function due(clocks: Clocks): { readonly at: number; readonly name: ClockName; readonly since: number } {
  const { startedAt, queuedUntil, content, contentSince, transport, transportSince, patience } = clocks
  let next = { at: clocks.options.deadline, name: 'total' as ClockName, since: startedAt }
  const { firstContentAt, callStartedAt } = clocks.options
  if (content === 'firstChunk' && firstContentAt <= next.at)
    next = { at: firstContentAt, name: 'firstContent', since: callStartedAt }
  if (queuedUntil <= next.at) next = { at: queuedUntil, name: 'queued', since: startedAt }
  const contentAt = contentSince + clocks.contentLimitMs * patience
  if (content !== undefined && contentAt <= next.at) next = { at: contentAt, name: content, since: contentSince }
  const transportAt = transportSince + clocks.transportLimitMs * patience
  if (transport !== undefined && transportAt <= next.at) next = { at: transportAt, name: transport, since: transportSince }
  return next
}

/** What is said of an attempt that one of its clocks has ended. */
export function timeoutError(name: ClockName, afterMs: number): ProviderError {
  const waited = `${Math.round(afterMs)} ms`
  const what: Record<ClockName, string> = {
    connect: `No connection after ${waited} (connectMs).`,
    headers: `No response headers after ${waited} (headersMs).`,
    firstChunk: `No content after ${waited} (firstChunkMs).`,
    queued: `Still queued after ${waited}: only keep-alives came (queuedMs).`,
    chunk: `Silent for ${waited} in the middle of the answer (chunkMs).`,
    firstContent: `The call had no content after ${waited} (firstContentMs).`,
    total: `The call's time was over after ${waited} (totalMs).`,
  }
  return new ProviderError(what[name], { reason: 'timeout', clock: name })
}

/** What is said of an answer that came whole, but whose check did not end in time. */
export function uncheckedError(afterMs: number): ProviderError {
  const over = `The call's time was over after ${Math.round(afterMs)} ms (totalMs)`
  const message = `${over} while its answer was checked: a schema had not settled.`
  return new ProviderError(message, { reason: 'timeout', clock: 'total', charged: 'nobody' })
}

/** A silence is none of an answer's usual pauses when it lasts so long, and many times the longest of them. Before the first content no pause is known. */
const silenceMs = 5_000
const firstSilenceMs = 10_000
const pauseFactor = 10

/**
 * A connection that breaks after a long silence is a silence that has ended: to ask the same target again is to wait once more. Undefined:
 * it broke for another reason.
 */
export function endOfSilence(clocks: Clocks, cause: ProviderError): ProviderError | undefined {
  const { content, contentSince, longestGapMs, options } = clocks
  // without `content` the reader holds us up: that silence is ours
  if (content === undefined || (cause.reason !== 'truncated' && cause.reason !== 'network')) return undefined
  const silentMs = options.clock.now() - contentSince
  const hasBegun = content === 'chunk'
  if (silentMs < (hasBegun ? Math.max(silenceMs, pauseFactor * longestGapMs) : firstSilenceMs)) return undefined
  const when = hasBegun ? 'in the middle of the answer' : 'without any content'
  const { status, requestId, usage } = cause
  return new ProviderError(`Silent for ${Math.round(silentMs)} ms ${when}, then the connection broke.`, {
    ...{ reason: 'timeout', clock: hasBegun ? 'chunk' : 'firstChunk', status, requestId, usage, cause },
  })
}

/** An attempt that a clock has ended without any content. */
type Silence = {
  readonly clock: ClockName | undefined
  readonly silentMs: number
  /** What nearly all of the target's first chunks take; 0: not known. */
  readonly usualMs: number
  readonly firstChunkMs: number
  /** It has taken the request, and thinks without a sign. */
  readonly isThinking: boolean
}

/** The clocks that end a call which came late, as well as a target that is slow. */
const saysLittle: ReadonlySet<ClockName | undefined> = new Set(['total', 'firstContent', 'firstChunk', 'queued'])

/** Silence shorter than this says nothing about a target that is not known well. */
const fairMs = 2_000

/** The same of one that thinks without a sign: not even a limit that somebody has chosen makes that a failure of the target (F9). */
const thoughtMs = 60_000

/**
 * A call that comes with its last second must not have a target counted as silent. Where many wait for one target, each of them would
 * close it again for all the others.
 */
export function saysMuch({ clock, silentMs, usualMs, firstChunkMs, isThinking }: Silence): boolean {
  if (!saysLittle.has(clock)) return true
  if (isThinking) return silentMs >= Math.max(thoughtMs, usualMs * 1.3)
  return silentMs >= Math.min(firstChunkMs, Math.max(fairMs, usualMs * 1.3))
}
