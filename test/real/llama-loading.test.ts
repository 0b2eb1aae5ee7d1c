import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type ChainExhaustedError, type ClientEvent, createClient, llama, pool } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { llamaServer, startLlama } from '../helpers/llama-server.ts'

const input = { prompt: 'Tell me a story.', maxOutputTokens: 8, temperature: 0 }
const loading = { outcome: 'failed', reason: 'loading', status: 503, attempt: 1, targetIndex: 0 }

describe.skipIf(llamaServer.isMissing)(`llama.cpp while it loads its model${llamaServer.suffix}`, () => {
  test('every call goes on to the next target at once, the breaker stays closed, and it answers as soon as it is up', async () => {
    const server = await startLoading()
    const events: ClientEvent[] = []
    const client = createClient({
      chain: [llama({ baseURL: server.baseURL }), fakeTarget('From elsewhere.', { name: 'elsewhere' })],
      onEvent: event => void events.push(event),
    })
    onTestFinished(async () => client.close())

    // three failures in a row would open the breaker; it is looked at again after two seconds, and passed over until then
    for (let count = 0; count < 6; count += 1) {
      const { text, attempts } = await client.generate(input)
      expect(text).toBe('From elsewhere.')
      expect(attempts).toMatchObject([
        { provider: 'llama', reason: 'loading' },
        { outcome: 'answered', waitMs: 0 },
      ])
      if (count === 0) expect(attempts[0]).toMatchObject(loading)
    }
    const stream = await client.stream(input)
    expect(await stream.text()).toBe('From elsewhere.')
    expect(client.health()).toMatchObject([{ retriesLeft: 5 }, { state: 'closed' }])
    expect(events.filter(({ type }) => type === 'wait')).toEqual([])
    expect(events.filter(event => event.type === 'health-change' && event.state === 'open')).toEqual([])

    await server.load()
    await vi.waitFor(async () => expect((await client.generate(input)).provider).toBe('llama'), { timeout: 20_000 })
    expect((await client.generate(input)).attempts).toMatchObject([{ outcome: 'answered', provider: 'llama', attempt: 1 }])
  })

  test('with nobody else to ask a call looks again until the model is there', async () => {
    const server = await startLoading()
    const client = createClient({
      chain: [llama({ baseURL: server.baseURL })],
      // the model comes up while the call waits for its next look
      onEvent: ({ type }) => void (type === 'wait' && server.load()),
    })
    onTestFinished(async () => client.close())
    const { text, attempts } = await client.generate(input)
    expect(text).not.toBe('')
    expect(attempts[0]).toMatchObject(loading)
    expect(attempts.at(-1)).toMatchObject({ outcome: 'answered', provider: 'llama' })
  })

  test('or until its time is over, and then it says why', async () => {
    const server = await startLoading()
    const client = createClient({ chain: [llama({ baseURL: server.baseURL })], timeout: { totalMs: 3_000 } })
    onTestFinished(async () => client.close())
    for (const ask of [async () => client.generate(input), async () => client.stream(input)]) {
      const error: unknown = await ask().catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ name: 'ChainExhaustedError', reason: 'loading' })
      const { failures } = error as ChainExhaustedError
      expect(failures[0]?.message).toContain('still loading')
      expect(new Set(failures.map(({ reason }) => reason))).toEqual(new Set(['loading']))
    }
  })
})

describe.skipIf(llamaServer.isMissing)(`llama.cpp that wakes up slowly${llamaServer.suffix}`, () => {
  test(
    'is not taken for a stopped one, though it answered that it sleeps just before (F104, F107)',
    { timeout: 60_000 },
    async () => {
      const server = await startLoading(['--sleep-idle-seconds', '1'])
      await server.load()
      const client = createClient({ chain: [pool([llama({ baseURL: server.baseURL })])] })
      onTestFinished(async () => client.close())
      await client.generate(input)
      await vi.waitFor(async () => expect(await isAsleep(server.baseURL)).toBe(true), { timeout: 10_000 })
      // asks how busy the server is, which a sleeping one answers, and wakes it
      const call = client.generate(input)
      // twice as long as it takes to find out that a server has stopped
      await delay(8_000)
      await server.wake()
      expect((await call).attempts).toMatchObject([{ outcome: 'answered', provider: 'llama' }])
    },
  )
})

async function isAsleep(baseURL: string): Promise<boolean> {
  const response = await fetch(new URL('/props', baseURL))
  return ((await response.json()) as { readonly is_sleeping?: boolean }).is_sleeping === true
}

/**
 * A server that reads its model for as long as the test wants: the last thing it reads is a pipe, and it is done when the pipe's
 * other end was opened and closed. No large file and no race against a small one.
 */
async function startLoading(
  values: readonly string[] = [],
): Promise<{ readonly baseURL: string; load(): Promise<void>; wake(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-loading-'))
  const pipe = join(folder, 'lookup-cache')
  onTestFinished(async () => rm(folder, { recursive: true }))
  await promisify(execFile)('mkfifo', [pipe])
  const server = await startLlama(['--spec-type', 'ngram-cache', '--lookup-cache-static', pipe, ...values], 503)
  let loaded: Promise<void> | undefined
  // refused until the server has come to read it
  const wake = async () =>
    vi.waitFor(async () => (await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK)).close(), { timeout: 20_000 })
  const load = async () => {
    await wake()
    await server.ready()
  }
  const once = async () => (loaded ??= load())
  onTestFinished(async () => once().finally(async () => server.stop()))
  return { baseURL: server.baseURL, load: once, wake }
}
