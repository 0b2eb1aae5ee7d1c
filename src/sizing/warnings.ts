import type { Load } from './load.ts'
import { memoryOf, type Memory } from './memory.ts'
import { divides, gibPerGB, type Plan, planOf } from './plan.ts'
import type { Speed } from './speed.ts'

/** All calculated values. */
export type Facts = {
  readonly plan: Plan
  readonly memory: Memory
  readonly speed: Speed
  readonly load: Load
  readonly fits: boolean
}

/** Reasons why a server refuses to start, regardless of its memory. */
export function obstaclesOf(plan: Plan): readonly string[] {
  const { model, count, tensorParallel, pipelineParallel, dataParallel, kvHeads } = plan
  const found: string[] = []
  if (tensorParallel * pipelineParallel * dataParallel > count) found.push(productOf(plan))
  const heads = model?.heads
  if (heads !== undefined && heads % tensorParallel !== 0)
    found.push(
      `${heads} attention heads cannot be divided by tensor parallelism ${tensorParallel}: vLLM and SGLang do not start with it.`,
    )
  if (!divides(tensorParallel, { heads: undefined, kvHeads }))
    found.push(`${kvHeads} heads of the KV cache and tensor parallelism ${tensorParallel}: neither divides the other.`)
  if (model !== undefined && pipelineParallel > model.layers)
    found.push(`A pipeline of ${pipelineParallel} stages has more stages than the model has layers (${model.layers}).`)
  return found
}

/** SGLang counts the ranks of its attention (`--tp 8 --dp 8 --enable-dp-attention`) among those of tensor parallelism, vLLM beside them. */
function productOf({ count, tensorParallel, pipelineParallel, dataParallel }: Plan): string {
  const product = tensorParallel * pipelineParallel * dataParallel
  const written = `TP ${tensorParallel} x PP ${pipelineParallel} x DP ${dataParallel} is ${product} GPUs, but there are ${count}.`
  if (dataParallel === 1 || tensorParallel % dataParallel !== 0 || product / dataParallel !== count) return written
  return `${written} SGLang's --tp ${tensorParallel} --dp ${dataParallel} is TP ${tensorParallel / dataParallel} and DP ${dataParallel} here.`
}

export function warningsOf(facts: Facts): readonly string[] {
  const { plan } = facts
  return [
    ...obstaclesOf(plan),
    ...parallelWarnings(plan),
    ...precisionWarnings(plan),
    ...memoryWarnings(facts),
    ...speedWarnings(facts),
    ...modelWarnings(plan),
  ]
}

function modelWarnings({ model, gpu, options }: Plan): readonly string[] {
  const note = model?.notes?.[gpu.name]
  const hasBreakEven = (options.pricePerHour ?? gpu.pricePerHour) !== undefined
  const isSmaller = model?.name.includes('distill') === true && hasBreakEven
  const smaller =
    'It is smaller than the models of the API: at the same cost per token, its answers are weaker. Compare the answers first.'
  return [...(note === undefined ? [] : [note]), ...(isSmaller ? [smaller] : [])]
}

function parallelWarnings(plan: Plan): readonly string[] {
  const { model, gpu, count, tensorParallel, pipelineParallel, dataParallel, isGguf } = plan
  const found: string[] = []
  if (tensorParallel * pipelineParallel * dataParallel < count) found.push(productOf(plan))
  found.push(...cacheWarnings(plan))
  if (!gpu.linked && tensorParallel > 1 && !isGguf)
    found.push(`${gpu.name} has no NVLink: pipeline parallelism loses less time between the GPUs than tensor parallelism.`)
  if (tensorParallel > 8)
    found.push('Tensor parallelism over more than one node needs InfiniBand; a pipeline between nodes needs less.')
  if (dataParallel > 1 && model?.experts === undefined)
    found.push('A model without experts is copied whole for each data-parallel rank.')
  return found
}

/** Warnings about a cache that tensor parallelism does not divide. */
function cacheWarnings({ model, tensorParallel, kvHeads }: Plan): readonly string[] {
  if (kvHeads !== undefined && tensorParallel > kvHeads)
    return [`The KV cache has ${kvHeads} heads: with tensor parallelism above that number, GPUs keep copies of it.`]
  if (kvHeads !== undefined || model === undefined || tensorParallel === 1) return []
  const whole = `The KV cache is one latent for all heads: each of the ${tensorParallel} ranks of tensor parallelism keeps all of it.`
  return [`${whole} Data or pipeline parallelism divides it.`]
}

