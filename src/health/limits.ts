import type { Clock, Usage as TokenUsage } from '../contract.ts'
import type { TargetLimits } from '../contract-targets.ts'
import type { Cause, Guard } from './availability.ts'
import { isSame, shareOf, type Share } from './limit-share.ts'
import { estimateOf, reportedTokens, type Sized } from './request-size.ts'
import { createTimer, type Timer } from './timer.ts'

/**
 * The configured limits of one target: requests in flight, requests per minute and tokens per minute. The user set them, so no call exceeds
 * them, not even a probe or a last resort.
 */
export type Limits = Guard & {
  /** Returns until when this request must wait. Infinity: until a request in flight ends, or forever if `refuse` returns a cause. */
  blockedUntil(now: number, call?: Sized): number
  /** Returns why this request can never be sent: it alone exceeds the tokens per minute. Undefined: it can be sent. */
  refuse(call: Sized): Cause | undefined
  /** Returns how many requests may start now. */
  room(now: number): number
  /** Counts a request that starts now. It counts for a minute, whatever its outcome. */
  start(now: number, call: Sized | undefined): Usage
  /** Forgets the requests that servers may still be working on, and clears their timer. */
  close(): void
  /** Divides the limits among this number of processes. */
  divide(processes: number): void
  /** Returns the limits of this process, and how much of them is used. */
  look(now: number): LimitsSnapshot
  /** Whether these limits equal the configured ones. */
  isSame(limits: TargetLimits | undefined): boolean
}

/** The share of the limits that one request uses. */
export type Usage = {
  /** Asks to send another request of the attempt. Returns when it may start, and counts it if that is not after `now`. */
  again(now: number): number
  /** Corrects the size of the request, which turned out to be larger or smaller. */
  resize(call: Sized): void
  /** Records the tokens that the server reported; undefined: none were reported, so the estimate stands. */
  used(tokens: TokenUsage | undefined): void
  /** Removes the request, because it was not sent after all. */
  cancel(): void
  /**
   * The provider has finished the request, which may be later than the end of its attempt. `isBroken`: the request was broken off, so the
   * server may need a moment to notice.
   */
  finished(isBroken: boolean): void
}

/** The limits of this process, and how much of them is used. In a fleet each process has its share. */
export type LimitsSnapshot = {
  /** Requests in flight. */
  readonly concurrency: LimitUse | undefined
  /** Requests that started within the last minute. */
  readonly requestsPerMinute: LimitUse | undefined
  /** Tokens of the requests that started within the last minute, estimated until their usage is known. */
  readonly tokensPerMinute: LimitUse | undefined
}

export type LimitsOptions = {
  readonly clock: Clock
  /** Called when another request may start. */
  readonly onFree: () => void
}

/** A limit, and how much of it is used now. */
export type LimitUse = { readonly limit: number; readonly used: number }

/** A minute including both of its ends, because a server may count either end. */
const minuteMs = 60_001

/** How long a busy server may need to notice that we closed a connection: until then the next request would be one too many. */
const noticeMs = 50

type Request = {
  readonly at: number
  tokens: number
  /** Whether the request started within the last minute, so that its tokens are in the sum. */
  isCounted: boolean
}

type LimitsState = LimitsOptions &
  Share & {
    readonly limits: TargetLimits
    inFlight: number
    /** The times at which the server will have noticed broken-off requests; one entry for each request, in order. */
    readonly broken: number[]
    readonly timer: Timer
    isClosed: boolean
    /** The requests of the last minute, oldest first, from `first` on. */
    started: Request[]
    first: number
    /** The sum of the tokens of these requests. */
    sum: number
    cause: Cause
  }

export function createLimits(limits: TargetLimits, options: LimitsOptions): Limits {
  const { clock } = options
  const state: LimitsState = {
    ...{ limits, ...options, inFlight: 0, broken: [], isClosed: false, ...shareOf(limits, 1) },
    timer: createTimer(clock, () => freeBroken(state, clock.now()), { keepsProcess: false }),
    ...{ started: [], first: 0, sum: 0, cause: { reason: 'rate-limit', message: '' } },
  }
  return {
    blockedUntil: (now, call) => blockedUntil(state, now, call),
    needsProbe: () => false,
    cause: () => state.cause,
    refuse: call => refuse(state, call),
    room: now => room(state, now),
    start: (now, call) => start(state, now, call),
    close() {
      state.isClosed = true
      freeBroken(state, Infinity)
    },
    divide: processes => void Object.assign(state, shareOf(limits, processes)),
    look: now => look(state, now),
    isSame: other => isSame(limits, other),
  }
}

/** Frees the places of broken-off requests that the server has noticed by now. */
function freeBroken(state: LimitsState, now: number): void {
  const { broken, timer } = state
  while (broken[0] !== undefined && broken[0] <= now) {
    broken.shift()
    free(state)
  }
  const next = broken[0]
  if (next === undefined) timer.clear()
  else timer.set(next)
}

function free(state: LimitsState): void {
  state.inFlight -= 1
  state.onFree()
}

