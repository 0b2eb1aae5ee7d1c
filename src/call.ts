import { costOf, defaultResult, type GenerateResult, type Sink } from './answer/answer.ts'
import { type AnswerStream, toAnswerStream } from './answer/answer-stream.ts'
import { type ChainPool, orderPool } from './chain/pool.ts'
import type { ChainTarget, Hedge, Leg, Walked } from './chain/state.ts'
import { abort, type CallSignal, createSignal } from './chain/signal.ts'
import { walkChain } from './chain/walk.ts'
import { within } from './chain/within.ts'
import { askConditions, type Conditions, withConditions } from './chain/conditions.ts'
import { inOwnContext } from './call-context.ts'
import { checkInput } from './check-input.ts'
import { copyInput } from './copy-input.ts'
import type { Call, CallTimeoutSettings, ClientEvent, Clock, EventListener, Failure } from './contract.ts'
import { ChainExhaustedError, UnbusyError } from './errors.ts'
import { closeQueue } from './answer/event-queue.ts'
import {
  type ClientOptions,
  defaults,
  type GenerateInput,
  merge,
  resolveCall,
  continuationSettings,
  type ContinuationSettings,
} from './options.ts'
import { type AnswerForm, answerForm, loadForm } from './output/answer-form.ts'
import { createRepairs, type Repairs } from './output/repairs.ts'
import { type Broken, createContinuation, type Continuation } from './answer/continuation.ts'
import { brokenStream, finishStream, open, type Outlet } from './answer/stream.ts'
import { StreamInterruptedError } from './answer/stream-interrupted-error.ts'
import { collectAnswer } from './answer/collect.ts'

/** What the calls of one client have in common. */
export type Shared = {
  readonly options: ClientOptions
  readonly clock: Clock
  readonly random: () => number
  /** Undefined: nobody listens. */
  readonly tell: EventListener | undefined
  /** Every target, members of pools one by one. */
  readonly targets: readonly ChainTarget[]
  readonly steps: readonly (ChainPool | { readonly targets: readonly ChainTarget[] })[]
  readonly hedge: Hedge | undefined
  readonly probeMs: number
  readonly running: Set<CallSignal>
  readonly background: Set<Leg>
  calls: number
  closed: UnbusyError | undefined
}

type Begun = {
  readonly callId: number
  readonly startedAt: number
  readonly given: GenerateInput
  readonly call: Call
  readonly settings: ContinuationSettings
  readonly continuation: Continuation
  readonly form: AnswerForm | undefined
  readonly repairs: Repairs | undefined
  readonly signal: CallSignal
  /** Tells it in the context of this call. */
  readonly tell: EventListener | undefined
}
type Into = { readonly sink: Sink; mayDefault(): boolean }
type CallEnd = ClientEvent & { readonly type: 'call-end' }
type Ending = { readonly outcome: CallEnd['outcome']; readonly result?: GenerateResult; readonly error?: unknown }

/** A call that resolves with the whole answer. */
export async function runGenerate(shared: Shared, given: string | GenerateInput): Promise<GenerateResult> {
  const input = copyInput(given)
  const loading = loadForm(input)
  if (loading !== undefined) await loading
  const begun = begin(shared, input)
  return run(shared, begun, { sink: collectAnswer(begun), mayDefault: always })
}

const always = () => true

/** A call whose reader gets what comes as it comes. Resolves at the first content. */
export async function runStream(shared: Shared, given: string | GenerateInput, from?: Broken): Promise<AnswerStream> {
  const input = copyInput(given)
  const loading = loadForm(input)
  if (loading !== undefined) await loading
  const begun = begin(shared, input, from)
  const { continuation, form, repairs } = begun
  const outlet = open({ ...begun.settings, continuation, form, repairs, clock: shared.clock, from })
  const { queue, opened } = outlet.reader
  // a reader who holds text already must not get the default response behind it
  const result = run(shared, begun, { sink: outlet.sink, mayDefault: () => !outlet.reader.isOpen }).then(
    answer => {
      finishStream(outlet, answer)
      opened.resolve()
      return answer
    },
    (error: unknown) => {
      const told =
        outlet.reader.isOpen && ChainExhaustedError.isInstance(error) ? interrupted(shared, { input, outlet, error }) : error
      closeQueue(queue, told)
      opened.reject(told)
      throw told
    },
  )
  // whoever waits for the stream, or reads it, gets the error there
  result.catch(() => {})
  await opened.promise
  return toAnswerStream(queue, {
    result,
    leave: () => abort(begun.signal, left),
    resume: () => result.then(nothingToResume, goOn),
  })
}

