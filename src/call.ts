import { type Answer, costOf, defaultResult, type GenerateResult } from './answer.ts'
import type { AnswerStream } from './answer-stream.ts'
import type { ChainTarget, Hedge, Leg } from './chain/state.ts'
import { walk } from './chain/walk.ts'
import { checkInput } from './check-input.ts'
import type { ClientEvent, Clock, EventListener, Sink, TimeoutSettings } from './contract.ts'
import { ChainExhaustedError, StreamInterruptedError, UnbusyError } from './errors.ts'
import { type ClientOptions, defaults, type GenerateInput, merge, resolveCall } from './options.ts'
import { open } from './stream.ts'

/** What the calls of one client have in common. */
export type Shared = {
  readonly options: ClientOptions
  readonly clock: Clock
  readonly random: () => number
  readonly tell: EventListener
  readonly targets: readonly ChainTarget[]
  readonly hedge: Hedge | undefined
  readonly running: Set<AbortController>
  readonly background: Set<Leg<Answer>>
  calls: number
  closed: UnbusyError | undefined
}

type Into = { readonly sink: Sink<Answer>; readonly controller: AbortController; mayDefault(): boolean }
type Begun = { readonly callId: number; readonly startedAt: number; readonly given: GenerateInput }
type Ending = { readonly outcome: CallEnd['outcome']; readonly result?: GenerateResult; readonly error?: unknown }
type CallEnd = ClientEvent & { readonly type: 'call-end' }

/** One call from its input to its result, whoever reads it: `generate()` and `stream()` differ in the sink only. */
export async function runCall(shared: Shared, input: string | GenerateInput, into: Into): Promise<GenerateResult> {
  checkInput(input)
  if (shared.closed !== undefined) throw shared.closed
  const { controller } = into
  const given = typeof input === 'string' ? { prompt: input } : input
  const begun: Begun = { callId: ++shared.calls, startedAt: shared.clock.now(), given }
  const release = follow(given.signal, controller)
  let ending: Ending = { outcome: 'failed' }
  shared.running.add(controller)
  const { targets, tell } = shared
  tell({ type: 'call-start', at: begun.startedAt, callId: begun.callId, targets: targets.length, metadata: given.metadata ?? {} })
  try {
    const result = await ask(shared, begun, into)
    ending = { outcome: 'answered', result }
    return result
  } catch (error) {
    ending = { outcome: controller.signal.aborted ? 'aborted' : 'failed', error }
    if (!ChainExhaustedError.isInstance(error) || !into.mayDefault() || shared.options.defaultResponse === undefined) throw error
    const result = await substitute(shared, error)
    ending = { outcome: 'degraded', result, error }
    return result
  } finally {
    shared.running.delete(controller)
    release()
    tellEnd(shared, begun, ending)
  }
}

async function ask(shared: Shared, { callId, startedAt, given }: Begun, { sink, controller }: Into): Promise<GenerateResult> {
  const { clock, random, hedge, background, tell, options } = shared
  const call = resolveCall(given)
  hedge?.called()
  const deadline = startedAt + (given.timeout?.totalMs ?? options.timeout?.totalMs ?? defaults.timeout.totalMs)
  const { answer, target, attempts } = await walk({
    ...{ callId, call, sink, clock, random, startedAt, deadline, hedge, background, tell },
    targets: given.timeout === undefined ? shared.targets : withTimeout(shared.targets, given.timeout),
    signal: controller.signal,
    decide: options.decide,
  })
  const { provider, model, targetIndex } = target
  const cost = costOf(attempts, shared.targets)
  hedge?.paid(cost ?? 0)
  return { ...answer, cost, provider: provider.name, model, targetIndex, attempts, degraded: false }
}

/** A call whose reader gets what comes as it comes. Resolves at the first content. */
export async function openStream(shared: Shared, input: string | GenerateInput): Promise<AnswerStream> {
  const controller = new AbortController()
  const outlet = open()
  const mayDefault = () => !outlet.isOpen()
  const result = runCall(shared, input, { sink: outlet.sink, controller, mayDefault }).then(
    answer => {
      if (answer.degraded) outlet.substitute(answer.text)
      outlet.close()
      return answer
    },
    (error: unknown) => {
      const told =
        ChainExhaustedError.isInstance(error) && outlet.isOpen() ? new StreamInterruptedError(outlet.partial(), error) : error
      outlet.close(told)
      throw told
    },
  )
  await Promise.race([outlet.opened, result])
  // whoever reads the stream gets the error there
  result.catch(() => {})
  return outlet.stream(result, () => controller.abort(left))
}

/** The reader left the loop: nobody is there to be told. */
const left = new UnbusyError('The reader left the stream.')

/** What is answered when nobody else does. */
async function substitute({ options, targets }: Shared, error: ChainExhaustedError): Promise<GenerateResult> {
  const { defaultResponse } = options
  const value: unknown = typeof defaultResponse === 'function' ? await defaultResponse(error.failures) : defaultResponse
  return defaultResult(value, error.attempts, costOf(error.attempts, targets))
}

function tellEnd(shared: Shared, { callId, startedAt }: Begun, { outcome, result, error }: Ending): void {
  const at = shared.clock.now()
  const attempts = result?.attempts ?? (ChainExhaustedError.isInstance(error) ? error.attempts : [])
  const { provider, model, usage } = result ?? {}
  const durationMs = at - startedAt
  shared.tell({ type: 'call-end', at, callId, outcome, durationMs, provider, model, attempts, usage, error })
}

function withTimeout(targets: readonly ChainTarget[], timeout: Partial<TimeoutSettings>): readonly ChainTarget[] {
  return targets.map(target => ({ ...target, timeout: merge(target.timeout, timeout) }))
}

/** Aborts the call with the caller's own reason; answers how to stop listening. */
function follow(signal: AbortSignal | undefined, controller: AbortController): () => void {
  if (signal === undefined) return () => {}
  if (signal.aborted) controller.abort(signal.reason)
  const onAbort = () => controller.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}
