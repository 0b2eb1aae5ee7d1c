import { usualRatio } from './apis.ts'
import type { Plan } from './plan.ts'
import { sizeOf } from './size-deployment.ts'
import type { Facts } from './warnings.ts'

/** One figure and its formula, for people to read. */
export type Step = { readonly name: string; readonly value: string; readonly formula: string }

export function explain(facts: Facts): readonly Step[] {
  return [...memorySteps(facts), ...loadSteps(facts), ...costSteps(facts)]
}

function memorySteps({ plan, memory }: Facts): readonly Step[] {
  const { gpu, options, utilisation, isGguf, context } = plan
  const { weightsGiB, perGpuGiB, usableGiB, overheadGiB, kvGiB, kvBytesPerGpu, kvTokens } = memory
  const usable = isGguf
    ? `${gpu.gib} GiB - 2, which llama.cpp keeps free or uses for computing`
    : `${gpu.gib} GiB x ${utilisation}`
  const perEngine = `${grouped(kvGiB)} GiB x 2^30 / ${grouped(kvBytesPerGpu)}`
  const printed = options.kvCacheSize !== undefined
  return [
    { name: 'weights', value: gibText(weightsGiB), formula: `${grouped(plan.filesGB)} GB of files (${plan.precision}) / 1.0737` },
    { name: 'weights per GPU', value: gibText(perGpuGiB), formula: weightsFormula(plan) },
    { name: 'usable per GPU', value: gibText(usableGiB), formula: usable },
    ...(isGguf
      ? []
      : [{ name: 'overhead', value: gibText(overheadGiB), formula: 'activations, CUDA graphs, NCCL (rule of thumb)' }]),
    { name: 'left for the cache', value: gibText(kvGiB), formula: isGguf ? 'usable - weights' : 'usable - weights - overhead' },
    { name: 'cache per token', value: `${grouped(plan.kvBytesPerToken)} B`, formula: cacheFormula(plan, kvBytesPerGpu) },
    {
      name: 'tokens in the cache',
      value: grouped(kvTokens),
      formula: printed ? 'printed by the server' : `${perEngine}${plan.dataParallel > 1 ? ` x DP ${plan.dataParallel}` : ''}`,
    },
    {
      name: 'longest request',
      value: grouped(context),
      formula: options.context === undefined ? 'the default, without --context' : '--context',
    },
  ]
}

function weightsFormula({ model, filesGB, tensorParallel, pipelineParallel, dataParallel }: Plan): string {
  const split = `(TP ${tensorParallel} x PP ${pipelineParallel}`
  if (dataParallel === 1) return `${grouped(filesGB)} GB / ${split})`
  if (model?.experts === undefined) return `${grouped(filesGB)} GB / ${split}), a copy for each of DP ${dataParallel}`
  return `experts / ${split} x DP ${dataParallel}) + attention and the rest / ${split})`
}

function cacheFormula({ model, kvHeads, tensorParallel, pipelineParallel }: Plan, perGpu: number): string {
  const heads = kvHeads === undefined ? '' : ` / min(TP ${tensorParallel}, ${kvHeads} heads)`
  const shape = model === undefined ? 'as given' : `${model.layers} layers`
  const stages = pipelineParallel > 1 ? ` / PP ${pipelineParallel}` : ''
  return `${shape}; per GPU${heads}${stages} = ${grouped(perGpu)} B`
}

function loadSteps({ plan, memory, load, speed, fits }: Facts): readonly Step[] {
  if (!fits) return []
  const { arrivals, outputTokens, firstTokenSeconds = 0 } = plan.options
  const room = `min(256${plan.dataParallel > 1 ? ` x DP ${plan.dataParallel}` : ''}, ${grouped(memory.kvTokens)} / ${grouped(load.tokensPerRequest)})`
  const bound = `of at most ${grouped(speed.bound)}, limited by the bandwidth`
  const steps: Step[] = [{ name: 'at once', value: grouped(load.maxConcurrent), formula: room }]
  if (speed.bound < Infinity) {
    steps.push(
      { name: 'tokens/s per user', value: rangeText(speed.perUser), formula: `from a full server to a single user, ${bound}` },
      {
        name: 'tokens/s in total',
        value: rangeText(speed.total),
        formula: `${grouped(load.maxConcurrent)} at once; measured shares of the bound`,
      },
    )
  }
  const { inFlight, assumedSpeed, replicas } = load
  if (inFlight === undefined || assumedSpeed === undefined) return steps
  const stay = `(${firstTokenSeconds} s + ${grouped(outputTokens ?? 0)} tokens / ${grouped(assumedSpeed)} per second)`
  steps.push({ name: 'in flight', value: grouped(inFlight), formula: `${arrivals} per second x ${stay}` })
  if (replicas !== undefined)
    steps.push({
      name: 'replicas',
      value: grouped(replicas),
      formula: `${grouped(inFlight)} / (${grouped(load.maxConcurrent)} x 0.7), rounded up`,
    })
  return steps
}

function costSteps(facts: Facts): readonly Step[] {
  const { plan } = facts
  const { inputTokens, outputTokens, cacheHits = 0 } = plan.options
  const ratio = inputTokens === undefined || outputTokens === undefined ? usualRatio : inputTokens / outputTokens
  const price = plan.options.pricePerHour ?? plan.gpu.pricePerHour
  return sizeOf(facts).breakEven.map(({ api, outputTokensPerSecond, outputTokensPerMonth, verdict }) => ({
    name: `same cost as ${api}`,
    value: `${grouped(outputTokensPerSecond)} out/s`,
    formula: `${grouped(outputTokensPerMonth / 1e9)} G tokens a month: ${verdict} (${plan.count} x ${price} $/h; ${grouped(ratio)} in per out, ${cacheHits * 100} % cached)`,
  }))
}

function gibText(value: number): string {
  return `${grouped(value)} GiB`
}

function rangeText([low, high]: readonly [number, number]): string {
  return `${grouped(low)} to ${grouped(high)}`
}

/** Formats a number with thousands separators, and with one decimal below 100. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 })
}
