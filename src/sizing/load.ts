import type { Memory } from './memory.ts'
import type { Plan } from './plan.ts'

/** Concurrent requests: how many fit, and how many the load causes. */
export type Load = {
  /** Tokens in the cache at the end of one request. */
  readonly tokensPerRequest: number
  /** The number of requests that can be answered concurrently. */
  readonly maxConcurrent: number
  /** The number of concurrent requests under `arrivals`; `undefined` without `arrivals`. */
  readonly inFlight: number | undefined
  /** Tokens per second and user, on which `inFlight` is based. */
  readonly assumedSpeed: number | undefined
  /** The number of deployments needed for that; `undefined` without `arrivals`, or if one request does not fit. */
  readonly replicas: number | undefined
}

/** vLLM's default for `--max-num-seqs`, per engine. */
const maxNumSeqs = 256

/** The highest planned utilisation. A fuller replica queues requests whenever the load is above its average. */
const headroom = 0.7

export function roomFor(plan: Plan, { kvTokens }: Pick<Memory, 'kvTokens'>): Pick<Load, 'tokensPerRequest' | 'maxConcurrent'> {
  const { inputTokens, outputTokens = 0 } = plan.options
  const tokensPerRequest =
    inputTokens === undefined ? Math.max(plan.context, outputTokens) : Math.max(1, inputTokens + outputTokens)
  const maxConcurrent = Math.min(maxNumSeqs * plan.dataParallel, Math.floor(kvTokens / tokensPerRequest))
  return { tokensPerRequest, maxConcurrent }
}

/** Little's law: concurrent requests = arrivals per second x seconds per request. */
export function loadOf(plan: Plan, memory: Pick<Memory, 'kvTokens'>, slowestUser: number): Load {
  const { arrivals, outputTokens = 0, tokensPerSecond, firstTokenSeconds = 0 } = plan.options
  const room = roomFor(plan, memory)
  const none = { ...room, inFlight: undefined, assumedSpeed: undefined, replicas: undefined }
  if (arrivals === undefined) return none
  const assumedSpeed = tokensPerSecond ?? slowestUser
  if (assumedSpeed === 0) return none
  const inFlight = arrivals * (firstTokenSeconds + outputTokens / assumedSpeed)
  if (room.maxConcurrent === 0) return { ...none, inFlight, assumedSpeed }
  const replicas = Math.max(1, Math.ceil(inFlight / (room.maxConcurrent * headroom)))
  return { ...room, inFlight, assumedSpeed, replicas }
}
