import { createClient, deepseek, llama, openai } from '../index.ts'
import type { Client, ClientEvent, Target } from '../index.ts'
import { answer, startServer, status, type TestServer } from '../testing/index.ts'

/** Three services on real sockets, and a client with a chain of them. */
export type Stage = {
  readonly client: Client
  readonly deepseek: TestServer
  readonly openai: TestServer
  /** Undefined if the last target is a real server instead of ours. */
  readonly llama: TestServer | undefined
  [Symbol.asyncDispose](): Promise<void>
}

const sky =
  'Sunlight holds every colour. The air scatters blue light far more than red, so blue reaches your eye from all over the sky.'

/**
 * DeepSeek queues the request and then fails, OpenAI is rate-limited, llama answers token by token.
 *
 * @param last a real target that replaces our llama
 */
export async function setStage(onEvent: (event: ClientEvent) => void, last: Target | undefined): Promise<Stage> {
  // a queue begins with status 200, so its failure is an error inside the stream, as overloaded services send it
  const queue = answer('', { keepAliveForMs: 1_000, keepAliveEveryMs: 50, errorAfterChunks: 0 })
  const busy = await startServer([queue, { ...status(503), headersAfterMs: 60 }], { format: 'deepseek' })
  const limited = await startServer(
    { ...status(429, undefined, { 'retry-after': '20' }), headersAfterMs: 40 },
    { format: 'openai' },
  )
  const words = answer(sky, { firstChunkAfterMs: 80, chunkEveryMs: 22 })
  const local = last === undefined ? await startServer(words, { format: 'llama' }) : undefined
  const client = createClient({
    chain: [
      deepseek({ baseURL: busy.baseURL, apiKey: 'no-key-is-needed' }),
      openai({ baseURL: limited.baseURL, apiKey: 'no-key-is-needed' }),
      last ?? llama({ baseURL: local?.baseURL }),
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
