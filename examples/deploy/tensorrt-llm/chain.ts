import { type Call, createClient, deepseek, pool, tensorrtLlm } from 'unbusy'

/** The addresses of the replicas, separated by commas. The pool asks the least busy one first and skips a lost one. */
const replicas = (process.env['TENSORRT_LLM_BASE_URLS'] ?? 'http://tensorrt-llm:8000/v1').split(',')

/** Calls with `metadata: { confidential: true }` are never sent to a public service. */
const mayLeave = (call: Call) => call.metadata['confidential'] !== true

export const client = createClient({
  chain: [
    // it answers to the id that it was started with
    pool(replicas.map(baseURL => tensorrtLlm('deepseek-ai/DeepSeek-R1-0528', { baseURL }))),
    deepseek({ when: mayLeave }),
  ],
  timeout: { firstChunkMs: 60_000, totalMs: 600_000 },
  // it cannot continue a given text, so an answer that breaks off is started again
  afterFirstToken: 'restart',
})
