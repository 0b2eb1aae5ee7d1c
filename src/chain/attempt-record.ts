import type { AttemptRecord, ProviderEvent } from '../contract.ts'
import type { ProviderError } from '../errors.ts'
import type { ChainTarget, RunningAttempt } from './state.ts'

/** How a target is called wherever something is said of it. */
export function namesOf({ provider, model, name, targetIndex, step }: ChainTarget) {
  return { provider: provider.name, model, name, targetIndex, step }
}

export type Failed = (ProviderEvent & { type: 'asked-again' })['failure']

/** One request as `attempts` tells it: the last of an attempt, or one that its provider followed by another. */
export function recordOf(run: RunningAttempt, outcome: AttemptRecord['outcome'], error: Failed | undefined): AttemptRecord {
  return {
    ...namesOf(run.options.target),
    attempt: run.attempt,
    outcome,
    reason: error?.reason,
    message: error?.message,
    status: error?.status ?? run.status,
    clock: error?.clock,
    requestId: error?.requestId ?? run.requestId,
    waitMs: run.options.waitMs,
    durationMs: run.options.clock.now() - run.startedAt,
    firstChunkMs: run.firstChunkMs,
    chunks: run.chunks - run.earlierChunks,
    continuedFrom: run.options.fold.overrides?.prefix?.text.length,
    usage: run.usage ?? error?.usage,
  }
}

/** Providers need not know who they are in a chain: the attempt fills in their errors. The one place that writes to an error. */
export function signError(error: ProviderError, target: ChainTarget, requestId: string | undefined): void {
  const unsigned = error as { provider: string; model: string; requestId: string | undefined }
  if (unsigned.provider === '') unsigned.provider = target.provider.name
  if (unsigned.model === '') unsigned.model = target.model
  unsigned.requestId ??= requestId
}
