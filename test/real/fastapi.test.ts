import { llama, textGeneration, type Target, type TextGenerationOptions } from 'unbusy'
import { runAttempt, startServer, status } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'
import { clientOf, live, liveKey, startGenerate, type LiveServer } from '../helpers/live.ts'

const installed = live('fastapi')
const short = { prompt: 'Tell me a story.', temperature: 0 }
/** Some seconds of the smallest model. */
const long = { extraBody: { max_tokens: 3_000, seed: 1 } }

let engine: LlamaServer
let service: LiveServer

describe.skipIf(installed.isMissing || llamaServer.isMissing)(
  `a FastAPI service POST /generate before llama.cpp${installed.suffix}${llamaServer.suffix}`,
  () => {
    beforeAll(async () => {
      engine = await startLlama(['--parallel', '2'])
      service = await startGenerate(engine.baseURL)
    })
    afterAll(async () => {
      await service?.stop()
      await engine?.stop()
    })

    test('it answers, and says why it ended and what it cost', async () => {
      const run = runAttempt(target({ extraBody: { max_tokens: 6 } }))
      await run.over
      expect(run.text()).not.toBe('')
      expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'length', usage: { outputTokens: 6 } })
    })

    test('a wrong key and none are authentication failures', async () => {
      for (const options of [{ apiKey: 'wrong-key' }, { apiKey: undefined }]) {
        const run = runAttempt(target(options))
        await run.over
        expect(run.error).toMatchObject({ reason: 'authentication', status: 401 })
      }
    })

    test('a field that it does not take is named: FastAPI says so with 422 and a list of details', async () => {
      const run = runAttempt(target({ extraBody: { max_tokens: 0 } }))
      await run.over
      const said = expect.stringContaining('max_tokens: Input should be greater than or equal to 1') as string
      expect(run.error).toMatchObject({ reason: 'invalid-request', status: 422, said })
    })

    test('a prompt that is too long is told with its numbers', async () => {
      const run = runAttempt(target(), { call: { messages: [{ role: 'user', content: 'word '.repeat(8_000) }] } })
      await run.over
      expect(run.error).toMatchObject({ reason: 'context-length', status: 400, contextTokens: expect.any(Number) as number })
    })

    test('more calls than it has places wait for a second and are all answered', async () => {
      const client = clientOf({ chain: [target()], retry: { maxRetries: 5, waitForMs: 10_000 } })
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => client.generate({ ...short, extraBody: { max_tokens: 100 } })),
      )
      expect(answers.map(({ text }) => text === '')).toEqual(Array.from({ length: 6 }, () => false))
    })

    test('asked for a stream it answers in pieces, with the reason of the end and the usage', async () => {
      const run = runAttempt(target({ extraBody: { max_tokens: 30, stream: true } }))
      await run.over
      const pieces = run.events.filter(({ type }) => type === 'text-delta')
      expect(pieces.length).toBeGreaterThan(10)
      expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'length', usage: { outputTokens: 30 } })
    })

    test('when it is full it says so at once, with a time', async () => {
      const body = JSON.stringify({ prompt: short.prompt, max_tokens: 3_000 })
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${liveKey}` }
      const leave = new AbortController()
      const ask = async () => fetch(`${service.origin}/generate`, { method: 'POST', headers, body, signal: leave.signal })
      const running = [ask(), ask()].map(async asked => asked.catch(() => undefined))
      await eventually(async () => expect(await load()).toMatchObject({ running: 2 }))
      const startedAt = performance.now()
      const refused = await ask()
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toBe('1')
      expect(performance.now() - startedAt).toBeLessThan(500)
      leave.abort()
      await Promise.all(running)
      await eventually(async () => expect(await load()).toEqual({ running: 0, waiting: 0 }))
    })

    test('what the engine refuses is told with a status, also where a stream was asked for', async () => {
      const tooLong = { messages: [{ role: 'user' as const, content: 'word '.repeat(8_000) }] }
      const run = runAttempt(target({ extraBody: { stream: true } }), { call: tooLong })
      await run.over
      expect(run.error).toMatchObject({ reason: 'context-length', status: 400 })
    })

    test.each([
      ['whole', long],
      ['streamed', { extraBody: { ...long.extraBody, stream: true } }],
    ])('an aborted call frees the place and the slot of the engine: %s', async (kind, options) => {
      const run = runAttempt(target(options))
      await eventually(async () => expect(await load()).toMatchObject({ running: 1 }))
      // in the middle of the stream
      if (kind === 'streamed') await eventually(() => expect(run.text()).not.toBe(''))
      const leftAt = performance.now()
      run.abort('enough')
      await run.over
      await eventually(async () => expect(await load()).toEqual({ running: 0, waiting: 0 }))
      // the answer alone would take several seconds
      expect(performance.now() - leftAt).toBeLessThan(1_500)
    })

    test('SIGTERM: a call that runs is answered, new ones go to the next target', async () => {
      const leaving = await startGenerate(engine.baseURL)
      onTestFinished(async () => leaving.stop())
      const chain = [target({ baseURL: leaving.origin, retry: 0 }), target({ retry: 0, name: 'other' })]
      const client = clientOf({ chain })
      const running = client.generate({ ...short, extraBody: { max_tokens: 300 } })
      await eventually(async () => expect(await load()).toMatchObject({ running: 1 }))
      leaving.signal('SIGTERM')
      await eventually(() => expect(leaving.log()).toContain('Shutting down'))
      const late = await client.generate({ ...short, extraBody: { max_tokens: 6 } })
      expect(late.provider).toBe('other')
      expect((await running).provider).toBe('text-generation')
      await leaving.exited
    })

    test('an engine that is not there is overloaded for the caller, and 503 for who looks at /health', async () => {
      await using down = await startServer([status(500)])
      const lonely = await startGenerate(down.baseURL)
      onTestFinished(async () => lonely.stop())
      await down.down()
      const run = runAttempt(target({ baseURL: lonely.origin }))
      await run.over
      expect(run.error).toMatchObject({ reason: 'overloaded', status: 503, retryAfterMs: 1_000 })
      expect((await fetch(`${lonely.origin}/health`)).status).toBe(503)
    })
  },
)

function target(options: Partial<TextGenerationOptions> = {}): Target {
  return textGeneration({ baseURL: service.origin, apiKey: liveKey, ...options })
}

async function load() {
  return llama({ baseURL: engine.baseURL }).provider.load?.(new AbortController().signal)
}

async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 30_000, interval: 20 })
}
