import { type Call, createClient, deepseek, pool, vllm } from 'unbusy'

/** The addresses of the replicas, separated by commas. The pool asks the least busy one first and skips a lost one. */
const replicas = (process.env['VLLM_BASE_URLS'] ?? 'http://vllm:8000/v1').split(',')

/** Calls with `metadata: { confidential: true }` are never sent to a public service. */
const mayLeave = (call: Call) => call.metadata['confidential'] !== true

export const client = createClient({
  chain: [
    // the key is VLLM_API_KEY
    pool(
      replicas.map(baseURL => vllm('deepseek-r1', { baseURL })),
      // the turns of a conversation go to the same replica, which has its beginning in the cache
      { affinity: call => call.metadata['conversation'] as string | undefined },
    ),
    // asked when the pool is full (--max-num-queued-reqs) or down; the key is DEEPSEEK_API_KEY
    deepseek({ when: mayLeave }),
  ],
  // a request behind 256 others gets its first token late, and R1 thinks for minutes
  timeout: { firstChunkMs: 60_000, totalMs: 600_000 },
  // a replica that is drained or lost cuts its streams: they continue at another one
  afterFirstToken: 'continue',
})
