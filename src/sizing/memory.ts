import { gib, gibPerGB, type Plan } from './plan.ts'

/** The memory of one GPU in GiB, and the tokens that fit into the whole deployment. */
export type Memory = {
  readonly weightsGiB: number
  /** Weights on one GPU. */
  readonly perGpuGiB: number
  /** The memory of one GPU that the server may use. */
  readonly usableGiB: number
  /** Activations, CUDA graphs and NCCL on one GPU. For GGUF, the overhead is subtracted from the usable memory instead. */
  readonly overheadGiB: number
  /** Negative if the weights do not fit. */
  readonly kvGiB: number
  readonly kvBytesPerGpu: number
  readonly kvTokens: number
}

/** llama.cpp leaves 1 GiB of each device free (`--fit`) and uses another 1 GiB for computation. */
const ggufFreeGiB = 2

export function memoryOf(plan: Plan): Memory {
  const { gpu, utilisation, isGguf, dataParallel } = plan
  const usableGiB = isGguf ? gpu.gib - ggufFreeGiB : gpu.gib * utilisation
  const overheadGiB = isGguf ? 0 : overhead(plan)
  const perGpuGiB = weightsPerGpuGB(plan) * gibPerGB
  const kvGiB = usableGiB - perGpuGiB - overheadGiB
  const kvBytesPerGpu = plan.kvBytesPerToken / kvDivisor(plan)
  const kvTokens = Math.floor((Math.max(0, kvGiB) * gib) / kvBytesPerGpu) * dataParallel
  return { weightsGiB: plan.filesGB * gibPerGB, perGpuGiB, usableGiB, overheadGiB, kvGiB, kvBytesPerGpu, kvTokens }
}

/** Fitted: with these three constants, the published figures of vLLM and SGLang are reproduced to within 10 %. */
function overhead({ model, filesGB, count }: Plan): number {
  const isHuge = model === undefined ? filesGB >= 150 : model.total >= 200
  if (isHuge) return 5
  const isBig = model === undefined ? filesGB >= 60 : model.total >= 60
  return isBig && count > 1 ? 3 : 2
}

/** In vLLM, data parallelism distributes the experts over all GPUs and copies everything else; a dense model is copied completely. */
function weightsPerGpuGB({ model, filesGB, tensorParallel, pipelineParallel, dataParallel }: Plan): number {
  const split = tensorParallel * pipelineParallel
  if (dataParallel === 1 || model?.experts === undefined) return filesGB / split
  const { expertsGB, sharedGB } = model.experts
  const scale = filesGB / (Object.values(model.files)[0] ?? filesGB)
  return (scale * expertsGB) / (split * dataParallel) + (scale * sharedGB) / split
}

/** With one latent for all heads, every rank of tensor parallelism keeps the whole cache: only pipeline parallelism divides it. */
function kvDivisor({ kvHeads, tensorParallel, pipelineParallel }: Plan): number {
  return (kvHeads === undefined ? 1 : Math.min(tensorParallel, kvHeads)) * pipelineParallel
}
