import { expect } from 'vitest'
import { z } from 'zod'
import { createClient, deepseek, llama, openaiCompatible } from '../../src/index.ts'
import { answer, fakeClock, fakeTarget, recordEvents, refuse, status } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const million = 1_000_000
/** A dollar for each token of output. */
const price = { input: 0, output: million }

test('each request is told with what it was for, what it cost, and what the server said of it', async () => {
  const clock = fakeClock()
  const events = recordEvents()
  const target = fakeTarget(
    [
      { text: 'no JSON', usage: { outputTokens: 5 }, id: 'r-1', model: 'm-real', requestId: 'q-1' },
      { text: '{"a":1}', usage: { inputTokens: 2, outputTokens: 7 }, id: 'r-2' },
    ],
    { price, retry: 0 },
  )
  const client = createClient({ chain: [target], clock, onEvent: events.listener, repair: 1 })
  const output = z.object({ a: z.number() })
  const result = await clock.until(client.generate({ prompt: 'Hi', output, metadata: { tenant: 't-1' } }))
  expect(result.attempts).toMatchObject([
    {
      ...{ kind: 'first', outcome: 'failed', reason: 'invalid-output', cost: 5, worstCost: undefined },
      ...{ responseId: 'r-1', responseModel: 'm-real', finishReason: 'stop' },
    },
    { kind: 'retry', outcome: 'answered', cost: 7, responseId: 'r-2', responseModel: undefined, finishReason: 'stop' },
  ])
  expect(result).toMatchObject({ cost: 12, costs: { answered: 7, wasted: 5, unknownAttempts: 0, estimated: 0 } })
  expect(events.attempts()).toEqual(result.attempts)
  expect(events.of('call-end')).toMatchObject([{ cost: 12, targetIndex: 0, step: 0, metadata: { tenant: 't-1' } }])
})

test('of a lost race and of a broken answer only the worst case is known', async () => {
  const clock = fakeClock()
  const late = fakeTarget({ text: 'late', headersAfterMs: 20_000 }, { name: 'late', price })
  const quick = fakeTarget({ text: 'quick', usage: { outputTokens: 3 } }, { name: 'quick', price })
  const client = createClient({ chain: [late, quick], clock, hedge: { budget: 1, spend: 1 } })
  const result = await clock.until(client.generate({ prompt: 'Hi', maxOutputTokens: 100, timeout: { headersMs: 60_000 } }))
  expect(result.attempts.map(({ kind, outcome, cost, worstCost }) => [kind, outcome, cost, worstCost])).toEqual([
    ['first', 'abandoned', undefined, 100],
    ['hedge', 'answered', 3, undefined],
  ])
  expect(result.costs).toEqual({ answered: 3, wasted: 0, unknownAttempts: 1, estimated: 100 })

  const cut = fakeTarget([{ text: ['a', 'b'], cutAfterChunks: 1 }, { text: 'whole' }], { price, retry: 1 })
  const other = createClient({ chain: [cut], clock })
  const { cost, costs } = await clock.until(other.generate('Hi'))
  expect([cost, costs]).toEqual([undefined, { answered: undefined, wasted: 0, unknownAttempts: 2, estimated: 2 * 4_096 }])
})

test('what was refused, and what never came onto a connection, cost nothing', async ({ server }) => {
  const target = async (reply: Parameters<typeof server>[0]) => {
    const { baseURL } = await server(reply)
    return openaiCompatible('m', { baseURL, apiKey: 'k', price, retry: 0 })
  }
  const local = await server(answer('Hello.', { usage: { inputTokens: 1, outputTokens: 2 } }))
  const client = createClient({
    chain: [
      await target(status(429)),
      await target(status(401)),
      await target(status(503, undefined, { 'retry-after': '60' })),
      await target(status(500)),
      await target(answer(['a', 'b'], { cutAfterChunks: 1 })),
      await target(refuse()),
      openaiCompatible('m', { baseURL: 'http://127.0.0.1:1/v1', apiKey: 'k', price, retry: 0 }),
      llama({ baseURL: local.baseURL }),
    ],
  })
  const result = await client.generate({ prompt: 'Hi', maxOutputTokens: 10 })
  expect(result.attempts.map(({ status: code, cost, worstCost }) => [code, cost, worstCost])).toEqual([
    [429, 0, undefined],
    [401, 0, undefined],
    [503, 0, undefined],
    [500, undefined, 10],
    [200, undefined, 10],
    [undefined, 0, undefined],
    [undefined, 0, undefined],
    [200, 0, undefined],
  ])
  expect(result.costs).toEqual({ answered: 0, wasted: 0, unknownAttempts: 2, estimated: 20 })
  await client.close()
})

