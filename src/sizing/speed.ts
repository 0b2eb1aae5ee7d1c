import type { Memory } from './memory.ts'
import type { Plan } from './plan.ts'

export type Range = readonly [low: number, high: number]

/** Tokens per second, as ranges, because the share of the memory bandwidth that servers reach differs by a factor of ten. */
export type Speed = {
  /** The speed for one user: from a full deployment to an otherwise idle one. */
  readonly perUser: Range
  /** The total speed of a full deployment. */
  readonly total: Range
  /** The most that the bandwidth allows for one user; no measurement can exceed it. `Infinity` if the bandwidth is unknown. */
  readonly bound: number
}

/** Measured shares of the bandwidth's bound: the best case of a single user, and the range of a full server. */
type Efficiency = { readonly alone: number; readonly full: Range }

/**
 * Measured by others (docs/private.md has the sources).
 * Dense: 447 of 1,160 tokens/s (14B on an A40, 50 users), 95 of 358 (32B in 4 bits, RTX 5090, 4 users); one user usually gets 50 to 80 %.
 * Experts: 43 of 1,430 (R1, 16 H100, one user), 325 of 7,800 (the same, 92 users), 1,000 of 2,650 (R1, 8 H200, 32 users); on one or
 * two devices 23 of 74 (V4-Flash, M3 Ultra), 210 of 340 (2 RTX PRO 6000), and 140 of 10,000 (R1 in 1.58 bits, 2 H100, full).
 */
const efficiencies = {
  dense: { alone: 0.8, full: [0.25, 0.8] },
  fewExperts: { alone: 0.65, full: [0.01, 0.65] },
  experts: { alone: 0.1, full: [0.03, 0.38] },
} as const satisfies Record<string, Efficiency>

/** @param users the concurrent users of a full deployment @param tokens the tokens in the cache per user */
export function speedOf(plan: Plan, memory: Memory, { users, tokens }: { users: number; tokens: number }): Speed {
  const { bandwidth } = plan.gpu
  if (bandwidth === undefined || users === 0) return { perUser: [0, 0], total: [0, 0], bound: Infinity }
  const seconds = (batch: number, cached: number) =>
    (bytesPerGpu(plan, memory, { batch, cached }) * turnsOf(plan, batch)) / (bandwidth * 1e12)
  const { alone, full } = efficiencyOf(plan)
  const boundAlone = 1 / seconds(1, 0)
  const boundFull = users / seconds(users, tokens)
  const idle = alone / seconds(1, tokens)
  return {
    // nobody is faster in a crowd than alone, however deep the pipeline
    perUser: [Math.min(idle, (full[0] * boundFull) / users), idle],
    total: [full[0] * boundFull, full[1] * boundFull],
    bound: boundAlone,
  }
}

function efficiencyOf({ model, count }: Plan): Efficiency {
  if (model?.experts === undefined) return efficiencies.dense
  return count <= 2 ? efficiencies.fewExperts : efficiencies.experts
}

/** A token passes the stages of a pipeline one after the other: with fewer users than stages, some stages wait. */
function turnsOf({ pipelineParallel, dataParallel }: Plan, batch: number): number {
  return pipelineParallel / Math.min(pipelineParallel, Math.ceil(batch / dataParallel))
}

/** The bytes that one GPU reads to generate one token for each user: its share of the active weights and of the cache. */
function bytesPerGpu(plan: Plan, memory: Memory, { batch, cached }: { batch: number; cached: number }): number {
  const { model, filesGB, tensorParallel, pipelineParallel, dataParallel } = plan
  const split = tensorParallel * pipelineParallel
  const cache = (batch / Math.min(batch, dataParallel)) * cached * memory.kvBytesPerGpu
  if (model?.experts === undefined) return (filesGB * 1e9) / split + cache
  const { share, expertsGB, sharedGB } = model.experts
  const scale = (filesGB / (expertsGB + sharedGB)) * 1e9
  // the batch reads every expert that at least one of its tokens has chosen
  const touched = 1 - (1 - share) ** batch
  return (scale * touched * expertsGB) / (split * dataParallel) + (scale * sharedGB) / split + cache
}