/** Says no before anything is sent, and fills every default. */
function begin(shared: Shared, input: string | GenerateInput, from?: Broken): Begun {
  checkInput(input)
  if (shared.closed !== undefined) throw shared.closed
  const given = typeof input === 'string' ? { prompt: input } : input
  const { form, tell } = inOwnContext({ tell: shared.tell, form: answerForm(given) })
  const call = resolveCall(given, form)
  const chosen = continuationSettings(shared.options, given)
  const settings = from === undefined ? chosen : { ...chosen, afterFirstToken: 'continue' as const }
  const isPlainText = call.tools === undefined && call.output === undefined
  const continuation = createContinuation({ ...settings, maxOutputTokens: call.maxOutputTokens, isPlainText })
  const limit = given.repair ?? shared.options.repair ?? 0
  const repairs = limit === 0 ? undefined : createRepairs({ limit, messages: call.messages })
  return {
    callId: ++shared.calls,
    startedAt: shared.clock.now(),
    given,
    call,
    settings,
    continuation,
    form,
    repairs,
    signal: createSignal(),
    tell,
  }
}

/** One call from its input to its result, whoever reads it: `generate()` and `stream()` differ in the sink only. */
async function run(shared: Shared, begun: Begun, into: Into): Promise<GenerateResult> {
  const { callId, startedAt, signal, call, tell } = begun
  const { targets, running } = shared
  const release = follow(begun.given.signal, signal)
  let ending: Ending = { outcome: 'failed' }
  running.add(signal)
  tell?.({ type: 'call-start', at: startedAt, callId, targets: targets.length, metadata: call.metadata })
  try {
    const result = await ask(shared, begun, into.sink)
    ending = { outcome: 'answered', result }
    return result
  } catch (error) {
    ending = { outcome: 'failed', error }
    const result = ChainExhaustedError.isInstance(error) && into.mayDefault() ? await defaultFor(shared, begun, error) : undefined
    if (result === undefined) throw error
    ending = { outcome: 'degraded', result, error }
    return result
  } finally {
    running.delete(signal)
    release()
    const isAborted = signal.aborted && ending.outcome === 'failed'
    tellEnd(shared, begun, isAborted ? { outcome: 'aborted', error: signal.reason } : ending)
  }
}

function ask(shared: Shared, begun: Begun, sink: Sink): Promise<GenerateResult> {
  const { callId, call, startedAt, signal, given, tell } = begun
  const { clock, random, hedge, probeMs, background, options } = shared
  const { totalMs, firstContentMs } = limitsOf(shared, begun)
  const conditions = askConditions(shared.targets, call)
  hedge?.called()
  return walkChain({
    callId,
    call,
    sink,
    clock,
    random,
    startedAt,
    deadline: startedAt + totalMs,
    firstContentAt: startedAt + firstContentMs,
    hasDefault: (given.defaultResponse ?? options.defaultResponse) !== undefined,
    hedge,
    probeMs,
    background,
    tell,
    targets: withTimeout(withConditions(inOrder(shared, call, conditions), conditions), given.timeout),
    signal,
    decide: options.decide,
  }).then(walked => resultOf(shared, walked))
}

function limitsOf({ options }: Shared, { given }: Begun): CallTimeoutSettings {
  return merge<CallTimeoutSettings>(defaults.timeout, options.timeout, given.timeout)
}

function resultOf({ targets, hedge }: Shared, { answer, target, attempts }: Walked): GenerateResult {
  const { provider, model, name, targetIndex, step } = target
  const cost = costOf(attempts, targets)
  hedge?.paid(cost ?? 0)
  return { ...answer, cost, provider: provider.name, model, name, targetIndex, step, attempts, degraded: false }
}

