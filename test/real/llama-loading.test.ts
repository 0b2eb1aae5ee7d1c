import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient, llama, type ClientEvent } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { hasLlamaServer, llamaServerSuffix, startLlama } from '../helpers/llama-server.ts'

const input = { prompt: 'Tell me a story.', maxOutputTokens: 8, temperature: 0 }
const loading = { outcome: 'failed', reason: 'loading', status: 503, attempt: 1, targetIndex: 0 }

describe.skipIf(!hasLlamaServer)(`llama.cpp while it loads its model${llamaServerSuffix}`, () => {
  test('every call goes on to the next target at once, the breaker stays closed, and it answers as soon as it is up', async () => {
    const server = await startLoading()
    const events: ClientEvent[] = []
    const client = createClient({
      chain: [llama({ baseURL: server.baseURL }), fakeTarget('From elsewhere.', { name: 'elsewhere' })],
      onEvent: event => void events.push(event),
    })
    onTestFinished(async () => client.close())

    // three failures in a row would open the breaker, and the fleet's first refusal a gate
    for (let count = 0; count < 6; count += 1) {
      const { text, attempts } = await client.generate(input)
      expect(text).toBe('From elsewhere.')
      expect(attempts).toMatchObject([loading, { outcome: 'answered', provider: 'elsewhere', waitMs: 0 }])
    }
    const stream = await client.stream(input)
    expect(await stream.text()).toBe('From elsewhere.')
    expect(client.health()).toMatchObject([{ state: 'closed', retriesLeft: 5 }, { state: 'closed' }])
    expect(events.filter(({ type }) => type === 'health-change' || type === 'wait' || type === 'target-skip')).toEqual([])

    await server.load()
    const answers = await Promise.all(Array.from({ length: 4 }, async () => client.generate(input)))
    expect(answers.map(({ provider, attempts }) => [provider, attempts.length])).toEqual(answers.map(() => ['llama', 1]))
  })

  test('with nobody else to ask a call fails at once and says why, and the next one after the loading is answered', async () => {
    const server = await startLoading()
    const client = createClient({ chain: [llama({ baseURL: server.baseURL })] })
    onTestFinished(async () => client.close())
    for (const ask of [async () => client.generate(input), async () => client.stream(input)]) {
      await expect(ask()).rejects.toMatchObject({
        name: 'ChainExhaustedError',
        ...{ reason: 'loading', status: 503, retryAfterMs: undefined },
        attempts: [loading],
        failures: [
          { reason: 'loading', message: expect.stringContaining('still loading') as string, body: expect.anything() as string },
        ],
      })
    }
    await server.load()
    expect((await client.generate(input)).attempts).toMatchObject([{ outcome: 'answered', attempt: 1 }])
  })

  test('a chain that has only this server waits for it where `decide` says so', async () => {
    const server = await startLoading()
    const client = createClient({
      chain: [llama({ baseURL: server.baseURL })],
      retry: { maxRetries: 5, baseDelayMs: 1_000 },
      decide: ({ reason }) => (reason === 'loading' ? 'retry' : undefined),
      // the model comes up while the call waits for its next attempt
      onEvent: ({ type }) => void (type === 'wait' && server.load()),
      random: () => 1 - Number.EPSILON,
    })
    onTestFinished(async () => client.close())
    const { text, attempts } = await client.generate(input)
    expect(text).not.toBe('')
    expect(attempts[0]).toMatchObject(loading)
    expect(attempts.at(-1)).toMatchObject({ outcome: 'answered', provider: 'llama' })
  })
})

/**
 * A server that reads its model for as long as the test wants: the last thing it reads is a pipe, and it is done when the pipe's
 * other end was opened and closed. No large file and no race against a small one.
 */
async function startLoading(): Promise<{ readonly baseURL: string; load(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-loading-'))
  const pipe = join(folder, 'lookup-cache')
  onTestFinished(async () => rm(folder, { recursive: true }))
  await promisify(execFile)('mkfifo', [pipe])
  const server = await startLlama(['--spec-type', 'ngram-cache', '--lookup-cache-static', pipe], 503)
  let loaded: Promise<void> | undefined
  const load = async () => {
    // refused until the server has come to read it
    await vi.waitFor(async () => (await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK)).close(), { timeout: 20_000 })
    await server.ready()
  }
  const once = async () => (loaded ??= load())
  onTestFinished(async () => once().finally(async () => server.stop()))
  return { baseURL: server.baseURL, load: once }
}
