import { createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

/** More than Node's longest timer, which makes 1 ms of it. */
const long = [Infinity, 2 ** 53, 2 ** 31] as const

test.for(long)('a hedge after %d ms never starts', async (ms, { clock, events }) => {
  const chain = [fakeTarget({ text: 'late', firstChunkAfterMs: 15_000 }, { clock }), fakeTarget('quick', { clock })]
  const hedge = { leastMs: ms, queuedMs: ms }
  const client = createClient({ chain, clock, hedge, onEvent: events.listener })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'late' })
  expect(events.of('attempt-start').map(({ kind }) => kind)).toEqual(['first'])
})

test.for(long)('content that is held back for %d ms is held until the answer is whole', async (holdBackMs, { clock }) => {
  const reply = [{ text: ['a', 'b', 'c'], chunkEveryMs: 100, cutAfterChunks: 2 }, { text: 'Whole.' }]
  const client = createClient({ chain: [fakeTarget(reply, { clock, retry: 1 })], clock, holdBackMs })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('Whole.')
})

test.for(long)('a comment every %d ms is no comment', async (keepAliveMs, { clock }) => {
  const chain = [fakeTarget({ text: ['a', 'b'], chunkEveryMs: 1_000 }, { clock })]
  const client = createClient({ chain, clock })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.toResponse({ keepAliveMs }).text())).not.toMatch(/^:/m)
})

test('a wait of 25 days before a retry is no retry at once', async ({ clock }) => {
  const target = fakeTarget([{ error: 'server-error' }, 'Whole.'], {
    clock,
    retry: { maxRetries: 1, baseDelayMs: 2 ** 40, maxDelayMs: 2 ** 40, rounds: 1 },
  })
  const client = createClient({ chain: [target], clock, timeout: { totalMs: Infinity }, random: () => 0.5 })
  const call = client.generate('Hi')
  call.catch(() => {})
  await clock.advance(86_400_000)
  expect(target.provider.calls).toHaveLength(1)
  await client.close()
})

test('the clock of the process takes them too', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  const client = createClient({ chain: [fakeTarget({ text: ['a', 'b'], chunkEveryMs: 5 })], holdBackMs: Infinity })
  const stream = await client.stream('Hi')
  expect(await stream.text()).toBe('ab')
  await client.close()
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', warned)
  expect(warnings).toEqual([])
})
