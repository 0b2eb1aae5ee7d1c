import type { Prefix, ProviderMetadata, Usage } from '../contract.ts'
import type { Source } from '../contract-events.ts'
import type { Failure, FailureReason } from '../contract-failures.ts'
import type { Fold } from './answer.ts'

/**
 * What happens when an answer breaks off after its first token.
 *
 * - `fail`: the stream throws a `StreamInterruptedError` with the text so far. While only reasoning was received, another attempt starts a
 *   new answer, as with `restart`.
 * - `restart`: another attempt starts a new answer; a `restart` event comes before its first delta.
 * - `continue`: another attempt resumes where the broken one stopped, on targets that support it; on others it restarts.
 */
export type AfterFirstToken = 'fail' | 'restart' | 'continue'

export type ContinuationOptions = {
  readonly afterFirstToken: AfterFirstToken
  /** How often a call may ask a target to continue after the target stopped at its own output limit. */
  readonly continueOnLength: number
  readonly maxOutputTokens: number | undefined
  /** False for an answer with a schema or with tools: such an answer is never continued. */
  readonly isPlainText: boolean
}

/** The part of an incomplete answer that was received. */
export type Kept = Prefix & {
  readonly usage: Usage
  /** The number of generated tokens: the server's count, but at least one per delta. */
  readonly tokens: number
  readonly hasToolCall: boolean
  /** What the services of this part require back. */
  readonly providerMetadata?: ProviderMetadata | undefined
}

/** The part of an answer that the reader of a stream has, and why the answer broke off; `failure` is undefined if it did not. */
export type Broken = { readonly kept: Kept; readonly failure: Failure | undefined }

/** Decides, for one call, whether the next attempt continues the text so far or starts a new answer. */
export type Continuation = {
  readonly options: ContinuationOptions
  lengthsLeft: number
  /** The last answer stopped at its target's own output limit and is being continued. */
  isLength: boolean
  /** How many characters each target was asked to continue from, by its index; `null`: it refused. Most calls continue nothing. */
  asked: Map<number, number | null> | undefined
}

/** Returns the changes to this target's call that make it continue; undefined: it starts a new answer. */
export function overridesFor(continuation: Continuation, kept: Kept | undefined, source: Source): Fold['overrides'] {
  const { options, isLength, asked } = continuation
  const { maxOutputTokens } = options
  if (typeof asked?.get(source.targetIndex) === 'number') asked.delete(source.targetIndex)
  if (!(isLength || options.afterFirstToken === 'continue') || !canGoOn(continuation, kept, source)) return undefined
  continuation.asked ??= new Map()
  continuation.asked.set(source.targetIndex, kept.text.length)
  const prefix = { text: kept.text, reasoningText: kept.reasoningText }
  // a continued answer must not exceed the limit of the whole answer
  return maxOutputTokens === undefined ? { prefix } : { prefix, maxOutputTokens: maxOutputTokens - kept.tokens }
}

/** The last attempt has failed. */
export function continuationFailed(continuation: Continuation): void {
  continuation.isLength = false
}

/**
 * Returns whether the target refused to continue. It is then asked at once for a new answer, and never again to continue: the caller
 * must not get a 400 for a prefix that we sent.
 */
export function prefixWasRefused(
  { asked }: Continuation,
  failed: { failure: Failure; source: Source; kept: Kept | undefined },
): boolean {
  const { failure, source, kept } = failed
  const from = asked?.get(source.targetIndex) ?? undefined
  // the continuation has delivered text, so the target supports it: the answer broke for another reason
  if (from === undefined || !notResumable.has(failure.reason) || (kept?.text.length ?? 0) > from) return false
  asked?.set(source.targetIndex, null)
  return true
}

/** Returns whether to ask a target that stopped at its own limit to continue. Uses up one of `continueOnLength`. */
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

/** The failures of a server that rejects prefixes, has no prefix endpoint, has no room for the prefix, or started the answer again. */
const notResumable: ReadonlySet<FailureReason> = new Set([
  'invalid-request',
  'not-found',
  'context-length',
  'malformed-response',
  'empty',
])
