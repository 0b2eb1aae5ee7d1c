import type { GenerateResult } from './answer/answer.ts'
import type { AnswerStream } from './answer/answer-stream.ts'
import { inOwnContext } from './call-context.ts'
import { runGenerate } from './call.ts'
import type { ClientState } from './call-state.ts'
import { createHedge } from './chain/hedge.ts'
import type { Observers } from './chain/state.ts'
import { closeCalls, countedBy, runWarmUp, statusOf, stopWatching } from './between-calls.ts'
import { checkClientOptions } from './check-input.ts'
import { epochOffsetOf, systemClock } from './clock.ts'
import { withBoundedDelays } from './bounded-clock.ts'
import type { Clock } from './contract.ts'
import type { EventListener } from './contract-events.ts'
import { createWarmer } from './keep-warm/keep-warm.ts'
import type { WarmUpOptions, WarmUpResult } from './keep-warm/warm-up.ts'
import { storeOf } from './health/shared-health.ts'
import { createHealth, type Health, type TargetSnapshot } from './health/health.ts'
import {
  clientLimits,
  type ClientOptions,
  continuationSettings,
  type GenerateInput,
  healthSettings,
  hedgeSettings,
} from './options.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolCallOf, ToolSet } from './output/tool-set.ts'
import { resolveChain } from './resolve-chain.ts'
import { runStream } from './stream-call.ts'
import { type ClientStatus, createActivity } from './telemetry/activity.ts'
import { withChannels } from './telemetry/channels.ts'
import { createTeller } from './telemetry/events.ts'
import { logEvents } from './telemetry/log.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'

