import type { Answer, GenerateResult } from './answer/answer.ts'
import { collectAnswer } from './answer/collect.ts'
import { callEnd, callStart, type Ended } from './call-events.ts'
import type { ClientState, CommitOptions, PreparedCall } from './call-state.ts'
import { chosenTargets } from './call-targets.ts'
import { accountsFor } from './chain/account.ts'
import { follow } from './chain/signal.ts'
import type { ChainTarget, Hedge, Walked } from './chain/state.ts'
import { walkChain } from './chain/walk.ts'
import { costOfAll, costsOf } from './cost.ts'
import { defaultFor } from './default-response.ts'
import { ChainExhaustedError } from './errors.ts'
import type { GenerateInput } from './options.ts'
import { copyInput, loadSchemas, prepareCall } from './prepare-call.ts'

type Ending = Omit<Ended, 'stream'>

/** Runs a call that resolves with the complete answer. */
export async function runGenerate(client: ClientState, given: string | GenerateInput): Promise<GenerateResult> {
  const input = copyInput(given)
  const loading = loadSchemas(input)
  if (loading !== undefined) await loading
  const call = prepareCall(client, input)
  return runCall(client, call, { sink: collectAnswer(call), stream: false, mayDefault: always })
}

const always = () => true

/** Runs one call from its input to its result. `generate()` and `stream()` differ only in their sink. */
export async function runCall(client: ClientState, prepared: PreparedCall, commit: CommitOptions): Promise<GenerateResult> {
  const { signal } = prepared
  const { running } = client
  const stopFollowing = follow(prepared.given.signal, signal)
  let ending: Ending = { outcome: 'failed' }
  running.add(signal)
  const { stream } = commit
  prepared.tell?.(callStart(client, prepared, stream))
  try {
    const result = await askChain(client, prepared, commit)
    ending = { outcome: 'answered', result }
    return result
  } catch (error) {
    ending = { outcome: 'failed', error }
    if (!ChainExhaustedError.isInstance(error) || !commit.mayDefault()) throw error
    const result = await defaultFor(client, prepared, error)
    if (result === undefined) throw error
    ending = { outcome: 'degraded', result, error }
    return result
  } finally {
    running.delete(signal)
    stopFollowing()
    const isAborted = signal.aborted && ending.outcome === 'failed'
    tellEnd(client, prepared, { ...(isAborted ? { outcome: 'aborted', error: signal.reason } : ending), stream })
  }
}

function askChain(client: ClientState, prepared: PreparedCall, { sink }: CommitOptions): Promise<GenerateResult> {
  const { callId, call, startedAt, signal, given, tell, limits } = prepared
  const { clock, random, hedge, probeMs, background, options } = client
  const hasBudgets = client.hasBudgets || client.hasLaterBudgets?.() === true
  hedge?.called()
  return walkChain({
    callId,
    call,
    sink,
    clock,
    random,
    startedAt,
    deadline: startedAt + limits.totalMs,
    firstContentAt: startedAt + limits.firstContentMs,
    hasDefault: (given.defaultResponse ?? options.defaultResponse) !== undefined,
    // a hedge is an early fallback
    hedge: given.fallback === false ? undefined : hedge,
    hasFallback: given.fallback !== false,
    accounts: given.maxCost === undefined && !hasBudgets ? undefined : accountsFor(client.account, given.maxCost),
    probeMs,
    background,
    tell,
    targets: targetsOf(client, prepared),
    signal,
    decide: options.decide,
  }).then(walked => resultOf(walked, hedge))
}

/** Returns the targets of this call. Features that a chain and a call do not use cost nothing here. */
function targetsOf(client: ClientState, { call, given }: PreparedCall): readonly ChainTarget[] {
  const { targets, steps, hasConditions } = client
  const isPlain = !hasConditions && steps.length === targets.length && given.targets === undefined && given.timeout === undefined
  return isPlain ? targets : chosenTargets(client, call, given)
}

function resultOf({ answer, target, attempts }: Walked, hedge: Hedge | undefined): GenerateResult {
  const { provider, model, name, targetIndex, step } = target
  const cost = costOfAll(attempts)
  hedge?.paid(cost ?? 0)
  return {
    ...answer,
    message: messageOf(answer),
    cost,
    costIsUpperBound: attempts.some(record => record.costIsUpperBound),
    costs: costsOf(attempts),
    provider: provider.name,
    model,
    name,
    targetIndex,
    step,
    attempts,
    degraded: false,
  }
}

function tellEnd(client: ClientState, prepared: PreparedCall, ended: Ended): void {
  client.activity.called(ended.outcome, ended.result?.step)
  prepared.tell?.(callEnd(client, prepared, ended))
}

/** Returns the answer as a turn of the conversation. Fields without a value are left out. */
function messageOf({ text, reasoningText, toolCalls, providerMetadata }: Answer): GenerateResult['message'] {
  return {
    role: 'assistant',
    content: text,
    ...(reasoningText === '' ? undefined : { reasoningText }),
    ...(toolCalls.length === 0 ? undefined : { toolCalls }),
    ...(providerMetadata === undefined ? undefined : { providerMetadata }),
  }
}
