import { createHedge } from './chain/hedge.ts'
import { abandonLeg } from './chain/leg.ts'
import type { ChainTarget, Hedge, Leg } from './chain/state.ts'
import { walk } from './chain/walk.ts'
import { checkClientOptions, checkInput } from './check-input.ts'
import type { ClientEvent, Clock, EventListener, Sink, TimeoutSettings } from './contract.ts'
import { ChainExhaustedError, StreamInterruptedError, UnbusyError } from './errors.ts'
import { createHealth, type TargetSnapshot } from './health/health.ts'
import { type ClientOptions, defaults, type GenerateInput, healthSettings, hedgeSettings, merge, resolveCall } from './options.ts'
import { targetRetry, targetTimeout } from './options.ts'
import { type Answer, costOf, defaultResult, type GenerateResult, whole } from './result.ts'
import { type AnswerStream, open } from './stream.ts'
import { createTeller } from './telemetry/events.ts'
import { logEvents } from './telemetry/log.ts'

/** A chain of models that answers as one. Made once and shared: every call keeps its own state, only health and connections are common. */
export type Client = {
  /**
   * Asks the chain and resolves with the whole answer.
   *
   * @throws {ChainExhaustedError} No target answered and there is no default response.
   * @throws {TypeError} The input is not as it should be; nothing was sent.
   * @throws The reason of `signal`, untouched, when the caller aborts.
   */
  generate(input: string | GenerateInput): Promise<GenerateResult>
  /** Asks the chain and resolves at the first content. Rejects like `generate()` as long as there is none. */
  stream(input: string | GenerateInput): Promise<AnswerStream>
  /** What the client thinks of every target now. */
  health(): readonly TargetSnapshot[]
  /** Ends all calls that still run, all timers and all connections. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (listener, delayMs) => setTimeout(listener, delayMs),
  clearTimeout: handle => clearTimeout(handle as NodeJS.Timeout),
}

/**
 * Makes a client from a chain of targets.
 *
 * @example
 * const client = createClient({ chain: [deepseek(), openai(), llama()] })
 * const { text } = await client.generate('Why is the sky blue?')
 */
export function createClient(options: ClientOptions): Client {
  checkClientOptions(options)
  const { clock = systemClock, random = Math.random, onEvent, logger } = options
  const tell = createTeller([...(onEvent === undefined ? [] : [onEvent]), ...(logger === undefined ? [] : [logEvents(logger)])])
  const health = createHealth({ clock, random, settings: healthSettings(options), emit: tell })
  const hedging = hedgeSettings(options.hedge)
  const targets = options.chain.map((target, targetIndex): ChainTarget => {
    const { provider, model, price, when } = target
    const limits = { retry: targetRetry(target, options.retry), timeout: targetTimeout(target, options.timeout) }
    return { provider, model, targetIndex, price, when, ...limits, health: health.of({ provider, model, index: targetIndex, price }) }
  })
  const shared: Shared = {
    ...{ options, clock, random, tell, targets, calls: 0, closed: undefined, running: new Set(), background: new Set() },
    hedge: hedging === undefined ? undefined : createHedge(hedging),
  }

  const close = async () => {
    shared.closed ??= new UnbusyError('This client was closed.')
    for (const controller of shared.running) controller.abort(shared.closed)
    for (const leg of shared.background) abandonLeg(leg, shared.closed)
    health.close()
    const providers = new Set(targets.map(({ provider }) => provider))
    await Promise.all([...providers].map(provider => provider.close?.()))
  }
  return {
    generate: async input => run(shared, input, { sink: whole(), controller: new AbortController(), mayDefault: () => true }),
    stream: async input => openStream(shared, input),
    health: () => health.snapshot(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What the calls of one client have in common. */
type Shared = {
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
type Ending = { readonly outcome: CallEnd['outcome']; readonly result?: GenerateResult; readonly error?: unknown }
type CallEnd = ClientEvent & { readonly type: 'call-end' }

/** One call from its input to its result, whoever reads it: `generate()` and `stream()` differ in the sink only. */
async function run(shared: Shared, input: string | GenerateInput, into: Into): Promise<GenerateResult> {
  checkInput(input)
  if (shared.closed !== undefined) throw shared.closed
  const { clock, random, hedge, background, tell } = shared
  const { decide, timeout } = shared.options
  const { sink, controller } = into
  const given = typeof input === 'string' ? undefined : input
  const callId = ++shared.calls
  const startedAt = clock.now()
  const call = resolveCall(input)
  const release = follow(given?.signal, controller)
  let ending: Ending = { outcome: 'failed' }
  shared.running.add(controller)
  hedge?.called()
  tell({ type: 'call-start', at: startedAt, callId, targets: shared.targets.length, metadata: call.metadata })
  try {
    const deadline = startedAt + (given?.timeout?.totalMs ?? timeout?.totalMs ?? defaults.timeout.totalMs)
    const targets = given?.timeout === undefined ? shared.targets : withTimeout(shared.targets, given.timeout)
    const times = { clock, random, startedAt, deadline, signal: controller.signal }
    const { answer, target, attempts } = await walk({ ...times, callId, call, targets, sink, decide, hedge, background, tell })
    const { provider, model, targetIndex } = target
    const cost = costOf(attempts, shared.targets)
    hedge?.paid(cost ?? 0)
    const result = { ...answer, cost, provider: provider.name, model, targetIndex, attempts, degraded: false }
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
    tellEnd(shared, { callId, startedAt }, ending)
  }
}

async function openStream(shared: Shared, input: string | GenerateInput): Promise<AnswerStream> {
  const controller = new AbortController()
  const outlet = open()
  const mayDefault = () => !outlet.isOpen()
  const result = run(shared, input, { sink: outlet.sink, controller, mayDefault }).then(
    whole => {
      if (whole.degraded) outlet.substitute(whole.text)
      outlet.close()
      return whole
    },
    error => {
      const told = ChainExhaustedError.isInstance(error) && outlet.isOpen() ? new StreamInterruptedError(outlet.partial(), error) : error
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

function tellEnd(shared: Shared, started: { callId: number; startedAt: number }, { outcome, result, error }: Ending): void {
  const at = shared.clock.now()
  const attempts = result?.attempts ?? (ChainExhaustedError.isInstance(error) ? error.attempts : [])
  const { provider, model, usage } = result ?? {}
  const durationMs = at - started.startedAt
  shared.tell({ type: 'call-end', at, callId: started.callId, outcome, durationMs, provider, model, attempts, usage, error })
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
