import { type Clock, createClient } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

test('a target that was waiting for its retry when another one won is asked again when that one breaks off', async ({
  clock,
}) => {
  const first = fakeTarget([{ error: 'overloaded' }, 'First.'], {
    ...{ clock, name: 'first', retry: { maxRetries: 1, rounds: 1, baseDelayMs: 20_000, maxDelayMs: 20_000 } },
  })
  const second = fakeTarget(
    { text: ['half', ' of'], firstChunkAfterMs: 100, cutAfterChunks: 1 },
    { clock, name: 'second', retry: 0 },
  )
  const client = createClient({ chain: [first, second], clock, random: () => 0.999 })
  const { text, attempts } = await clock.until(client.generate('Hi'))
  expect(attempts.map(({ provider, kind }) => `${provider} ${kind}`)).toEqual(['first first', 'second hedge', 'first retry'])
  expect(text).toBe('First.')
})

test('who leaves at any moment of a retry gives back what was taken for the request', async () => {
  for (let turns = 0; turns < 40; turns += 1) {
    const clock = fakeClock()
    const controller = new AbortController()
    // the caller leaves some microtasks after the wait for the retry is over
    const setTimeout: Clock['setTimeout'] = (listener, delayMs) =>
      clock.setTimeout(() => {
        listener()
        if (delayMs === 525) void leaveAfter(turns, controller)
      }, delayMs)
    const target = fakeTarget([{ error: 'overloaded' }, { hang: true }], { clock, retry: { maxRetries: 1, baseDelayMs: 1_000 } })
    const client = createClient({ chain: [target], clock: { ...clock, setTimeout }, random: () => 0.5 })
    const outcome = client.generate({ prompt: 'Hi', signal: controller.signal }).catch((error: unknown) => error)
    await clock.advance(600)
    expect(await outcome).toBe('left')
    expect([target.provider.active(), client.health()[0]?.inFlight, clock.pending()]).toEqual([0, 0, 0])
  }
})

async function leaveAfter(turns: number, controller: AbortController): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
  controller.abort('left')
}

test('a commit is told once a call, with how long it took, and not what time it is', async ({ clock, events }) => {
  await clock.advance(50_000)
  const chain = [fakeTarget({ text: 'Hello.', firstChunkAfterMs: 300 }, { clock })]
  const client = createClient({ chain, clock, onEvent: events.listener })
  await clock.until(client.generate('Hi'))
  expect(events.of('commit')).toMatchObject([{ at: 50_300, durationMs: 300 }])
  events.clear()
  const stream = await clock.until(client.stream('Hi'))
  await clock.until(stream.text())
  expect(events.of('commit')).toMatchObject([{ at: 50_600, durationMs: 300 }])
})

test('beside an answer that has begun no second request is sent, however slow the rest is', async ({ clock }) => {
  const first = fakeTarget({ text: ['a', 'b'], firstChunkAfterMs: 1_000, chunkEveryMs: 15_000 }, { clock, name: 'first' })
  const second = fakeTarget('Second.', { clock, name: 'second' })
  const client = createClient({ chain: [first, second], clock })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'ab' })
  expect(second.provider.calls).toEqual([])
})

test('what the loser of a race read is counted as waste, and no hedge is sent where nothing may be wasted any more', async ({
  clock,
}) => {
  const price = { input: 1, output: 1 }
  const first = fakeTarget({ text: 'First.', firstChunkAfterMs: 9_000 }, { clock, price, name: 'first' })
  const second = fakeTarget('Second.', { clock, price, name: 'second' })
  const client = createClient({ chain: [first, second], clock, hedge: { budget: 1, spend: 0 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Second.' })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'First.' })
})

test('a call that must stop ends the request that runs beside, at once', async ({ clock }) => {
  const first = fakeTarget({ error: 'content-filter', headersAfterMs: 9_000 }, { clock, name: 'first' })
  const second = fakeTarget({ text: 'Second.', firstChunkAfterMs: 20_000 }, { clock, name: 'second' })
  const client = createClient({ chain: [first, second], clock })
  const error: unknown = await clock.until(client.generate('Hi').catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ name: 'ChainExhaustedError' })
  expect(second.provider.calls).toMatchObject([{ outcome: 'aborted', endedAt: 9_000 }])
})

test('who leaves ends the request in the same moment, and not in a later turn', async ({ clock }) => {
  const target = fakeTarget({ hang: true }, { clock })
  const controller = new AbortController()
  const call = createClient({ chain: [target], clock }).generate({ prompt: 'Hi', signal: controller.signal })
  await clock.advance(1)
  controller.abort('left')
  expect(target.provider.calls[0]?.signal.aborted).toBe(true)
  await expect(call).rejects.toBe('left')
})

test('a hedge that the budget does not allow takes no place at its target', async ({ clock }) => {
  const first = fakeTarget({ text: 'First.', firstChunkAfterMs: 9_000 }, { clock, name: 'first' })
  const second = fakeTarget({ text: 'Second.', firstChunkAfterMs: 20_000 }, { clock, name: 'second' })
  const client = createClient({ chain: [first, second], clock, hedge: { budget: 0 } })
  for (let call = 0; call < 2; call += 1) expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'First.' })
  // the first call may have one
  expect([second.provider.calls.length, client.health()[1]?.inFlight]).toEqual([1, 0])
})

test('a call with a default response does not try out a target whose breaker is open', async ({ clock }) => {
  const target = fakeTarget({ error: 'server-error' }, { clock, retry: 0 })
  const breaker = { openMs: 300_000, maxOpenMs: 300_000 }
  const client = createClient({ chain: [target], clock, breaker, defaultResponse: 'Busy.' })
  for (let call = 0; call < 5; call += 1) expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Busy.' })
  expect(target.provider.calls).toHaveLength(3)
})

test('the call whose failure opens a breaker says when to call again', async ({ clock }) => {
  const target = fakeTarget({ error: 'server-error' }, { clock, retry: { maxRetries: 0, waitForMs: 0 } })
  const client = createClient({ chain: [target], clock, random: () => 0.5 })
  const errors: unknown[] = []
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi').catch((error: unknown) => errors.push(error)))
  expect(errors).toMatchObject([{ retryAfterMs: undefined }, { retryAfterMs: undefined }, { retryAfterMs: 2_000 }])
})
