import { createClient, llama, type Provider, type Target } from 'unbusy'
import { answer, fakeTarget, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

const retry = { maxRetries: 2, baseDelayMs: 5 }

test('with one request at a time a refusal is retried like any other, before the default response and before the next target', async ({
  server,
}) => {
  const { baseURL } = await server([status(500), answer('First.'), status(500), answer('First.')])
  const first = llama('m', { baseURL, retry, limits: { concurrency: 1 } })
  for (const more of [[], [fakeTarget('Second.')]]) {
    const client = createClient({ chain: [first, ...more], defaultResponse: 'Sorry.' })
    onTestFinished(async () => client.close())
    expect(await client.generate('Hi')).toMatchObject({
      text: 'First.',
      attempts: [
        { outcome: 'failed', reason: 'server-error', kind: 'first' },
        { outcome: 'answered', kind: 'retry' },
      ],
    })
  }
})

test('an answer that broke off is retried too, when the server has noticed its end', async ({ server }) => {
  const { baseURL } = await server([answer(['a', 'b'], { cutAfterChunks: 1, cutBy: 'rst' }), answer('Whole.')])
  const target = llama('m', { baseURL, retry: { maxRetries: 1, baseDelayMs: 200 }, limits: { concurrency: 1 } })
  const client = createClient({ chain: [target], defaultResponse: 'Sorry.', random: () => 0.99 })
  onTestFinished(async () => client.close())
  expect(await client.generate('Hi')).toMatchObject({ text: 'Whole.', degraded: false })
})

test('a retry whose place another call took waits in line for the next one', async ({ clock }) => {
  const reply = [{ error: 'server-error' as const }, { text: 'Slow.', firstChunkAfterMs: 2_000 }, { text: 'Whole.' }]
  const target = fakeTarget(reply, { clock, retry: { maxRetries: 1, baseDelayMs: 500 }, limits: { concurrency: 1 } })
  const client = createClient({ chain: [target], clock, defaultResponse: 'Sorry.', random: () => 0.99 })
  const first = client.generate('Hi')
  await clock.advance(100)
  const second = client.generate('Hi')
  expect(await clock.until(Promise.all([first, second]))).toMatchObject([{ text: 'Whole.' }, { text: 'Slow.' }])
  expect(target.provider.calls).toHaveLength(3)
})

test('a refusal is the end of the work of a server: its place is free at once', async ({ server }) => {
  const { baseURL } = await server([status(400)])
  const chain = [llama('m', { baseURL, retry: 0, limits: { concurrency: 1 } }), fakeTarget('Second.')]
  const client = createClient({ chain })
  onTestFinished(async () => client.close())
  expect(await client.generate('Hi')).toMatchObject({ text: 'Second.' })
  expect(client.health()[0]?.limits?.concurrency?.used).toBe(0)
})

test.for([Number.NaN, -5_000, Infinity, 1e308])(
  'a provider that reports %d tokens gives none back: the estimate stands',
  async (outputTokens, { clock }) => {
    const usage = { inputTokens: 10, outputTokens }
    const target = fakeTarget({ text: 'Hello.', usage }, { clock, limits: { tokensPerMinute: 10_000 } })
    const client = createClient({ chain: [target], clock })
    const call = { prompt: 'Hi', maxOutputTokens: 4_000, timeout: { totalMs: 10_000 } }
    for (let count = 0; count < 2; count += 1) await clock.until(client.generate(call))
    await expect(clock.until(client.generate(call))).rejects.toMatchObject({ reason: 'rate-limit' })
    expect(client.health()[0]?.limits?.tokensPerMinute?.used).toBe(8_002)
    await clock.advance(61_000)
    expect(client.health()[0]?.limits?.tokensPerMinute?.used).toBe(0)
  },
)

test('input that a server does not report keeps its estimate', async ({ clock }) => {
  const target = fakeTarget({ text: 'Hello.', usage: { outputTokens: 5 } }, { clock, limits: { tokensPerMinute: 10_000 } })
  const client = createClient({ chain: [target], clock })
  await clock.until(client.generate('x'.repeat(3_000)))
  expect(client.health()[0]?.limits?.tokensPerMinute?.used).toBe(1_000)
})

test('a provider that ends after close() leaves no timer', async ({ clock }) => {
  const ended = Promise.withResolvers<void>()
  const provider: Provider = { name: 'stubborn', stream: async () => ended.promise }
  const target: Target = { provider, model: 'm', limits: { concurrency: 1 } }
  const client = createClient({ chain: [target], clock })
  const call = client.generate('Hi').catch(() => {})
  await clock.advance(1)
  await client.close()
  await call
  ended.resolve()
  await clock.advance(0)
  expect(clock.pending()).toBe(0)
})
