import { llama, openaiCompatible, type Target } from 'unbusy'
import { answer, json, runAttempt, startServer, status, type ReplySource, type TestServer } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'
import { clientOf, live, liveKey, startLitellm, type LiveServer } from '../helpers/live.ts'
import { keptPromises } from '../helpers/kept-promises.ts'

const installed = live('litellm')
const words = 'One two three four five six seven eight.'

let engine: LlamaServer
let upstream: TestServer
let proxy: LiveServer

describe.skipIf(installed.isMissing || llamaServer.isMissing)(
  `a LiteLLM proxy before llama.cpp and a misbehaving server${installed.suffix}${llamaServer.suffix}`,
  () => {
    beforeAll(async () => {
      engine = await startLlama(['--parallel', '2'])
      upstream = await startServer(answer(words), { format: 'openai', port: await freePort() })
      proxy = await startLitellm({ well: engine.baseURL, broken: upstream.baseURL })
    })
    afterAll(async () => {
      await proxy?.stop()
      await upstream?.close()
      await engine?.stop()
    })

    keptPromises({
      target: options => target('well', options),
      wrongKey: { reason: 'authentication', status: 401 },
      wrongModel: { reason: 'not-found', status: 400 },
    })

    test('an abort goes through to the engine and frees its slot', async () => {
      for (const stream of [true, false]) {
        const run = runAttempt(target('well', { stream }), { call: { maxOutputTokens: 1_500, extraBody: { ignore_eos: true } } })
        await eventually(async () => expect(await load()).toMatchObject({ running: 1 }))
        run.abort('enough')
        await run.over
        // as a stream: of a request without one, llama.cpp itself does not notice that its client has left
        if (stream) await eventually(async () => expect(await load()).toEqual({ running: 0, waiting: 0 }))
      }
    })

    test.each([
      ['its own key is refused upstream', status(401), { reason: 'authentication', status: 401 }],
      ['no balance upstream', errorOf(402, 'Insufficient Balance', 'unknown_error'), { reason: 'quota', status: 402 }],
      [
        'no quota upstream, which LiteLLM calls a rate limit',
        errorOf(429, 'You exceeded your current quota, please check your plan and billing details.', 'insufficient_quota'),
        { reason: 'quota', status: 429 },
      ],
      [
        'a rate limit upstream, with its time',
        errorOf(429, 'Rate limit reached for requests', 'requests', { 'retry-after': '7' }),
        { reason: 'rate-limit', status: 429, retryAfterMs: 7_000 },
      ],
      [
        'an unknown model upstream',
        errorOf(404, 'The model `x` does not exist', 'invalid_request_error'),
        { reason: 'not-found' },
      ],
      [
        'busy upstream, with its time',
        errorOf(503, 'Service is too busy.', 'service_unavailable_error', { 'retry-after': '5' }),
        { reason: 'overloaded', status: 503, retryAfterMs: 5_000 },
      ],
      ['a model that is being loaded', errorOf(503, 'Loading model', 'unavailable_error'), { reason: 'loading', status: 503 }],
      ['a page of a proxy', status(502, '<html><h1>502 Bad Gateway</h1></html>'), { reason: 'server-error', status: 502 }],
      [
        'a filter upstream',
        errorOf(400, 'Content Exists Risk', 'invalid_request_error'),
        { reason: 'content-filter', status: 400 },
      ],
    ] as const)('%s', async (_, reply, failure) => {
      for (const stream of [true, false]) expect(await failureOf(reply, { stream })).toMatchObject(failure)
    })

    test('it asks once: whoever is asked again, and where, is the chain', async () => {
      const before = upstream.requests.length
      await failureOf(status(503))
      expect(upstream.requests.length - before).toBe(1)
    })

    test('with retries of its own a failure comes late, and has cost three requests', async () => {
      const before = upstream.requests.length
      await failureOf(status(503), { model: 'retried' })
      expect(upstream.requests.length - before).toBe(3)
    })

    test('a stream that breaks upstream is a failure, with the text that came before', async () => {
      for (const cutBy of ['fin', 'rst'] as const) {
        upstream.replyWith(answer(words, { cutAfterChunks: 3, cutBy }))
        const run = runAttempt(target('broken'))
        await run.over
        expect(run.text()).toBe('One two three ')
        expect(run.error).toMatchObject({ name: 'ProviderError' })
      }
    })

    test('a stream that only ends early is told as a whole one: nothing in it shows the difference', async () => {
      upstream.replyWith(answer(words, { cutAfterChunks: 3, cutBy: 'end' }))
      const run = runAttempt(target('broken'))
      await run.over
      expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' })
    })

    test('a stream without a word is empty, not an answer', async () => {
      expect(await failureOf(answer('x', { emptyBody: true }))).toMatchObject({ reason: 'empty' })
    })

    test.each([
      ['sk-without-budget', { reason: 'quota', status: 422 }],
      ['sk-of-another-model', { reason: 'permission', status: 403 }],
    ])('the key %s', async (apiKey, failure) => {
      expect(await failureOf(answer(words), { apiKey })).toMatchObject(failure)
    })

    test('a key of one request a minute says when the next may come', async () => {
      upstream.replyWith(answer(words))
      const once = runAttempt(target('broken', { apiKey: 'sk-one-a-minute' }))
      await once.over
      expect(once.outcome).toBe('resolved')
      expect(await failureOf(answer(words), { apiKey: 'sk-one-a-minute' })).toMatchObject({
        ...{ reason: 'rate-limit', status: 429, retryAfterMs: expect.any(Number) as number },
      })
    })

    test('deployments that all failed are left alone by the proxy: overloaded, for the time that it names', async () => {
      await eventually(async () =>
        expect(await failureOf(status(500), { model: 'cooled' })).toMatchObject({
          status: 429,
          reason: 'overloaded',
          retryAfterMs: 5_000,
        }),
      )
    })

    test('a chain goes on behind it', async () => {
      upstream.replyWith(status(503))
      const client = clientOf({ chain: [target('broken', { retry: 0 }), target('well')] })
      const { attempts, text } = await client.generate({ prompt: 'Tell me a story.', maxOutputTokens: 6, temperature: 0 })
      expect(text).not.toBe('')
      expect(attempts).toMatchObject([
        { outcome: 'failed', reason: 'overloaded' },
        { outcome: 'answered', model: 'well' },
      ])
    })
  },
)

type Options = { readonly model?: string; readonly apiKey?: string; readonly stream?: boolean; readonly retry?: number }

function target(usual: string, { model = usual, ...options }: Options = {}): Target {
  return openaiCompatible(model, { name: 'litellm', baseURL: proxy.baseURL, apiKey: liveKey, ...options })
}

async function failureOf(reply: ReplySource, options: Options = {}): Promise<unknown> {
  upstream.replyWith(reply)
  const run = runAttempt(target('broken', options))
  await run.over
  return run.error
}

function errorOf(code: number, message: string, type: string, headers: Record<string, string> = {}): ReplySource {
  return json({ error: { message, type, param: null, code: type } }, { status: code, headers })
}

async function load() {
  return llama({ baseURL: engine.baseURL }).provider.load?.(new AbortController().signal)
}

async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 30_000, interval: 50 })
}
