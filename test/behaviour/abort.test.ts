import { getEventListeners } from 'node:events'
import { createClient, deepseek, llama, UnbusyError } from 'unbusy'
import { answer, fakeTarget, hang, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }
const forever = Infinity

/** Settled within one turn of the event loop. */
async function settlesNow(promise: Promise<unknown>): Promise<unknown> {
  const late = Symbol('late')
  const outcome = promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  )
  return Promise.race([outcome, new Promise(resolve => setImmediate(() => setImmediate(resolve, late)))])
}

test.for([
  ['before headers', hang()],
  ['while it is queued', answer('x', { keepAliveForMs: forever, keepAliveEveryMs: 5 })],
  ['before the first chunk', answer('x', { firstChunkAfterMs: forever })],
  ['in the middle of the answer', answer(['one', 'two', 'three'], { stallAfterChunks: 2 })],
] as const)(
  'an abort %s settles at once with the reason as it is, and leaves nothing (R113, R114)',
  async ([, reply], { server, events }) => {
    const slow = await server(reply, { format: 'deepseek' })
    const client = createClient({ chain: [deepseek({ ...key, baseURL: slow.baseURL }), llama()], onEvent: events.listener })
    const controller = new AbortController()
    const reason = { any: 'value' }
    const call = client.generate({ prompt: 'Hi', signal: controller.signal })
    call.catch(() => {})
    await slow.untilRequests(1)
    await new Promise(resolve => setTimeout(resolve, 20))
    controller.abort(reason)
    expect(await settlesNow(call)).toBe(reason)
    await slow.untilAllClosed()
    expect(slow.requests).toHaveLength(1)
    expect(events.of('call-end')).toMatchObject([{ outcome: 'aborted', error: reason }])
    await client.close()
  },
)

test('an abort during a backoff wait settles at once and leaves no timer (R94)', async ({ clock }) => {
  const busy = fakeTarget({ error: 'overloaded' }, { clock, retry: { maxRetries: 3, baseDelayMs: 60_000, maxDelayMs: 60_000 } })
  const client = createClient({ chain: [busy], clock, random: () => 0.9 })
  const controller = new AbortController()
  const call = client.generate({ prompt: 'Hi', signal: controller.signal })
  call.catch(() => {})
  await clock.advance(1_000)
  controller.abort('enough')
  expect(await settlesNow(call)).toBe('enough')
  expect(clock.pending()).toBe(0)
  await client.close()
})

test('an abort while every target is gated settles at once and leaves no timer', async ({ clock }) => {
  const gated = fakeTarget({ error: 'rate-limit', retryAfterMs: 30_000 }, { clock })
  const client = createClient({ chain: [gated], clock })
  const controller = new AbortController()
  const call = client.generate({ prompt: 'Hi', signal: controller.signal })
  call.catch(() => {})
  await clock.advance(5_000)
  controller.abort('enough')
  expect(await settlesNow(call)).toBe('enough')
  expect(clock.pending()).toBe(0)
  await client.close()
})

test('a signal that has fired already sends nothing', async () => {
  const target = fakeTarget('never')
  const client = createClient({ chain: [target] })
  await expect(client.generate({ prompt: 'Hi', signal: AbortSignal.abort('no') })).rejects.toBe('no')
  expect(target.provider.calls).toHaveLength(0)
})

test('a reader that leaves the loop closes the request at once, which also stops the bill', async ({ server, events }) => {
  const endless = await server(
    answer(
      Array.from({ length: 1_000 }, () => 'word '),
      { chunkEveryMs: 2 },
    ),
    { format: 'deepseek' },
  )
  const client = createClient({ chain: [deepseek({ ...key, baseURL: endless.baseURL })], onEvent: events.listener })
  for await (const event of await client.stream('Hi')) if (event.type === 'text-delta') break
  await endless.untilAllClosed()
  expect(events.of('call-end')).toMatchObject([{ outcome: 'aborted' }])
  await client.close()
})

test('a slow reader pauses the socket instead of filling the memory', async ({ server }) => {
  const chunks = Array.from({ length: 20_000 }, () => 'x'.repeat(1_000))
  const big = await server(answer(chunks), { format: 'deepseek' })
  const client = createClient({ chain: [deepseek({ ...key, baseURL: big.baseURL })] })
  const stream = await client.stream('Hi')
  const request = await big.untilRequests(1)
  await request.untilBlocked()
  expect(request.bytesSent).toBeLessThan(20_000_000)
  expect((await stream.text()).length).toBe(20_000_000)
  await client.close()
})

test('close() ends what runs, with an error that says so, and leaves no connection and no timer', async ({ server, events }) => {
  const slow = await server(hang(), { format: 'deepseek' })
  const client = createClient({ chain: [deepseek({ ...key, baseURL: slow.baseURL })], onEvent: events.listener })
  const call = client.generate('Hi')
  call.catch(() => {})
  await slow.untilRequests(1)
  await client.close()
  await expect(call).rejects.toThrow('This client is closed and takes no more calls.')
  await expect(client.generate('Hi')).rejects.toBeInstanceOf(UnbusyError)
  await slow.untilAllClosed()
})

test('a thousand calls on one signal leave no listener behind (R114)', async ({ server }) => {
  const local = await server([status(503), answer('Hello.')], { format: 'llama' })
  const client = createClient({ chain: [llama({ baseURL: local.baseURL })], retry: { baseDelayMs: 1 } })
  const { signal } = new AbortController()
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, async () => client.generate({ prompt: 'Hi', signal }).catch(() => {})))
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  await client.close()
  await local.untilAllClosed()
})

test('an abort in any moment between a wait and the next request leaves no place taken', async ({ clock }) => {
  for (let depth = 0; depth < 16; depth++) {
    const controller = new AbortController()
    const abortLater = async () => {
      for (let turn = 0; turn < depth; turn++) await Promise.resolve()
      controller.abort('enough')
    }
    const target = fakeTarget({ error: 'overloaded' }, { clock, retry: { maxRetries: 1, baseDelayMs: 250, maxDelayMs: 250 } })
    const racing = {
      ...clock,
      setTimeout(listener: () => void, delayMs: number) {
        const isBackoff = delayMs < 300
        return clock.setTimeout(() => {
          listener()
          if (isBackoff) void abortLater()
        }, delayMs)
      },
    }
    const client = createClient({ chain: [target], clock: racing, breaker: false })
    const call = client.generate({ prompt: 'Hi', signal: controller.signal }).catch(() => {})
    await clock.until(call)
    expect(client.health()).toMatchObject([{ inFlight: 0 }])
    await client.close()
  }
})
