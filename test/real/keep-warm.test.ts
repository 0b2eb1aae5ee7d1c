import { setTimeout as delay } from 'node:timers/promises'
import { createClient, llama, type Client, type KeepWarm } from 'unbusy'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'

/** More than 300 tokens, and the same in every call: what a service tells its model first. */
const system = Array.from({ length: 40 }, (_, index) => `Rule ${index}: the little dog went to the park.`).join(' ')
const sleepAfterMs = 2_000

let server: LlamaServer

describe.skipIf(llamaServer.isMissing)(`a llama.cpp that falls asleep when nobody calls${llamaServer.suffix}`, () => {
  beforeAll(async () => {
    server = await startLlama(['--sleep-idle-seconds', '2', '--parallel', '1'])
  })
  afterAll(async () => server?.stop())

  test('is cold after a sleep, and warm where its prompt was kept', { timeout: 60_000, retry: 2 }, async () => {
    const client = clientOf()
    await firstContentMs(client)
    const warm = await leastOf(3, async () => firstContentMs(client))
    const cold = await leastOf(3, async () => {
      await asleep()
      return firstContentMs(client)
    })
    const kept = clientOf({ prompt: system, everyMs: 800 })
    await firstContentMs(kept)
    const keptMs = await leastOf(3, async () => {
      // long enough to fall asleep without a ping
      await delay(sleepAfterMs * 1.75)
      return firstContentMs(kept)
    })
    // not only faster: the whole prompt was there
    const { usage } = await kept.generate({ system, prompt: 'What did it do then?', maxOutputTokens: 2 })
    expect(usage.cachedInputTokens).toBeGreaterThan(300)
    const { keepWarm } = kept.status().targets[0]!
    console.log(
      `first content: warm ${warm.toFixed(1)} ms, cold ${cold.toFixed(1)} ms, kept warm ${keptMs.toFixed(1)} ms, ${keepWarm?.sent} pings`,
    )
    expect(cold).toBeGreaterThan(5 * warm)
    expect(cold).toBeGreaterThan(3 * keptMs)
    expect(keepWarm).toMatchObject({ failed: 0 })
  })

  test('stays awake for the model alone, and not a token is written for that', { timeout: 30_000 }, async () => {
    const client = clientOf({ model: true, everyMs: 800 })
    expect(await client.warmUp()).toMatchObject([{ ok: true }])
    const before = await tokens()
    await delay(2 * sleepAfterMs)
    expect(await isAsleep()).toBe(false)
    expect(await tokens()).toBe(before)
    await client.close()
    await asleep()
  })

  test('is woken by warmUp()', { timeout: 30_000 }, async () => {
    await asleep()
    const client = clientOf({ model: true })
    expect(await client.warmUp()).toMatchObject([{ ok: true }])
    expect(await isAsleep()).toBe(false)
  })
})

function clientOf(keepWarm?: KeepWarm): Client {
  const client = createClient({ chain: [llama({ baseURL: server.baseURL, keepWarm })] })
  onTestFinished(async () => client.close())
  return client
}

async function firstContentMs(client: Client): Promise<number> {
  const { attempts } = await client.generate({ system, prompt: 'What did it do?', maxOutputTokens: 2 })
  return attempts[0]?.firstChunkMs ?? NaN
}

/** What it takes when nothing else is in the way. */
async function leastOf(times: number, measure: () => Promise<number>): Promise<number> {
  let least = Infinity
  for (let index = 0; index < times; index += 1) least = Math.min(least, await measure())
  return least
}

async function page(path: string): Promise<Response> {
  return fetch(`${server.baseURL.replace('/v1', '')}${path}`)
}

async function isAsleep(): Promise<boolean> {
  const props = (await (await page('/props')).json()) as { readonly is_sleeping?: boolean }
  return props.is_sleeping === true
}

async function asleep(): Promise<void> {
  await vi.waitFor(async () => expect(await isAsleep()).toBe(true), { timeout: 15_000, interval: 100 })
}

/** Written since the start; the page wakes nobody. */
async function tokens(): Promise<string | undefined> {
  return /^llamacpp:tokens_predicted_total (\S+)/m.exec(await (await page('/metrics')).text())?.[1]
}