test('a default response costs what its call has wasted; a skipped target costs nothing', async () => {
  const clock = fakeClock()
  const events = recordEvents()
  const dear = fakeTarget({ error: 'invalid-output', usage: { outputTokens: 4 } }, { price, retry: 0 })
  const never = fakeTarget('never', { name: 'never', price, when: () => false })
  const client = createClient({ chain: [never, dear], clock, defaultResponse: 'Later.', onEvent: events.listener })
  const result = await clock.until(client.generate('Hi'))
  expect(result).toMatchObject({ text: 'Later.', cost: 4, costs: { answered: 0, wasted: 4, unknownAttempts: 0, estimated: 0 } })
  expect(result.attempts[0]).toMatchObject({ outcome: 'skipped', kind: undefined, cost: 0, worstCost: undefined })
  expect(events.of('call-end')).toMatchObject([{ outcome: 'degraded', cost: 4, targetIndex: -1, step: -1 }])
})

test('a call that fails, or is aborted, tells what it had asked and what that cost by call-end', async () => {
  const clock = fakeClock()
  const events = recordEvents()
  const target = fakeTarget([{ error: 'content-filter', usage: { outputTokens: 6 } }, { hang: true }], { price })
  const client = createClient({ chain: [target], clock, onEvent: events.listener })
  await expect(clock.until(client.generate('Hi'))).rejects.toThrow('No target answered')
  const controller = new AbortController()
  const work = client.generate({ prompt: 'Hi', signal: controller.signal })
  controller.abort(new Error('gone'))
  await expect(clock.until(work)).rejects.toThrow('gone')
  expect(events.of('call-end')).toMatchObject([
    { outcome: 'failed', cost: 6, targetIndex: undefined, step: undefined },
    { outcome: 'aborted', cost: 0, attempts: [{ outcome: 'abandoned', cost: undefined, worstCost: 4_096 }] },
  ])
})

test('the log tells cost, place and ids, and of metadata nothing that may be a prompt', async ({ server }) => {
  const { baseURL } = await server([status(500), answer('Hi.', { usage: { inputTokens: 10, outputTokens: 20 }, id: 'r-9' })])
  const lines: object[] = []
  const write = (fields: object, message: string) => void lines.push({ ...fields, message })
  const client = createClient({
    chain: [deepseek('deepseek-flash', { baseURL, apiKey: 'k', price: { input: 1, output: million } })],
    logger: { debug() {}, info: write, warn: write },
  })
  const metadata = {
    user: 'u-17',
    step: 3,
    isTrial: true,
    question: 'What is my balance?',
    nested: { a: 1 },
    long: 'x'.repeat(65),
  }
  await client.generate({ prompt: 'Hi', metadata })
  expect(lines).toMatchObject([
    { message: 'attempt failed', kind: 'first', cost: undefined },
    { message: 'call answered', cost: 20.00001, targetIndex: 0, step: 0 },
  ])
  expect(lines[1]).toHaveProperty('metadata', { user: 'u-17', step: 3, isTrial: true })
  await client.close()
})

test.for([
  ['has a bug', { error: new TypeError('a bug') }, 'failed', 'failed'],
  ['is left by the caller', { hang: true }, 'aborted', 'abandoned'],
] as const)(
  'a call that %s tells all that was sent before, and what it cost',
  async ([, reply, outcome, last], { clock, events }) => {
    const busy = { error: 'overloaded', usage: { inputTokens: 1, outputTokens: 2 } } as const
    const chain = [fakeTarget(busy, { clock, price, retry: 0 }), fakeTarget(reply, { clock, retry: 0 })]
    const controller = new AbortController()
    const client = createClient({ chain, clock, onEvent: events.listener })
    const call = client.generate({ prompt: 'Hi', signal: controller.signal }).catch(() => {})
    await clock.advance(500)
    controller.abort('left')
    await call
    expect(events.of('call-end')).toMatchObject([{ outcome, attempts: [{ reason: 'overloaded', cost: 2 }, { outcome: last }] }])
  },
)
