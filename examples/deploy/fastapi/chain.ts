import { createClient, deepseek, textGeneration } from 'unbusy'

export const client = createClient({
  chain: [
    // the public service first: what runs here is a smaller model. The key is DEEPSEEK_API_KEY
    deepseek(),
    textGeneration({
      baseURL: process.env['GENERATE_BASE_URL'] ?? 'http://generate:8000',
      // the service's names for these settings
      fields: { maxOutputTokens: 'max_tokens', temperature: 'temperature', stopSequences: 'stop', seed: 'seed' },
      // the text comes in pieces
      extraBody: { stream: true },
      apiKey: process.env['GENERATE_KEY'],
      // 503 with Retry-After: 1 when all places are taken
      retry: { maxRetries: 5 },
    }),
  ],
  timeout: { firstChunkMs: 10_000, totalMs: 300_000 },
  defaultResponse: 'We are busy. Please try again in a minute.',
})