/** A chain of models that answers as one. Create it once and share it: calls have only health, budgets and connections in common. */
export type Client = {
  /**
   * Asks the chain and resolves with the complete answer.
   *
   * @throws {ChainExhaustedError} No target answered and there is no default response.
   * @throws {TypeError} The input is invalid; nothing was sent.
   * @throws The reason of `signal`, unchanged, when the caller aborts.
   */
  generate<Schema extends StandardSchema | undefined = undefined, Tools extends ToolSet | undefined = undefined>(
    input: string | GenerateInput<Schema, Tools>,
  ): Promise<GenerateResult<OutputOf<Schema, Tools>, ToolCallOf<Tools>>>
  /** Asks the chain and resolves at the first content. Until then it rejects like `generate()`. */
  stream<Schema extends StandardSchema | undefined = undefined, Tools extends ToolSet | undefined = undefined>(
    input: string | GenerateInput<Schema, Tools>,
  ): Promise<AnswerStream<OutputOf<Schema, Tools>, ToolCallOf<Tools>>>
  /** Returns the current health of every target. */
  health(): readonly TargetSnapshot[]
  /** Returns counts of the client's calls and attempts as plain data, for a page of your own, a health check or a line in a terminal. */
  status(): ClientStatus
  /**
   * Warms up every target with `keepWarm` now, for example before a service reports itself ready: loads the model, caches the prompt, and
   * waits for a server that is loading. Rejects only with the reason of `signal`.
   */
  warmUp(options?: WarmUpOptions): Promise<readonly WarmUpResult[]>
  /** Ends all timers, all connections and all running calls: these, and all later ones, reject with an `UnbusyError`. */
  close(): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** `output` may be undefined with tools: a model that calls a tool has not answered yet. */
type OutputOf<Schema, Tools> = Schema extends StandardSchema
  ? InferOutput<Schema> | (Tools extends ToolSet ? undefined : never)
  : undefined

/**
 * Creates a client from a chain of targets.
 *
 * @example
 * const client = createClient({ chain: [deepseek(), openai(), llama()] })
 * const { text } = await client.generate('Why is the sky blue?')
 *
 * @throws {TypeError} An option is wrong. Nothing was sent.
 */
export function createClient(options: ClientOptions): Client {
  checkClientOptions(options)
  const { random = Math.random, telemetry: parts = [] } = options
  const clock = withBoundedDelays(options.clock ?? systemClock)
  const listeners = listenersOf(options)
  const activity = createActivity({ clock, wall: Date.now })
  const observers: Mutable<Observers> = { activity, telemetry: undefined }
  const tell = tellerOf({ listeners, parts, observers })
  // events that belong to no call run in the async context of the client
  const own = inOwnContext({ tell, form: undefined }).tell
  const settings = healthSettings(options)
  const health = createHealth({ clock, random, settings, emit: own, store: options.health })
  const epochOffsetMs = epochOffsetOf(clock)
  const chain = orClose(health, () => resolveChain(options, { health, clock, observers, epochOffsetMs }))
  const { targets, steps } = chain
  const wallTime = () => new Date().toISOString()
  const warmer = createWarmer({ targets, clock, random, wallTime, store: storeOf(options.health), tell: own })
  if (warmer !== undefined) observers.activity = countedBy(warmer, activity)
  const state: ClientState = {
    ...{ options, clock, random, teller: withChannels(tell), activity, ...chain },
    ...{ calls: 0, closed: undefined, running: new Set(), background: new Set() },
    epochOffsetMs,
    hasConditions: targets.some(({ when }) => when !== undefined),
    limits: clientLimits(options),
    continuation: continuationSettings(options),
    hedge: hedgeOf(options),
    probeMs: settings.breaker === false ? Infinity : settings.breaker.probeFirstChunkMs,
  }

  const close = async () => {
    try {
      await closeCalls(state, { health, steps, warmer })
    } finally {
      await closeTelemetry(observers.telemetry)
    }
  }
  const status = () => statusOf(state, health, warmer)
  const client: Client = {
    // the cast is safe: the schemas that give the result its type have validated it
    generate: runGenerate.bind(undefined, state) as Client['generate'],
    stream: runStream.bind(undefined, state) as Client['stream'],
    health: () => health.snapshot(),
    status,
    warmUp: (given = {}) => runWarmUp(warmer, given),
    close,
    [Symbol.asyncDispose]: close,
  }
  try {
    observers.telemetry = createTelemetry(parts, { client: { health: client.health, status }, listeners })
  } catch (error) {
    stopWatching({ health, steps, warmer })
    throw error
  }
  insides.set(client, { clock, telemetry: observers.telemetry })
  return client
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

type Heard = { readonly listeners: readonly EventListener[]; readonly parts: readonly unknown[]; readonly observers: Observers }

/** Undefined: there is no listener. Telemetry parts wrap the other listeners, but not each other. */
function tellerOf({ listeners, parts, observers }: Heard): EventListener | undefined {
  if (listeners.length + parts.length === 0) return undefined
  const tell = createTeller(listeners)
  if (listeners.length === 0 || parts.length === 0) return tell
  return event => {
    const aroundEvent = observers.telemetry?.aroundEvent
    if (aroundEvent === undefined) tell(event)
    else aroundEvent(event, tell)
  }
}

function listenersOf({ onEvent, logger }: ClientOptions): EventListener[] {
  return [...(onEvent === undefined ? [] : [onEvent]), ...(logger === undefined ? [] : [logEvents(logger)])]
}

/** If creating the client fails, closes its health, so that shared health keeps nothing of it. */
function orClose<Result>(health: Health, make: () => Result): Result {
  try {
    return make()
  } catch (error) {
    health.close()
    throw error
  }
}

/** Closes telemetry some promise turns later, when the ended calls have reported their end. No timer: a fake timer might never fire. */
async function closeTelemetry(telemetry: Telemetry | undefined): Promise<void> {
  if (telemetry === undefined) return
  for (let turn = 0; turn < turnsToEnd; turn += 1) await Promise.resolve()
  telemetry.close()
}

/** An ended call needs about ten turns. */
const turnsToEnd = 50

function hedgeOf({ hedge }: ClientOptions): ClientState['hedge'] {
  const settings = hedgeSettings(hedge)
  return settings === undefined ? undefined : createHedge(settings)
}

type Inside = { readonly clock: Clock; readonly telemetry: Telemetry | undefined }

const insides = new WeakMap<Client, Inside>()

/** The clock of a client, and the telemetry that observes it. */
export function insideOf(client: Client): Inside {
  return insides.get(client) ?? { clock: systemClock, telemetry: undefined }
}
