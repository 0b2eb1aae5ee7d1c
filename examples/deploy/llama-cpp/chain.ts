import { createClient, deepseek, llama, pool } from 'unbusy'

/** The addresses of the replicas, separated by commas. */
const replicas = (process.env['LLAMA_BASE_URLS'] ?? 'http://llama-cpp:8080/v1').split(',')

export const client = createClient({
  chain: [
    // the public service first: what runs here is a smaller model. The key is DEEPSEEK_API_KEY
    deepseek(),
    // the last resort. The key is LLAMA_API_KEY
    pool(replicas.map(baseURL => llama('deepseek-r1-distill-qwen-32b', { baseURL }))),
  ],
  // a busy DeepSeek keeps a caller waiting for ten seconds at most
  timeout: { firstChunkMs: 10_000, totalMs: 300_000 },
  afterFirstToken: 'continue',
  defaultResponse: 'We are busy. Please try again in a minute.',
})
