import { createClient, deepseek, llama, openai } from '../index.ts'
import type { Client, ClientEvent } from '../index.ts'
import { answer, startServer, status, type TestServer } from '../testing/index.ts'

/** Three services on real sockets, and a client that has them as its chain. */
export type Stage = {
  readonly client: Client
  readonly deepseek: TestServer
  readonly openai: TestServer
  /** Undefined: the last target is a real server, not ours. */
  readonly llama: TestServer | undefined
  [Symbol.asyncDispose](): Promise<void>
}

const sky =
  'Sunlight holds every colour. The air scatters blue light far more than red, so blue reaches your eye from all over the sky.'

/** DeepSeek queues and then gives up, OpenAI has had enough, llama answers token by token. */
export async function setStage(onEvent: (event: ClientEvent) => void, llamaURL: string | undefined): Promise<Stage> {
  // the queue has to be answered with a 200 first: its end is an error inside it, as busy services send it
  const queue = answer('', { keepAliveForMs: 1_000, keepAliveEveryMs: 50, errorAfterChunks: 0 })
  const busy = await startServer([queue, { ...status(503), headersAfterMs: 60 }], { format: 'deepseek' })
  const limited = await startServer(
    { ...status(429, undefined, { 'retry-after': '20' }), headersAfterMs: 40 },
    { format: 'openai' },
  )
  const words = answer(sky, { firstChunkAfterMs: 80, chunkEveryMs: 22 })
  const local = llamaURL === undefined ? await startServer(words, { format: 'llama' }) : undefined
  const client = createClient({
    chain: [
      deepseek({ baseURL: busy.baseURL, apiKey: 'no-key-is-needed' }),
      openai({ baseURL: limited.baseURL, apiKey: 'no-key-is-needed' }),
      llama({ baseURL: local?.baseURL ?? llamaURL }),
    ],
    onEvent,
  })
  return {
    ...{ client, deepseek: busy, openai: limited, llama: local },
    async [Symbol.asyncDispose]() {
      await client.close()
      for (const server of [busy, limited, local]) await server?.close()
    },
  }
}
