import { checkOptions, type Check, type Checks, isRecord, kindOf, level, positiveCount, text } from '../check.ts'

/** The model, the GPUs and the load. Names refer to rows of `models` or `gpus`, in any common spelling. */
export type SizingOptions = {
  /** For example `deepseek-r1`, or the id on a model hub. Omit it if `weightsGiB` and `kvBytesPerToken` describe the model. */
  readonly model?: string | undefined
  /** For any other model: the size of its weights in GiB. */
  readonly weightsGiB?: number | undefined
  /** For any other model: the bytes of KV cache per token. */
  readonly kvBytesPerToken?: number | undefined
  /** For any other model: its KV cache heads, which limit how far tensor parallelism divides the cache. @default the cache is not divided */
  readonly kvHeads?: number | undefined
  /** For example `h200`. Omit it if `gpuGiB` describes the GPU. */
  readonly gpu?: string | undefined
  /** For any other GPU: its memory in GiB. */
  readonly gpuGiB?: number | undefined
  /** For any other GPU: its memory bandwidth in TB/s. Without it, no speed is estimated. */
  readonly gpuBandwidth?: number | undefined
  /** The number of GPUs. @default as many as the parallelism that is given needs, otherwise 1 */
  readonly count?: number | undefined
  /** One of the model's precisions, for example `fp8`, `bf16`, `awq`, `q4_k_m`. @default as published */
  readonly precision?: string | undefined
  /** The precision of the KV cache: `auto`, `bf16`, `fp16` (all 16 bits) or `fp8` (8 bits). @default 'auto' */
  readonly kvPrecision?: string | undefined
  /** How many GPUs share each layer. @default the most, up to 8, that divide the number of GPUs and the model's heads; 1 for GGUF */
  readonly tensorParallel?: number | undefined
  /** How many groups of layers there are, each on GPUs of its own. @default `count` / (`tensorParallel` x `dataParallel`) */
  readonly pipelineParallel?: number | undefined
  /** How many engines run side by side. The experts of a mixture are divided among them. @default 1 */
  readonly dataParallel?: number | undefined
  /** The share of GPU memory that the server may use (`--gpu-memory-utilization`), above 0 and up to 1. Not used for GGUF. @default 0.9 */
  readonly utilisation?: number | undefined
  /** The longest request in tokens, including the answer (`--max-model-len`). @default 2_048 */
  readonly context?: number | undefined
  /** Requests per second. */
  readonly arrivals?: number | undefined
  /** Input tokens per request. */
  readonly inputTokens?: number | undefined
  /** Output tokens per request, reasoning included. */
  readonly outputTokens?: number | undefined
  /** Tokens per second per user, measured or published. */
  readonly tokensPerSecond?: number | undefined
  /** Seconds until the first token. @default 0 */
  readonly firstTokenSeconds?: number | undefined
  /** The price of ONE GPU for one hour in US dollars. @default the average of the GPU's row, if it has one */
  readonly pricePerHour?: number | undefined
  /** The share of the input that the API would serve from its cache, from 0 to 1. @default 0 */
  readonly cacheHits?: number | undefined
  /**
   * The output of the running server: `123456`, or the lines `GPU KV cache size: 123,456 tokens` and
   * `Maximum concurrency for 8,192 tokens per request: 15.07x`. It replaces the estimates.
   */
  readonly kvCacheSize?: number | string | undefined
}

const positive: Check = (value, name) => {
  if (typeof value !== 'number' || !(value > 0) || value === Infinity)
    throw new TypeError(`${name} must be a number above 0, not ${kindOf(value)}.`)
}

export const share: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw new TypeError(`${name} must be a number from 0 to 1, not ${kindOf(value)}.`)
}

const usedShare: Check = (value, name) => {
  share(value, name)
  if (value === 0) throw new TypeError(`${name} must be above 0, because a server needs memory.`)
}

const printed: Check = (value, name) => {
  if (typeof value === 'string' && value !== '') return
  positive(value, name)
}

const checks: Checks = {
  model: text,
  weightsGiB: positive,
  kvBytesPerToken: positive,
  kvHeads: positiveCount,
  gpu: text,
  gpuGiB: positive,
  gpuBandwidth: positive,
  count: positiveCount,
  precision: text,
  kvPrecision: text,
  tensorParallel: positiveCount,
  pipelineParallel: positiveCount,
  dataParallel: positiveCount,
  utilisation: usedShare,
  context: positiveCount,
  arrivals: level,
  inputTokens: level,
  outputTokens: positive,
  tokensPerSecond: positive,
  firstTokenSeconds: level,
  pricePerHour: level,
  cacheHits: share,
  kvCacheSize: printed,
}

export function checkSizing(options: SizingOptions): void {
  checkOptions(options, checks, 'sizeDeployment')
  if (!isRecord(options)) return
  const { model, weightsGiB, kvBytesPerToken, gpu, gpuGiB, arrivals, outputTokens } = options
  if (model === undefined && (weightsGiB === undefined || kvBytesPerToken === undefined))
    throw new TypeError(
      'sizeDeployment: the model is missing. Name it, or write weightsGiB and kvBytesPerToken for a model that is not in the list.',
    )
  if (gpu === undefined && gpuGiB === undefined)
    throw new TypeError('sizeDeployment: the GPU is missing. Name it, or write gpuGiB for a GPU that is not in the list.')
  if (arrivals !== undefined && outputTokens === undefined)
    throw new TypeError(
      'sizeDeployment: arrivals must come with outputTokens, reasoning included, because they determine how long a request runs.',
    )
}