function precisionWarnings({ model, precision, gpu, options, isGguf }: Plan): readonly string[] {
  const found: string[] = []
  if (precision === 'fp8' && !gpu.computes.includes('fp8') && model?.experts !== undefined)
    found.push(`${gpu.name} does not compute in FP8: there, this model runs as INT8, AWQ or BF16 (SGLang's table).`)
  if (precision === 'nvfp4' && !gpu.computes.includes('fp4')) found.push(`NVFP4 needs a Blackwell GPU, which ${gpu.name} is not.`)
  if (isGguf) found.push('llama.cpp answers four requests at once (-np 4) unless you set another number; the others wait.')
  const isPadded = model !== undefined && model.kvBytes['8'] === model.kvBytes['16']
  if (isPadded && options.kvPrecision !== undefined)
    found.push('For this cache, 8 bits save no memory, because of padding. The server prints the true size when it starts.')
  return found
}

function memoryWarnings(facts: Facts): readonly string[] {
  const { plan, memory, fits, load } = facts
  const { context, options, model } = plan
  const found: string[] = []
  if (memory.kvGiB <= 0 && options.kvCacheSize === undefined)
    found.push(`The weights do not fit: ${missing(plan, memory)}${enough(plan)}`)
  else found.push(...lengthWarnings(facts))
  if (model !== undefined && context > model.context)
    found.push(`${context} tokens are more than the model's own context of ${model.context}.`)
  if (options.context !== undefined && load.tokensPerRequest > context)
    found.push(
      `One request of the load has ${load.tokensPerRequest} tokens, and the server refuses it with a context of ${context}.`,
    )
  if (fits && load.maxConcurrent === 0)
    found.push(
      `One request of the load has ${load.tokensPerRequest} tokens, which do not fit into the cache of ${memory.kvTokens} tokens.`,
    )
  return [...found, ...recipeWarnings(facts)]
}

/** Warnings about the length of requests. */
function lengthWarnings({ plan, memory, fits }: Facts): readonly string[] {
  const { context, options, model, dataParallel, isGguf } = plan
  const longest = Math.floor(memory.kvTokens / dataParallel)
  const flag = isGguf ? '-c' : '--max-model-len'
  if (longest < context) return [`One request of ${context} tokens does not fit: the longest ${flag} is ${longest}.`]
  if (!fits || options.context !== undefined || model === undefined || longest >= model.context) return []
  return [
    `The model's own context is ${model.context} tokens, which do not fit. Start the server with ${flag} ${longest} at most.`,
  ]
}

function recipeWarnings({ plan: { filesGB, gpu, count, isGguf }, fits }: Facts): readonly string[] {
  const rule = filesGB * 1.2
  if (!fits || isGguf || (gpu.gib * count) / gibPerGB >= rule) return []
  return [
    `vLLM's recipes recommend 1.2 times the size of the files, ${Math.round(rule)} GB. With less, set --max-model-len and --max-num-seqs.`,
  ]
}

function missing({ gpu, count }: Plan, { perGpuGiB, usableGiB, overheadGiB }: Memory): string {
  const needed = perGpuGiB + overheadGiB
  return `each GPU needs ${needed.toFixed(1)} GiB, overhead included, but only ${usableGiB.toFixed(1)} GiB are usable (${count} x ${gpu.name}).`
}

/** Whether another parallelism fits on these GPUs; otherwise the smallest number of them that is enough, found by doubling. */
function enough({ count, context, options }: Plan): string {
  const parallelism = { tensorParallel: undefined, pipelineParallel: undefined, dataParallel: undefined }
  for (let more = count; more <= 64; more *= 2) {
    const plan = planOf({ ...options, ...parallelism, count: more, context })
    if (obstaclesOf(plan).length > 0 || memoryOf(plan).kvTokens < context) continue
    const { tensorParallel, pipelineParallel } = plan
    return more > count ? ` ${more} of them are enough.` : ` With TP ${tensorParallel} x PP ${pipelineParallel} they fit.`
  }
  return ''
}

function speedWarnings({ plan, speed, load }: Facts): readonly string[] {
  const { tokensPerSecond, arrivals, inputTokens, outputTokens } = plan.options
  const found: string[] = []
  if (inputTokens !== undefined && outputTokens === undefined)
    found.push('A request is counted with its input alone. Write outputTokens too.')
  if (plan.gpu.bandwidth === undefined)
    found.push('The speed is unknown without the bandwidth of the memory. Write gpuBandwidth in TB/s.')
  if (tokensPerSecond !== undefined && tokensPerSecond > speed.bound)
    found.push(
      `${tokensPerSecond} tokens/s for one user are impossible: the memory of these GPUs allows ${speed.bound.toFixed(0)} at most. ` +
        'The figure may be for all users, or for input and output together.',
    )
  if (arrivals !== undefined && tokensPerSecond === undefined && load.assumedSpeed !== undefined)
    found.push(
      `The speed was not measured: the load is computed with ${load.assumedSpeed.toFixed(1)} tokens/s for each user, a low estimate. Write tokensPerSecond.`,
    )
  return found
}