function blockedUntil(state: LimitsState, now: number, call: Sized | undefined): number {
  forget(state, now)
  const { concurrency, inFlight } = state
  const slotAt = inFlight < concurrency ? never : Infinity
  const requestAt = requestFreeAt(state)
  const tokensAt = tokensFreeAt(state, call)
  const until = Math.max(slotAt, requestAt, tokensAt)
  if (until === never) return never
  if (until === tokensAt) block(state, `${tokensMessage(state, call)} (limits.tokensPerMinute)`)
  else if (until === slotAt) block(state, `${inFlight} of ${concurrency} requests are in flight (limits.concurrency)`)
  else block(state, `It had ${state.requests} requests within the last minute (limits.requestsPerMinute)`)
  return until
}

const never = Number.NEGATIVE_INFINITY

function refuse({ tokens }: LimitsState, call: Sized): Cause | undefined {
  if (tokens === Infinity || estimateOf(call) <= tokens) return undefined
  return { reason: 'rate-limit', message: `${tooLarge(estimateOf(call), tokens)} (limits.tokensPerMinute).` }
}

function tooLarge(needed: number, allowed: number): string {
  return `This request alone may need ${needed} tokens, but only ${allowed} are allowed per minute`
}

function block(state: LimitsState, message: string): void {
  state.cause = { reason: 'rate-limit', message: `${message}.` }
}

function tokensMessage({ tokens, sum }: LimitsState, call: Sized | undefined): string {
  const needed = call === undefined ? 0 : estimateOf(call)
  if (needed > tokens) return tooLarge(needed, tokens)
  return `${Math.ceil(sum)} of the ${tokens} tokens of this minute are used, and this request may need ${needed}`
}

/** Returns when the limit of requests per minute allows one more. */
function requestFreeAt({ requests, started, first }: LimitsState): number {
  const count = started.length - first
  if (count < requests) return never
  // The share of a process may have become smaller than what it has used.
  return (started[first + count - requests]?.at ?? never) + minuteMs
}

/** Returns when enough tokens are free for this request; without a request, when any are free. */
function tokensFreeAt({ tokens, sum, started, first }: LimitsState, call: Sized | undefined): number {
  if (tokens === Infinity) return never
  const needed = call === undefined ? 1 : estimateOf(call)
  if (needed > tokens) return Infinity
  let left = sum
  let until = never
  for (let index = first; left + needed > tokens; index += 1) {
    const request = started[index]
    if (request === undefined) break
    left -= request.tokens
    until = request.at + minuteMs
  }
  return until
}

function room(state: LimitsState, now: number): number {
  forget(state, now)
  const { concurrency, inFlight, requests, tokens, started, first } = state
  // With a token limit one request may start at a time: the need of the next waiter is checked when this one has started.
  const byTokens = tokens === Infinity ? Infinity : 1
  return Math.min(concurrency - inFlight, requests - (started.length - first), byTokens)
}

function start(state: LimitsState, now: number, call: Sized | undefined): Usage {
  const { clock, tokens } = state
  state.inFlight += 1
  let request = add(state, now, tokens === Infinity || call === undefined ? 0 : estimateOf(call))
  let isInFlight = true
  const finished = (isBroken: boolean) => {
    if (!isInFlight) return
    isInFlight = false
    if (!isBroken || state.isClosed || state.concurrency === Infinity) return free(state)
    const noticedAt = clock.now() + noticeMs
    state.broken.push(noticedAt)
    if (!state.timer.isSet()) state.timer.set(noticedAt)
  }
  return {
    again(at) {
      forget(state, at)
      const until = requestFreeAt(state)
      if (until === never) request = add(state, at, request.tokens)
      return until
    },
    resize(sent) {
      if (tokens < Infinity) correct(state, request, estimateOf(sent))
    },
    used(usage) {
      correct(state, request, reportedTokens(usage, request.tokens))
    },
    cancel() {
      drop(state, request)
      finished(false)
    },
    finished,
  }
}

/** Removes a request that was never sent. It started a moment ago, so the search begins at the end. */
function drop(state: LimitsState, request: Request): void {
  if (!request.isCounted) return
  request.isCounted = false
  state.sum -= request.tokens
  state.started.splice(state.started.lastIndexOf(request), 1)
}

function add(state: LimitsState, at: number, tokens: number): Request {
  const { limits } = state
  const isCounted = limits.requestsPerMinute !== undefined || limits.tokensPerMinute !== undefined
  const request: Request = { at, tokens, isCounted }
  // A limit of concurrency alone needs no list of requests.
  if (!isCounted) return request
  state.started.push(request)
  state.sum += tokens
  return request
}

function correct(state: LimitsState, request: Request, tokens: number): void {
  if (request.isCounted) state.sum += tokens - request.tokens
  request.tokens = tokens
}

/** Forgets requests older than a minute. The list is cut only when more than half of it is forgotten, so that most requests move no entries. */
function forget(state: LimitsState, now: number): void {
  const { started } = state
  for (let oldest = started[state.first]; oldest !== undefined && oldest.at + minuteMs <= now; oldest = started[state.first]) {
    state.sum -= oldest.tokens
    oldest.isCounted = false
    state.first += 1
  }
  if (state.first <= started.length / 2) return
  state.started = started.slice(state.first)
  state.first = 0
}

function look(state: LimitsState, now: number): LimitsSnapshot {
  forget(state, now)
  const { concurrency, inFlight, requests, tokens, started, first, sum } = state
  const use = (limit: number, used: number) => (limit === Infinity ? undefined : { limit, used })
  return {
    concurrency: use(concurrency, inFlight),
    requestsPerMinute: use(requests, started.length - first),
    tokensPerMinute: use(tokens, Math.ceil(sum)),
  }
}
