import { type CompareOptions, compareWays } from '../sizing/compare.ts'
import { explain } from '../sizing/explain.ts'
import { sizeOf, type SizingOptions, workOut } from '../sizing/size-deployment.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { tellComparison, tellSize } from './size-table.ts'

const help = `unbusy size MODEL --gpu NAME --count N - computes whether the model fits, how many calls it takes at once, and what it costs.

It sends no request. It computes everything from figures of the model and the GPU, each with its source and date.

  --precision P              the precision of the weights: fp8, bf16, awq, nvfp4, q4_k_m, ... (default: as published)
  --kv-precision P           the precision of the KV cache: auto (16 bits, the default) or fp8
  --tensor-parallel N, --pipeline-parallel N, --data-parallel N
                             (default: tensor parallelism up to 8, pipeline parallelism for the rest, no data parallelism)
  --utilisation U            the --gpu-memory-utilization of the server (default 0.9)
  --context N                the tokens of the longest request with its answer (--max-model-len)
  --kv-cache-size N          the "GPU KV cache size" that the running server printed, or that line; it replaces the estimate

  --arrivals R               requests per second; needs --output-tokens too
  --input-tokens N, --output-tokens N
                             the tokens of one request, reasoning included
  --tokens-per-second N      the speed for one user, measured or published
  --first-token-seconds S    the time until the first token (default 0)
  --price-per-hour D         US dollars per hour for ONE GPU (default: the average price in the sources, if there is one)
  --cache-hits H             the share of the input that the API would read from its cache, 0 to 1 (default 0)

  --weights-gib G --kv-bytes-per-token B [--kv-heads N]
                             any other model, in place of MODEL
  --gpu-gib G [--gpu-bandwidth T]
                             any other GPU, in place of --gpu, in GiB and TB/s
  --compare                  compares the API, own GPUs and a desktop machine: which one pays from how many tokens on
  --json                     the result as JSON

Exit codes  0 the model fits, 1 it does not fit, 2 wrong usage`

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

const options = {
  gpu: text,
  precision: text,
  'kv-precision': text,
  'kv-cache-size': text,
  'weights-gib': text,
  'kv-bytes-per-token': text,
  'kv-heads': text,
  'gpu-gib': text,
  'gpu-bandwidth': text,
  count: text,
  'tensor-parallel': text,
  'pipeline-parallel': text,
  'data-parallel': text,
  utilisation: text,
  context: text,
  arrivals: text,
  'input-tokens': text,
  'output-tokens': text,
  'tokens-per-second': text,
  'first-token-seconds': text,
  'price-per-hour': text,
  'cache-hits': text,
  compare: flag,
  json: flag,
} as const

type Name = keyof typeof options
type Values = ReturnType<typeof parseWords<typeof options>>['values']

/** Flags with a numeric value, and the option of `sizeDeployment()` for each. */
const numbers = {
  'weights-gib': 'weightsGiB',
  'kv-bytes-per-token': 'kvBytesPerToken',
  'kv-heads': 'kvHeads',
  'gpu-gib': 'gpuGiB',
  'gpu-bandwidth': 'gpuBandwidth',
  count: 'count',
  'tensor-parallel': 'tensorParallel',
  'pipeline-parallel': 'pipelineParallel',
  'data-parallel': 'dataParallel',
  utilisation: 'utilisation',
  context: 'context',
  arrivals: 'arrivals',
  'input-tokens': 'inputTokens',
  'output-tokens': 'outputTokens',
  'tokens-per-second': 'tokensPerSecond',
  'first-token-seconds': 'firstTokenSeconds',
  'price-per-hour': 'pricePerHour',
  'cache-hits': 'cacheHits',
} as const satisfies Partial<Record<Name, keyof SizingOptions>>

/** What to write where 8 would be wrong or strange. */
const sample: Partial<Record<Name, string>> = {
  utilisation: '0.9',
  context: '65536',
  'input-tokens': '1500',
  'output-tokens': '2500',
  'price-per-hour': '2.50',
  'cache-hits': '0.7',
}

