import { type Call, createClient, deepseek, pool, sglang } from 'unbusy'

/** The addresses of the replicas, separated by commas. The pool asks the least busy one first and skips a lost one. */
const replicas = (process.env['SGLANG_BASE_URLS'] ?? 'http://sglang:30000/v1').split(',')

/** Calls with `metadata: { confidential: true }` are never sent to a public service. */
const mayLeave = (call: Call) => call.metadata['confidential'] !== true

export const client = createClient({
  chain: [
    // the key is SGLANG_API_KEY
    pool(
      replicas.map(baseURL => sglang('deepseek-r1', { baseURL })),
      // RadixAttention reuses the beginning of a prompt on the replica that has read it before
      { affinity: call => call.metadata['conversation'] as string | undefined },
    ),
    deepseek({ when: mayLeave }),
  ],
  timeout: { firstChunkMs: 60_000, totalMs: 600_000 },
  afterFirstToken: 'continue',
})
