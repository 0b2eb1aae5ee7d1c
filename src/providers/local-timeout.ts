import type { TimeoutSettings } from '../contract.ts'

/**
 * The clocks of a server on one's own hardware. It queues without a sign of life and sends its headers late, with the first token:
 * until then it may be reading a long prompt on a slow processor, and no other server has a shorter queue (R69, R89).
 */
export const localTimeout: Partial<TimeoutSettings> = { headersMs: 120_000, firstChunkMs: 120_000, chunkMs: 120_000 }
