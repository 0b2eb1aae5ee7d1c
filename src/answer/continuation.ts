import type { Failure, FailureReason, Prefix, Source, Usage } from '../contract.ts'
import type { Fold } from './answer.ts'

/**
 * What happens when an answer breaks off after its first token.
 *
 * - `fail`: a stream throws a `StreamInterruptedError` with what has come. As long as only reasoning has come, another attempt begins
 *   anew, as with `restart`.
 * - `restart`: another attempt begins anew, and a `restart` event comes before its first delta.
 * - `continue`: another attempt goes on where the broken one stopped, on targets that truly can; elsewhere it restarts.
 */
export type AfterFirstToken = 'fail' | 'restart' | 'continue'

export type ContinuationOptions = {
  readonly afterFirstToken: AfterFirstToken
  /** How often a target may be asked to go on after it stopped at its own output limit. */
  readonly continueOnLength: number
  readonly maxOutputTokens: number | undefined
  /** A typed answer or one with tools has a form that no continuation may run through. */
  readonly isPlainText: boolean
}

/** What there is of an answer that is not whole yet. */
export type Kept = Prefix & {
  readonly usage: Usage
  /** Tokens made: what was reported, at least one for each delta. */
  readonly tokens: number
  readonly hasToolCall: boolean
}

/** What the reader of a stream holds of an answer, and why it broke off; undefined when it did not. */
export type Broken = { readonly kept: Kept; readonly failure: Failure | undefined }

/** Decides, for one call, whether the next attempt goes on from what there is or begins anew. */
export type Continuation = {
  readonly options: ContinuationOptions
  lengthsLeft: number
  /** The last answer stopped at its target's own limit, and is gone on with. */
  isLength: boolean
  /** How many characters there were when a target was asked to go on, by its index; `null`: it refused. Most calls ask nobody. */
  asked: Map<number, number | null> | undefined
}

export function createContinuation(options: ContinuationOptions): Continuation {
  return { options, lengthsLeft: options.continueOnLength, isLength: false, asked: undefined }
}

/** How this target goes on from there; undefined: it begins anew. */
export function overridesFor(continuation: Continuation, kept: Kept | undefined, source: Source): Fold['overrides'] {
  const { options, isLength, asked } = continuation
  const { maxOutputTokens } = options
  if (typeof asked?.get(source.targetIndex) === 'number') asked.delete(source.targetIndex)
  if (!(isLength || options.afterFirstToken === 'continue') || !canGoOn(continuation, kept, source)) return undefined
  continuation.asked ??= new Map()
  continuation.asked.set(source.targetIndex, kept.text.length)
  const prefix = { text: kept.text, reasoningText: kept.reasoningText }
  // a resumed answer must not become longer than the whole was allowed to be
  return maxOutputTokens === undefined ? { prefix } : { prefix, maxOutputTokens: maxOutputTokens - kept.tokens }
}

/** The last attempt broke off. */
export function continuationFailed(continuation: Continuation): void {
  continuation.isLength = false
}

/**
 * This target was asked to go on from there and answered that it cannot: it is asked to begin anew, at once, and to go on never again.
 * A caller must not get the 400 of a prefix that we sent.
 */
export function prefixWasRefused(
  { asked }: Continuation,
  failed: { failure: Failure; source: Source; kept: Kept | undefined },
): boolean {
  const { failure, source, kept } = failed
  const from = asked?.get(source.targetIndex) ?? undefined
  // what has come of the continuation proves the continuation: then it broke for another reason
  if (from === undefined || !notResumable.has(failure.reason) || (kept?.text.length ?? 0) > from) return false
  asked?.set(source.targetIndex, null)
  return true
}

/** The answer stopped at the target's own limit: may it be asked to go on? Takes one of `continueOnLength`. */
export function mayContinue(continuation: Continuation, kept: Kept, source: Source): boolean {
  continuation.isLength = continuation.lengthsLeft > 0 && canGoOn(continuation, kept, source)
  if (continuation.isLength) continuation.lengthsLeft -= 1
  return continuation.isLength
}

function canGoOn({ options, asked }: Continuation, kept: Kept | undefined, { provider, targetIndex }: Source): kept is Kept {
  if (kept === undefined || kept.text === '' || kept.hasToolCall || !options.isPlainText) return false
  if (options.maxOutputTokens !== undefined && kept.tokens >= options.maxOutputTokens) return false
  return provider.capabilities?.prefix === true && asked?.get(targetIndex) !== null
}

/** What a server answers that does not take a prefix, has no endpoint for it, has no room for it, or began the answer again. */
const notResumable: ReadonlySet<FailureReason> = new Set([
  'invalid-request',
  'not-found',
  'context-length',
  'malformed-response',
  'empty',
])
