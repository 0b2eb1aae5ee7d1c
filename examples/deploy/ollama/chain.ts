import { createClient, deepseek, ollama } from 'unbusy'

export const client = createClient({
  chain: [
    // the public service first: what runs here is a smaller model. The key is DEEPSEEK_API_KEY
    deepseek(),
    ollama('deepseek-r1:32b', {
      baseURL: process.env['OLLAMA_BASE_URL'] ?? 'http://ollama:11434',
      // as in compose.yaml (kubernetes.yaml has 16_384); with `truncate: false` a longer conversation is refused, not cut silently
      contextTokens: 6_144,
      extraBody: { truncate: false },
      // keeps the model loaded, even if the server was started without OLLAMA_KEEP_ALIVE
      keepAlive: -1,
    }),
  ],
  timeout: { firstChunkMs: 10_000, totalMs: 300_000 },
  defaultResponse: 'We are busy. Please try again in a minute.',
})