type Interrupted = { readonly input: string | GenerateInput; readonly outlet: Outlet; readonly error: ChainExhaustedError }

function interrupted(shared: Shared, { input, outlet, error }: Interrupted): StreamInterruptedError {
  const broken = brokenStream(outlet)
  return new StreamInterruptedError(broken, error, async () => runStream(shared, input, broken))
}

function nothingToResume(): never {
  throw new TypeError('stream.resume: this answer is whole. Call it after the stream threw a StreamInterruptedError.')
}

function goOn(error: unknown): Promise<AnswerStream> {
  if (StreamInterruptedError.isInstance(error)) return error.resume()
  throw error
}

/** The reader left the loop: nobody is there to be told. */
const left = new UnbusyError('The reader left the stream.')

/** A default that is looked up somewhere has this time, also when the call's own is over. */
const leastDefaultMs = 250

/** The default, unless the call ends first: a function of the caller's may never settle, and so may the check of what it returns (F83). */
function defaultFor(shared: Shared, begun: Begun, error: ChainExhaustedError): Promise<GenerateResult | undefined> {
  const { clock } = shared
  const leftMs = begun.startedAt + limitsOf(shared, begun).totalMs - clock.now()
  return within(substitute(shared, begun, error), { clock, signal: begun.signal, forMs: Math.max(leastDefaultMs, leftMs) })
}

/**
 * What is answered when nobody else does. The client's default was written for no schema in particular: where it does not fit the one of
 * this call, there is none.
 */
async function substitute(
  { options, targets }: Shared,
  { given, form }: Begun,
  { failures, attempts }: ChainExhaustedError,
): Promise<GenerateResult | undefined> {
  const chosen = given.defaultResponse ?? options.defaultResponse
  if (chosen === undefined) return undefined
  const value: unknown = typeof chosen === 'function' ? await (chosen as DefaultOf)(failures) : chosen
  const isTyped = form?.output !== undefined
  const ending = { isTyped, attempts, cost: costOf(attempts, targets) }
  if (form?.output === undefined || given.defaultResponse !== undefined) return defaultResult({ value, ...ending })
  const checked = await form.output.check(value)
  return 'value' in checked ? defaultResult({ value: checked.value, ...ending }) : undefined
}

type DefaultOf = (failures: readonly Failure[]) => unknown

function tellEnd(shared: Shared, { callId, startedAt, tell }: Begun, { outcome, result, error }: Ending): void {
  const at = shared.clock.now()
  const attempts = result?.attempts ?? (ChainExhaustedError.isInstance(error) ? error.attempts : [])
  const { provider, model, usage } = result ?? {}
  const durationMs = at - startedAt
  tell?.({ type: 'call-end', at, callId, outcome, durationMs, provider, model, attempts, usage, error })
}

/** The chain for this call: each pool in the order in which its members are asked now. */
function inOrder({ steps, targets, random }: Shared, call: Call, conditions: Conditions | undefined): readonly ChainTarget[] {
  if (steps.length === targets.length) return targets
  return steps.flatMap(step => ('queues' in step ? orderPool(step, call, { random, conditions }) : step.targets))
}

function withTimeout(targets: readonly ChainTarget[], timeout: GenerateInput['timeout']): readonly ChainTarget[] {
  if (timeout === undefined) return targets
  return targets.map(target => ({
    ...target,
    timeout: merge(target.timeout, timeout),
    thinking:
      timeout.firstChunkMs === undefined || target.thinking === undefined
        ? target.thinking
        : { ...target.thinking, firstChunkMs: undefined },
  }))
}

/** Aborts the call with the caller's own reason; returns a function that stops listening. */
function follow(from: AbortSignal | undefined, signal: CallSignal): () => void {
  if (from === undefined) return nobodyToFollow
  if (from.aborted) abort(signal, from.reason)
  const onAbort = () => abort(signal, from.reason)
  from.addEventListener('abort', onAbort, { once: true })
  return () => from.removeEventListener('abort', onAbort)
}

function nobodyToFollow(): void {}
