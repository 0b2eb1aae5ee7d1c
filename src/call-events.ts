import type { GenerateResult } from './answer/answer.ts'
import type { ClientState, PreparedCall } from './call-state.ts'
import type { ClientEvent } from './contract-events.ts'
import { costOfAll } from './cost.ts'
import { ChainExhaustedError } from './errors.ts'

type CallEnd = ClientEvent & { readonly type: 'call-end' }

/** How a call ended. */
export type Ended = {
  readonly outcome: CallEnd['outcome']
  readonly result?: GenerateResult
  readonly error?: unknown
  readonly stream: boolean
}

export function callStart(client: ClientState, { callId, startedAt, call }: PreparedCall, stream: boolean): ClientEvent {
  const [targets, epochOffsetMs] = [client.targets.length, client.epochOffsetMs()]
  return { type: 'call-start', at: startedAt, callId, targets, metadata: call.metadata, stream, epochOffsetMs }
}

export function callEnd(client: ClientState, prepared: PreparedCall, { outcome, result, error, stream }: Ended): ClientEvent {
  const { callId, startedAt, call, signal } = prepared
  const at = client.clock.now()
  const attempts = result?.attempts ?? (ChainExhaustedError.isInstance(error) ? error.attempts : signal.attempts)
  return {
    type: 'call-end',
    at,
    callId,
    stream,
    outcome,
    durationMs: at - startedAt,
    provider: result?.provider,
    model: result?.model,
    targetIndex: result?.targetIndex,
    step: result?.step,
    attempts: attempts ?? [],
    usage: result?.usage,
    cost: attempts === undefined ? undefined : costOfAll(attempts),
    metadata: call.metadata,
    error,
  }
}
