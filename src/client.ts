import type { GenerateResult } from './answer/answer.ts'
import type { AnswerStream } from './answer/answer-stream.ts'
import { inOwnContext } from './call-context.ts'
import { runGenerate, runStream, type Shared } from './call.ts'
import { createHedge } from './chain/hedge.ts'
import { abandonLeg } from './chain/leg.ts'
import { watchQueues } from './chain/pool.ts'
import type { ChainTarget } from './chain/state.ts'
import { abort } from './chain/signal.ts'
import { checkClientOptions } from './check-input.ts'
import type { Clock, Target } from './contract.ts'
import { UnbusyError } from './errors.ts'
import { createHealth, type TargetSnapshot } from './health/health.ts'
import {
  type ClientOptions,
  type GenerateInput,
  healthSettings,
  hedgeSettings,
  targetRetry,
  targetTimeout,
  thinkingLimits,
} from './options.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolCallOf, ToolSet } from './output/tool-set.ts'
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
  generate<Schema extends StandardSchema | undefined = undefined, Tools extends ToolSet | undefined = undefined>(
    input: string | GenerateInput<Schema, Tools>,
  ): Promise<GenerateResult<OutputOf<Schema, Tools>, ToolCallOf<Tools>>>
  /** Asks the chain and resolves at the first content. Rejects like `generate()` as long as there is none. */
  stream<Schema extends StandardSchema | undefined = undefined, Tools extends ToolSet | undefined = undefined>(
    input: string | GenerateInput<Schema, Tools>,
  ): Promise<AnswerStream<OutputOf<Schema, Tools>, ToolCallOf<Tools>>>
  /** What the client thinks of every target now. */
  health(): readonly TargetSnapshot[]
  /** Ends all calls that still run, all timers and all connections. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A model that calls tools has not come to its answer yet. */
type OutputOf<Schema, Tools> = Schema extends StandardSchema
  ? InferOutput<Schema> | (Tools extends ToolSet ? undefined : never)
  : undefined

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
  // what is told of no call has the context of the client
  const settings = healthSettings(options)
  const health = createHealth({ clock, random, settings, emit: inOwnContext({ tell }).tell, store: options.health })
  const hedging = hedgeSettings(options.hedge)
  const resolve = (target: Target, { targetIndex, step }: { targetIndex: number; step: number }): ChainTarget => {
    const { provider, model, name, price, when } = target
    const limits = {
      retry: targetRetry(target, options.retry),
      timeout: targetTimeout(target, options.timeout),
      thinking: thinkingLimits(target, options),
    }
    return {
      provider,
      model,
      name,
      targetIndex,
      step,
      price,
      when,
      ...limits,
      health: health.of({ provider, model, name, index: targetIndex, step, price }),
    }
  }
  const targets: ChainTarget[] = []
  const steps = options.chain.map((step, place) => {
    const members = ('pool' in step ? step.pool : [step]).map((target, index) =>
      resolve(target, { targetIndex: targets.length + index, step: place }),
    )
    targets.push(...members)
    return 'pool' in step ? { ...step, targets: members, queues: watchQueues(members, clock) } : { targets: members }
  })
  const shared: Shared = {
    ...{ options, clock, random, tell, targets, steps, calls: 0, closed: undefined, running: new Set(), background: new Set() },
    hedge: hedging === undefined ? undefined : createHedge(hedging),
    probeMs: settings.breaker === false ? Infinity : settings.breaker.probeFirstChunkMs,
  }

  const close = async () => {
    shared.closed ??= new UnbusyError('This client was closed.')
    for (const signal of shared.running) abort(signal, shared.closed)
    for (const leg of shared.background) abandonLeg(leg, shared.closed)
    health.close()
    for (const step of steps) if ('queues' in step) step.queues.close()
    for (const provider of new Set(targets.map(target => target.provider))) await provider.close?.()
  }
  const client: Client = {
    // what is in the result was validated by the schemas that its type comes from
    generate: ((input: string | GenerateInput) => runGenerate(shared, input)) as Client['generate'],
    stream: ((input: string | GenerateInput) => runStream(shared, input)) as Client['stream'],
    health: () => health.snapshot(),
    close,
    [Symbol.asyncDispose]: close,
  }
  clocks.set(client, clock)
  return client
}

const clocks = new WeakMap<Client, Clock>()

/** The time in which a client lives. */
export function clockOf(client: Client): Clock {
  return clocks.get(client) ?? systemClock
}
