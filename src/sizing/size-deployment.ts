import { apiSource } from './apis.ts'
import { type BreakEven, breakEvenOf } from './break-even.ts'
import { loadOf, roomFor } from './load.ts'
import { memoryOf } from './memory.ts'
import { planOf } from './plan.ts'
import { checkSizing, type SizingOptions } from './sizing-options.ts'
import { type Range, speedOf } from './speed.ts'
import { readPrinted } from './vllm-lines.ts'
import { type Facts, obstaclesOf, warningsOf } from './warnings.ts'

export type { BreakEven, SizingOptions }

/** The capacity and performance of a deployment. Every number is an estimate by the formulas in docs/private.md. */
export type DeploymentSize = {
  /** Whether the weights and one request of `context` tokens (2,048 by default) fit, and the server can start with this configuration. */
  readonly fits: boolean
  readonly weightsGiB: number
  /** Weights on one GPU. */
  readonly perGpuGiB: number
  /** The bytes of the whole model, not of one GPU's share. */
  readonly kvBytesPerToken: number
  /** The tokens that fit into the KV cache of the whole deployment; 0 if the weights do not fit. */
  readonly kvTokens: number
  /** Concurrent requests of `inputTokens + outputTokens` tokens (by default of `context`), at most `--max-num-seqs` (256). */
  readonly maxConcurrent: number
  /** The number of concurrent requests under `arrivals`; `undefined` without `arrivals`. */
  readonly inFlight: number | undefined
  /** The number of such deployments that `arrivals` require at 70 % utilisation. `undefined` without `arrivals`, or if nothing fits. */
  readonly replicas: number | undefined
  /** Tokens per second, from low to high. Both ranges are 0 if nothing fits or the bandwidth is unknown. */
  readonly speed: { readonly perUser: Range; readonly total: Range }
  /** One entry for each API. Empty if no price of the GPUs is known. */
  readonly breakEven: readonly BreakEven[]
  readonly warnings: readonly string[]
  /** The sources of the figures for the model, the GPU and the API, with dates. */
  readonly sources: readonly string[]
}

/**
 * Calculates whether a model fits on GPUs, how many tokens and requests fit, and how the cost compares with DeepSeek's API. It sends no
 * requests.
 *
 * @throws TypeError for an unknown model, GPU or precision (the message lists the known ones) and for a value out of range
 */
export function sizeDeployment(options: SizingOptions): DeploymentSize {
  return sizeOf(workOut(options))
}

/** Returns all calculated facts, for the explanation. */
export function workOut(options: SizingOptions): Facts {
  checkSizing(options)
  const printed = options.kvCacheSize === undefined ? undefined : readPrinted(options.kvCacheSize)
  const plan = planOf({ ...options, context: options.context ?? printed?.context })
  const estimated = memoryOf(plan)
  // with data parallelism, each engine prints its own cache size
  const memory = printed === undefined ? estimated : { ...estimated, kvTokens: printed.kvTokens * plan.dataParallel }
  const { maxConcurrent, tokensPerRequest } = roomFor(plan, memory)
  const fits = memory.kvTokens / plan.dataParallel >= plan.context && obstaclesOf(plan).length === 0
  const speed = speedOf(plan, memory, { users: fits ? maxConcurrent : 0, tokens: cachedTokens(options, tokensPerRequest) })
  const load = loadOf(plan, fits ? memory : { kvTokens: 0 }, speed.perUser[0])
  return { plan, memory, speed, load, fits }
}

/** On average, half of an answer is in the cache while it is being generated. */
function cachedTokens({ inputTokens, outputTokens = 0 }: SizingOptions, tokensPerRequest: number): number {
  return inputTokens === undefined ? tokensPerRequest / 2 : inputTokens + outputTokens / 2
}

export function sizeOf(facts: Facts): DeploymentSize {
  const { plan, memory, load, fits, speed } = facts
  const breakEven = breakEvenOf(plan, speed.total)
  return {
    fits,
    weightsGiB: rounded(memory.weightsGiB),
    perGpuGiB: rounded(memory.perGpuGiB),
    kvBytesPerToken: plan.kvBytesPerToken,
    kvTokens: memory.kvTokens,
    maxConcurrent: load.maxConcurrent,
    inFlight: load.inFlight === undefined ? undefined : rounded(load.inFlight),
    replicas: load.replicas,
    speed: { perUser: pair(speed.perUser), total: pair(speed.total) },
    breakEven: breakEven.map(each => ({
      ...each,
      outputTokensPerSecond: Math.round(each.outputTokensPerSecond),
      outputTokensPerMonth: Math.round(each.outputTokensPerMonth),
    })),
    warnings: warningsOf(facts),
    sources: breakEven.length === 0 ? plan.sources : [...plan.sources, apiSource],
  }
}

function pair([low, high]: Range): Range {
  return [rounded(low), rounded(high)]
}

function rounded(value: number): number {
  return Number(value.toPrecision(6))
}