/** The flag for each option of `sizeDeployment()`, for error messages that name the option. */
const flagOf: ReadonlyMap<string, string> = new Map([
  ...Object.entries(numbers).map(([name, field]) => [field, `--${name}`] as const),
  ['kvPrecision', '--kv-precision'],
  ['kvCacheSize', '--kv-cache-size'],
  ['precision', '--precision'],
  ['gpu', '--gpu'],
])

/** The flags that `--compare` takes without a model, because they are the same for every set. */
const forAnySet: ReadonlySet<string> = new Set(['compare', 'json', 'input-tokens', 'output-tokens', 'cache-hits'])

export const size: Command = {
  help,
  run(words, world) {
    const { values, positionals } = parseWords(words, options)
    if (positionals.length > 1) throw new UsageError(`size takes one model, not ${positionals.length} arguments.`)
    try {
      return Promise.resolve(
        values.compare === true ? compare(positionals[0], values, world) : tell(positionals[0], values, world),
      )
    } catch (error) {
      if (error instanceof TypeError) throw new UsageError(inFlags(error.message), { cause: error })
      throw error
    }
  },
}

function tell(model: string | undefined, values: Values, { stdout }: World): number {
  const facts = workOut(sizingOf(model, values))
  const sized = sizeOf(facts)
  const result = { ...sized, warnings: sized.warnings.map(inFlags) }
  if (values.json === true) stdout.line(toJson(result))
  else tellSize({ facts, result, steps: explain(facts) }, stdout)
  return result.fits ? exitCode.answered : exitCode.unanswered
}

function compare(model: string | undefined, values: Values, { stdout }: World): number {
  const own = sizingOf(model, values)
  const isOwn = model !== undefined || values['weights-gib'] !== undefined
  const idle = isOwn ? undefined : Object.keys(values).find(name => !forAnySet.has(name))
  if (idle !== undefined) throw new UsageError(`--${idle} needs MODEL: without it, --compare calculates the usual sets.`)
  const { inputTokens, outputTokens } = own
  if ((inputTokens === undefined) !== (outputTokens === undefined))
    throw new UsageError('--compare takes --input-tokens and --output-tokens together: their ratio decides the price of the API.')
  const ratio = inputTokens === undefined || outputTokens === undefined ? undefined : inputTokens / outputTokens
  const wish: CompareOptions = { ratio, cacheHits: own.cacheHits, sets: isOwn ? [own] : undefined }
  const comparison = compareWays(wish)
  if (values.json === true) stdout.line(toJson(comparison))
  else tellComparison(comparison, stdout)
  return comparison.sets.every(({ fits }) => fits) ? exitCode.answered : exitCode.unanswered
}

function sizingOf(model: string | undefined, values: Values): SizingOptions {
  const given = Object.entries(numbers).map(([name, field]) => [field, numberOf(name as keyof typeof numbers, values)] as const)
  return {
    ...(Object.fromEntries(given) as Partial<SizingOptions>),
    ...{ model, gpu: values.gpu, precision: values.precision },
    ...{ kvPrecision: values['kv-precision'], kvCacheSize: values['kv-cache-size'] },
  }
}

function numberOf(name: keyof typeof numbers, values: Values): number | undefined {
  const written = values[name]
  if (written === undefined) return undefined
  const value = Number(written.replaceAll(/[_,](?=\d{3})/g, ''))
  if (written.trim() !== '' && Number.isFinite(value)) return value
  throw new UsageError(`--${name} must be a number, for example --${name} ${sample[name] ?? '8'}.`)
}

/** Replaces the option name in `sizeDeployment: gpuGiB must be ...` with the flag that the user typed. */
function inFlags(message: string): string {
  const plain = message.replace(/^sizeDeployment: /, '').replace(/^\w+(?= must)/, field => flagOf.get(field) ?? field)
  return plain.replaceAll(/\b[a-z]+[A-Z]\w*\b/g, word => flagOf.get(word) ?? word)
}

/** Writes a field without a value as `null` instead of omitting it. */
function toJson(value: object): string {
  return JSON.stringify(value, (_, field: unknown) => (field === undefined ? null : field), 2)
}
