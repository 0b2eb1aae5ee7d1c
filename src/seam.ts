import type { Failure, FailureReason, Fold, Prefix, Source, Usage } from './contract.ts'

/**
 * What happens when an answer breaks off after its first token.
 *
 * - `fail`: a stream throws a `StreamInterruptedError` with what has come.
 * - `restart`: another attempt begins anew, and a `restart` event comes before its first delta.
 * - `continue`: another attempt goes on where the broken one stopped, on targets that truly can; elsewhere it restarts.
 */
export type AfterFirstToken = 'fail' | 'restart' | 'continue'

export type SeamOptions = {
  readonly afterFirstToken: AfterFirstToken
  /** How often a target may be asked to go on after it stopped at its own output limit. */
  readonly continueOnLength: number
  readonly maxOutputTokens: number | undefined
  /** A typed answer or one with tools has a form that no seam may run through. */
  readonly isPlainText: boolean
}

/** What there is of an answer that is not whole yet. */
export type Kept = Prefix & {
  readonly usage: Usage
  /** Deltas received, about one a token. */
  readonly chunks: number
  readonly hasToolCall: boolean
}

/** Decides, for one call, whether the next attempt goes on from what there is or begins anew. */
export type Seam = {
  /** How this target goes on from there; undefined: it begins anew. */
  resumeOn(kept: Kept | undefined, source: Source): Fold<unknown>['resume']
  failed(failure: Failure): void
  /** Why the last attempt broke off. */
  reason(): FailureReason
  /** The answer stopped at the target's own limit: may it be asked to go on? Takes one of `continueOnLength`. */
  takeLength(kept: Kept, source: Source): boolean
}

export function createSeam(options: SeamOptions): Seam {
  const { maxOutputTokens } = options
  const refused = new Set<number>()
  let lengthsLeft = options.continueOnLength
  let isLength = false
  let reason: FailureReason = 'truncated'
  let resumed: number | undefined

  const canGoOn = (kept: Kept | undefined, { provider, targetIndex }: Source): kept is Kept => {
    if (kept === undefined || kept.text === '' || kept.hasToolCall || !options.isPlainText) return false
    if (maxOutputTokens !== undefined && kept.chunks >= maxOutputTokens) return false
    return provider.capabilities?.prefix === true && !refused.has(targetIndex)
  }

  return {
    resumeOn(kept, source) {
      resumed = undefined
      if (!(isLength || options.afterFirstToken === 'continue') || !canGoOn(kept, source)) return undefined
      resumed = source.targetIndex
      const prefix = { text: kept.text, reasoningText: kept.reasoningText }
      // a resumed answer must not become longer than the whole was allowed to be
      return maxOutputTokens === undefined ? { prefix } : { prefix, maxOutputTokens: maxOutputTokens - kept.chunks }
    },
    failed(failure) {
      reason = failure.reason
      isLength = false
      // it declared that it can go on, and cannot for this model: it is not asked to again
      if (resumed !== undefined && notResumable.has(failure.reason)) refused.add(resumed)
    },
    reason: () => reason,
    takeLength(kept, source) {
      isLength = lengthsLeft > 0 && canGoOn(kept, source)
      if (isLength) lengthsLeft -= 1
      return isLength
    },
  }
}

/** What a server answers that does not take a prefix, or began the answer again. */
const notResumable: ReadonlySet<FailureReason> = new Set(['invalid-request', 'malformed-response', 'empty'])

export function addUsage(one: Usage, other: Usage): Usage {
  return {
    inputTokens: add(one.inputTokens, other.inputTokens),
    cachedInputTokens: add(one.cachedInputTokens, other.cachedInputTokens),
    outputTokens: add(one.outputTokens, other.outputTokens),
    reasoningTokens: add(one.reasoningTokens, other.reasoningTokens),
    totalTokens: add(one.totalTokens, other.totalTokens),
  }
}

function add(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined ? other : one + (other ?? 0)
}
