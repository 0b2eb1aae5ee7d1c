import { kindOf } from '../check.ts'
import { type Gpu, gpus } from './gpus.ts'
import { type KvPrecision, type Model, models } from './models.ts'
import { findRow } from './names.ts'
import type { SizingOptions } from './sizing-options.ts'

/** The options with all names looked up and all defaults filled in. */
export type Plan = {
  readonly model: Model | undefined
  readonly precision: string
  /** The size of the files in decimal GB. */
  readonly filesGB: number
  /** Whether the format is GGUF, for llama.cpp and programs built on it. */
  readonly isGguf: boolean
  readonly kvBytesPerToken: number
  readonly kvHeads: number | undefined
  readonly gpu: Pick<Gpu, 'name' | 'gib' | 'computes' | 'linked' | 'pricePerHour'> & { readonly bandwidth: number | undefined }
  readonly count: number
  readonly tensorParallel: number
  readonly pipelineParallel: number
  readonly dataParallel: number
  readonly utilisation: number
  readonly context: number
  readonly options: SizingOptions
  readonly sources: readonly string[]
}

export const gib = 2 ** 30
export const gibPerGB = 1e9 / gib

/** The default for `context`: enough for a short question. */
const shortContext = 2_048

/** A node has at most eight GPUs, and tensor parallelism stays within one node. */
const perNode = 8

export function planOf(options: SizingOptions): Plan {
  const { count = countOf(options), utilisation = 0.9, context = shortContext } = options
  const model = options.model === undefined ? undefined : findRow(models, options.model, 'model')
  const row = options.gpu === undefined ? undefined : findRow(gpus, options.gpu, 'GPU')
  const { precision, filesGB } = weightsOf(model, options)
  // GGUF: q4_k_m, iq1_s, or the bits of a dynamic quantisation, for example 1.58bit
  const isGguf = /^(?:i?q\d|[\d.]+bit$)/.test(precision)
  const kvPrecision = kvPrecisionOf(options.kvPrecision)
  const known = [model, row].filter(found => found !== undefined)
  const kvHeads = options.kvHeads ?? model?.kvHeads
  return {
    ...{ model, precision, filesGB, isGguf, count, utilisation, context, options },
    gpu: gpuOf(row, options),
    kvBytesPerToken: options.kvBytesPerToken ?? model?.kvBytes[kvPrecision] ?? 0,
    kvHeads,
    ...parallelism(options, { count, isGguf, heads: model?.heads, kvHeads }),
    sources: known.map(({ name, source, date }) => `${name}: ${source} (${date})`),
  }
}

function weightsOf(model: Model | undefined, { weightsGiB, precision }: SizingOptions): Pick<Plan, 'precision' | 'filesGB'> {
  const wanted = precision === undefined ? undefined : plainPrecision(precision)
  if (weightsGiB !== undefined) return { precision: wanted ?? 'as given', filesGB: weightsGiB / gibPerGB }
  const files = model?.files ?? {}
  const published = Object.keys(files)[0] ?? ''
  const name = [wanted ?? published, ...sameSize(wanted)].find(each => Object.hasOwn(files, each)) ?? ''
  const size = files[name]
  if (size !== undefined) return { precision: name, filesGB: size }
  const known = Object.keys(files).join(', ')
  throw new TypeError(
    `The size of ${model?.name} in '${precision?.slice(0, 40)}' is unknown. Write one of ${known}, or weightsGiB.`,
  )
}

/** Formats of the same size, of which a model is published in one. */
const sameSizes = [
  ['fp4', 'nvfp4', 'mxfp4'],
  ['awq', 'gptq', 'w4a8', 'w4afp8', 'w4a16'],
  ['int8', 'w8a8'],
]

function sameSize(precision = ''): readonly string[] {
  return sameSizes.find(names => names.includes(precision)) ?? []
}

function plainPrecision(written: string): string {
  const name = written.toLowerCase().replaceAll('-', '_').replace('_bit', 'bit')
  const same: Readonly<Record<string, string>> = { fp16: 'bf16', '16': 'bf16', '8': 'fp8', q4: 'q4_k_m', int4: 'awq', '4': 'awq' }
  return Object.hasOwn(same, name) ? (same[name] ?? name) : name
}

function kvPrecisionOf(written = 'auto'): KvPrecision {
  const name = written.toLowerCase()
  if (['auto', 'bf16', 'fp16', 'f16', 'bfloat16', 'float16', '16'].includes(name)) return '16'
  if (/^(?:fp8|int8|q8|8$)/.test(name)) return '8'
  throw new TypeError(
    `kvPrecision must be 'auto', 'bf16', 'fp16' (16 bits) or 'fp8' (8 bits), not ${kindOf(written)} like '${name.slice(0, 20)}'.`,
  )
}

function gpuOf(row: Gpu | undefined, { gpuGiB, gpuBandwidth }: SizingOptions): Plan['gpu'] {
  if (row !== undefined) return { ...row, gib: gpuGiB ?? row.gib, bandwidth: gpuBandwidth ?? row.bandwidth }
  const own = { name: `a GPU of ${gpuGiB} GiB`, gib: gpuGiB ?? 0, bandwidth: gpuBandwidth }
  return { ...own, computes: ['fp8', 'fp4'], linked: true, pricePerHour: undefined }
}

type Known = Pick<Plan, 'count' | 'isGguf' | 'kvHeads'> & { readonly heads: number | undefined }
type Parallelism = Pick<Plan, 'tensorParallel' | 'pipelineParallel' | 'dataParallel'>

function parallelism(options: SizingOptions, { count, isGguf, heads, kvHeads }: Known): Parallelism {
  const { dataParallel = 1, pipelineParallel } = options
  const each = Math.max(1, Math.floor(count / dataParallel / (pipelineParallel ?? 1)))
  const tensorParallel = options.tensorParallel ?? (isGguf ? 1 : widestTensorParallel(each, { heads, kvHeads }))
  const rest = Math.max(1, Math.floor(count / dataParallel / tensorParallel))
  return { tensorParallel, dataParallel, pipelineParallel: pipelineParallel ?? rest }
}

/** The GPUs that the parallelism needs that is given. */
function countOf({ tensorParallel = 1, pipelineParallel = 1, dataParallel = 1 }: SizingOptions): number {
  return tensorParallel * pipelineParallel * dataParallel
}

type Heads = { readonly heads: number | undefined; readonly kvHeads: number | undefined }

/** Returns the most GPUs of one node that divide both the GPU count and the heads. llama.cpp assigns whole layers to each GPU instead. */
function widestTensorParallel(gpuCount: number, heads: Heads): number {
  for (let width = Math.min(gpuCount, perNode); width > 1; width -= 1) {
    if (gpuCount % width === 0 && divides(width, heads)) return width
  }
  return 1
}

/** Whether servers start with this tensor parallelism: ranks share the KV cache heads evenly, or each has a copy of one of them. */
export function divides(tensorParallel: number, { heads = 0, kvHeads }: Heads): boolean {
  if (heads % tensorParallel !== 0) return false
  return kvHeads === undefined || kvHeads % tensorParallel === 0 || tensorParallel % kvHeads === 0
}
