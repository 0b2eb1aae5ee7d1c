import type { Charged, ClockName } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'
import type { Outcome } from '../health/outcome.ts'
import type { Clocks } from './clocks.ts'
import { chargeOf } from './policy.ts'
import type { ChainTarget, RunningAttempt } from './state.ts'

/** Returns the error of a failed attempt: `cause`, or a timeout for the silence before it, with the provider and model filled in. */
export function failureOf(run: RunningAttempt, cause: ProviderError): ProviderError {
  const error = run.finished ? cause : (endOfSilence(run.clocks, cause) ?? cause)
  signError(error, run.options.target, run.requestId)
  return error
}

/** Fills in the provider and model, because providers need not know their target. The only place that writes to an error. */
function signError(error: ProviderError, target: ChainTarget, requestId: string | undefined): void {
  const unsigned = error as { provider: string; model: string; requestId: string | undefined }
  if (unsigned.provider === '') unsigned.provider = target.provider.name
  if (unsigned.model === '') unsigned.model = target.model
  unsigned.requestId ??= requestId
}

/** Returns what health learns from a failure: nothing if the target did not have its usual time. */
export function verdictOf(run: RunningAttempt, failure: ProviderError): Outcome {
  return hadFairTime(run, failure) ? { failure, charged: chargedFor(run, failure) } : 'abandoned'
}

function chargedFor({ options }: RunningAttempt, error: ProviderError): Charged {
  const charged = chargeOf(error)
  // a server without a prefix endpoint answers 404; the model itself is fine
  return charged === 'model' && options.fold.overrides?.prefix !== undefined ? 'nobody' : charged
}

function hadFairTime(run: RunningAttempt, { clock }: ProviderError): boolean {
  if (run.chunks > 0) return true
  const { clock: time, target, thinks, firstChunkMs } = run.options
  const usualMs = target.health.firstChunk()?.p98 ?? 0
  const isThinking = thinks && run.status !== undefined
  return saysMuch({ clock, silentMs: time.now() - run.startedAt, usualMs, firstChunkMs, isThinking })
}

/** Returns the failure of an attempt whose clock ran out. */
export function timeoutError(name: ClockName, afterMs: number): ProviderError {
  const waited = `${Math.round(afterMs)} ms`
  const what: Record<ClockName, string> = {
    connect: `No connection after ${waited} (connectMs).`,
    headers: `No response headers after ${waited} (headersMs).`,
    firstChunk: `No content after ${waited} (firstChunkMs).`,
    queued: `Still queued after ${waited}: only keep-alives came (queuedMs).`,
    chunk: `Silent for ${waited} in the middle of the answer (chunkMs).`,
    firstContent: `The call had no content after ${waited} (firstContentMs).`,
    total: `The call's time ran out after ${waited} (totalMs).`,
  }
  return new ProviderError(what[name], { reason: 'timeout', clock: name })
}

/** Returns the failure when a configured limit does not allow to repeat a request with changes; undefined: it allows it. */
export function blockedAgain({ options: { permit, clock } }: RunningAttempt): ProviderError | undefined {
  const now = clock.now()
  const until = permit.usage?.again(now) ?? now
  if (until <= now) return undefined
  const message = 'The request must be changed and sent again, but limits.requestsPerMinute allows no further request yet.'
  return new ProviderError(message, { reason: 'rate-limit', retryAfterMs: until - now, charged: 'nobody' })
}

/** Whether the server may still be at work on a failed request. It is not if it never got the request, or has refused it. */
export function mayBeAtWork({ isUnsent, over }: RunningAttempt, error: unknown): boolean {
  if (over) return true
  return isUnsent !== true && !(ProviderError.isInstance(error) && (error.status ?? 0) >= 400)
}

/** Returns the failure of a complete answer whose validation did not finish in time. */
export function uncheckedError(afterMs: number): ProviderError {
  const over = `The call's time ran out after ${Math.round(afterMs)} ms (totalMs)`
  const message = `${over} while its answer was being checked: a schema had not finished.`
  return new ProviderError(message, { reason: 'timeout', clock: 'total', charged: 'nobody' })
}

/**
 * A silence at least this long, and many times longer than the longest pause of the answer so far, is not a usual pause. Before the first
 * content no pause is known.
 */
const silenceMs = 5_000
const firstSilenceMs = 10_000
const pauseFactor = 10

/**
 * A connection that breaks after a long silence is reported as a timeout, because a retry of the same target would only wait again.
 * Undefined: there was no such silence.
 */
function endOfSilence(clocks: Clocks, cause: ProviderError): ProviderError | undefined {
  const { content, contentSince, longestGapMs, options } = clocks
  // without `content` a slow reader has paused the attempt: the silence is not the target's
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

/** The measurements of an attempt that a clock ended before any content. */
type Silence = {
  readonly clock: ClockName | undefined
  readonly silentMs: number
  /** Nearly all first chunks of the target come within this time; 0: not known. */
  readonly usualMs: number
  readonly firstChunkMs: number
  /** The target has accepted the request and reasons in silence. */
  readonly isThinking: boolean
}

/** These clocks may run out because the call was late, not because the target was slow. */
const saysLittle: ReadonlySet<ClockName | undefined> = new Set(['total', 'firstContent', 'firstChunk', 'queued'])

/** A shorter silence proves nothing about a target whose usual times are not known. */
const fairMs = 2_000

/** The same for a target that reasons in silence, even if the caller chose a shorter limit (F9). */
const thoughtMs = 60_000

/**
 * Whether the silence counts against the target. It does not when the call arrived with its last second: where many calls wait for one
 * target, each of them would reopen its breaker for all others.
 */
function saysMuch({ clock, silentMs, usualMs, firstChunkMs, isThinking }: Silence): boolean {
  if (!saysLittle.has(clock)) return true
  if (isThinking) return silentMs >= Math.max(thoughtMs, usualMs * 1.3)
  return silentMs >= Math.min(firstChunkMs, Math.max(fairMs, usualMs * 1.3))
}
