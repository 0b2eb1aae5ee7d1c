import { setTimeout as delay } from 'node:timers/promises'
import { createClient, llama, pool } from 'unbusy'
import { expect, onTestFinished, test } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'

const question = { prompt: 'Tell me a story.', temperature: 0, maxOutputTokens: 32 }
const slots = ['--parallel', '4']

// The load is far below what one replica can do, and each is back for ten answers before the other goes: else it would be overload
test.skipIf(llamaServer.isMissing)(
  `a rolling restart of two llama.cpp servers loses no call (F79, F95, F104)${llamaServer.suffix}`,
  { timeout: 180_000 },
  async () => {
    const servers: LlamaServer[] = await Promise.all([startLlama(slots), startLlama(slots)])
    const client = createClient({
      chain: [pool(servers.map(({ baseURL }, index) => llama({ baseURL, name: `replica${index}` })))],
      afterFirstToken: 'restart',
    })
    onTestFinished(async () => {
      await client.close()
      await Promise.all(servers.map(async server => server.stop()))
    })

    const times = await Promise.all([1, 2, 3].map(async () => timed(client.generate(question))))
    const answerMs = Math.max(...times)
    const everyMs = Math.max(250, 3 * answerMs)
    const gapMs = Math.max(1_000, 10 * answerMs)

    let isOver = false
    const calls: Promise<string>[] = []
    const load = async () => {
      while (!isOver) {
        const call = calls.length % 2 === 0 ? client.generate(question) : client.stream(question).then(async s => s.result())
        calls.push(
          call.then(
            ({ finishReason }) => finishReason,
            (error: unknown) => `lost: ${String(error)} ${error instanceof Error ? (Reflect.get(error, 'trail') ?? '') : ''}`,
          ),
        )
        await delay(everyMs)
      }
    }
    const loading = load()
    for (const index of [0, 1, 0, 1]) {
      await delay(gapMs)
      const { port } = servers[index]!
      await servers[index]!.stop()
      servers[index] = await startLlama(slots, 200, port)
    }
    await delay(gapMs)
    isOver = true
    await loading
    const ends = await Promise.all(calls)
    expect(ends.filter(end => end !== 'length' && end !== 'stop')).toEqual([])
    expect(ends.length).toBeGreaterThan(20)
  },
)

async function timed(call: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await call
  return performance.now() - startedAt
}
