import { type Check, checkOptions, level, list, record } from '../check.ts'
import { type Api, apis, apiSource, pricePerMillionOut, secondsPerMonth, usualRatio } from './apis.ts'
import { type BreakEven, sizeOf, type SizingOptions, workOut } from './size-deployment.ts'
import { share } from './sizing-options.ts'

/** One API and its price for a million output tokens, including their input. */
export type ComparedApi = { readonly api: string; readonly perMillionOut: number; readonly perMillionOutAtPeak: number }

/** Your own GPUs, compared with the APIs. */
export type ComparedSet = {
  readonly model: string
  readonly gpus: string
  readonly fits: boolean
  /** The model is smaller than those of the APIs, so its tokens are worth less. */
  readonly isDistill: boolean
  /** The price of the GPUs in US dollars; `undefined` if it is not known. */
  readonly perMonth: number | undefined
  /** The range of output tokens per month under full load, day and night. */
  readonly reach: readonly [low: number, high: number]
  readonly breakEven: readonly BreakEven[]
}

/** What `compareWays()` returns: the cost of the same tokens from an API and from your own machines. */
export type Comparison = {
  readonly apis: readonly ComparedApi[]
  readonly sets: readonly ComparedSet[]
  /** The electricity for a million output tokens of a 4-bit 32B model on one RTX 4090, in US dollars. */
  readonly localPowerPerMillionOut: number
  readonly sources: readonly string[]
}

/** Options of `compareWays()`. */
export type CompareOptions = {
  /** Input tokens per output token. @default 4 */
  readonly ratio?: number | undefined
  /** The share of the input that the API serves from its cache, from 0 to 1. @default 0 */
  readonly cacheHits?: number | undefined
  /** The deployments to compare. @default R1 and V4.1-Flash on eight H200, a 70B and a 32B distill on H100 */
  readonly sets?: readonly SizingOptions[] | undefined
}

/** Typical rented hardware for the models of the API and their distills. */
const usual: readonly SizingOptions[] = [
  { model: 'deepseek-r1', gpu: 'h200', count: 8 },
  { model: 'deepseek-v4.1-flash', gpu: 'h200', count: 8 },
  { model: 'deepseek-r1-distill-llama-70b', gpu: 'h100', count: 2, precision: 'fp8' },
  { model: 'deepseek-r1-distill-qwen-32b', gpu: 'h100', count: 1 },
]

/** An RTX 4090 that runs a 4-bit 32B model: watts, tokens/s, and US dollars per kWh. */
const local = { watts: 450, tokensPerSecond: 35, perKWh: 0.15 }
const localSource = 'RTX 4090: 450 W, 35 tokens/s with a 32B model of 4 bits, 0.15 US dollars for a kWh'

/** Output tokens of one request if only the ratio is known. */
const usualOutput = 1_000

/**
 * Compares the three ways: the API with tuned requests, your own GPUs, and a desktop machine. The comparison uses the API's off-peak prices
 * and average GPU prices, as of the dates in `sources`.
 *
 * @throws TypeError for an option out of range, and like `sizeDeployment()` for a set
 */
export function compareWays(options: CompareOptions = {}): Comparison {
  checkOptions(options, { ratio: level, cacheHits: share, sets: records }, 'compareWays')
  const { ratio = usualRatio, cacheHits = 0, sets = usual } = options
  const load = { inputTokens: usualOutput * ratio, outputTokens: usualOutput, cacheHits }
  return {
    apis: apis.map(api => compared(api, { ratio, cacheHits })),
    sets: sets.map(set => comparedSet(set, load)),
    localPowerPerMillionOut: ((local.watts * 1e6) / local.tokensPerSecond / 3.6e6) * local.perKWh,
    sources: [apiSource, localSource],
  }
}

const records: Check = (value, name) => {
  list(value, name)
  for (const [index, set] of (value as readonly unknown[]).entries()) record(set, `${name}[${index}]`)
}

function compared(api: Api, load: { readonly ratio: number; readonly cacheHits: number }): ComparedApi {
  const perMillionOut = pricePerMillionOut(api, load)
  return { api: api.name, perMillionOut, perMillionOutAtPeak: 2 * perMillionOut }
}

type Load = Pick<SizingOptions, 'inputTokens' | 'outputTokens' | 'cacheHits'>

function comparedSet(options: SizingOptions, load: Load): ComparedSet {
  const { inputTokens = load.inputTokens, outputTokens = load.outputTokens, cacheHits = load.cacheHits } = options
  const facts = workOut({ ...options, inputTokens, outputTokens, cacheHits })
  const { plan, fits, speed } = facts
  const hourly = options.pricePerHour ?? plan.gpu.pricePerHour
  return {
    model: plan.model?.name ?? 'a model of your own',
    gpus: `${plan.count} x ${plan.gpu.name}`,
    fits,
    isDistill: plan.model?.name.includes('distill') === true,
    perMonth: hourly === undefined ? undefined : Math.round((hourly * plan.count * secondsPerMonth) / 3_600),
    reach: [Math.round(speed.total[0] * secondsPerMonth), Math.round(speed.total[1] * secondsPerMonth)],
    breakEven: sizeOf(facts).breakEven,
  }
}
