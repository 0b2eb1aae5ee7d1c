import { createClient, deepseek, llama, openai } from 'unbusy'
import { answer, fakeClock, fakeTarget, hold, recordEvents, startServer, status } from 'unbusy/testing'
import { expect, test } from 'vitest'

test('a service is tested against a DeepSeek that is too busy at first', async () => {
  await using server = await startServer([status(503), answer('Hello.', { keepAlives: 3 })], { format: 'deepseek' })
  await using client = createClient({ chain: [deepseek('deepseek-flash', { baseURL: server.baseURL, apiKey: 'test' })] })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.', provider: 'deepseek' })
  expect(server.requests).toHaveLength(2)
  expect(server.requests[0]?.headers.authorization).toBe('Bearer test')
})

test('a chain walks over three services that speak their own formats, and its events are compared as one list', async () => {
  await using busy = await startServer(status(503), { format: 'deepseek' })
  await using limited = await startServer(status(429), { format: 'openai' })
  await using local = await startServer(answer('Rayleigh.', { reasoning: 'Hm.' }), { format: 'llama' })
  const events = recordEvents()
  await using client = createClient({
    chain: [
      deepseek('deepseek-flash', { baseURL: busy.baseURL, apiKey: 'test', retry: 0 }),
      openai('gpt-6-luna', { baseURL: limited.baseURL, apiKey: 'test', retry: 0 }),
      llama({ baseURL: local.baseURL }),
    ],
    onEvent: events.listener,
  })
  expect(await client.generate('Why is the sky blue?')).toMatchObject({
    text: 'Rayleigh.',
    reasoningText: 'Hm.',
    provider: 'llama',
  })
  expect(events.attempts().map(({ provider, reason }) => [provider, reason])).toEqual([
    ['deepseek', 'overloaded'],
    ['openai', 'rate-limit'],
    ['llama', undefined],
  ])
  events.assertPaired()
})

test('a gate lets a test look while a request is under way', async () => {
  const gate = hold()
  await using server = await startServer(answer('Hello', { firstChunkUntil: gate.released }))
  await using client = createClient({ chain: [deepseek('deepseek-flash', { baseURL: server.baseURL, apiKey: 'test' })] })
  const call = client.generate('Hi')
  const request = await server.untilRequests(1)
  expect(request.closedAt).toBeUndefined()
  gate.release()
  expect((await call).text).toBe('Hello')
})

test('policy is tested with fake targets', async () => {
  const target = fakeTarget([{ error: 'overloaded' }, 'Hello.'])
  await using client = createClient({ chain: [target] })
  expect((await client.generate('Hi')).text).toBe('Hello.')
  expect(target.provider.calls.map(({ outcome }) => outcome)).toEqual(['failed', 'answered'])
})

test('an hour of silence takes no time, and durations are exact', async () => {
  const clock = fakeClock()
  const silent = fakeTarget({ hang: true }, { clock, name: 'silent', timeout: { headersMs: 20_000 } })
  await using client = createClient({ chain: [silent, fakeTarget('Hi.', { clock })], hedge: false, clock, random: () => 0.5 })
  const { text } = await clock.until(client.generate('Hello'))
  expect([text, clock.now()]).toEqual(['Hi.', 20_000])
  expect(silent.provider.calls).toMatchObject([{ outcome: 'aborted', at: 0, endedAt: 20_000 }])
})

test('an outage is a server that goes down and comes back', async () => {
  await using server = await startServer(answer('Back.'))
  const { baseURL } = server
  await using client = createClient({
    chain: [deepseek('deepseek-flash', { baseURL, apiKey: 'test', retry: 0 })],
    breaker: false,
  })
  await server.down()
  await expect(client.generate('Hi')).rejects.toMatchObject({ attempts: [{ reason: 'network' }] })
  await server.up()
  expect((await client.generate('Hi')).text).toBe('Back.')
})

test('a fake target keeps the time of the client that asks it, of each its own, unless it was given one', async () => {
  const [clock, other, own] = [fakeClock(), fakeClock({ startAtMs: 1_000_000 }), fakeClock({ startAtMs: 5 })]
  const target = fakeTarget({ text: 'Hi.', firstChunkAfterMs: 3_600 })
  for (const time of [clock, other]) {
    await using client = createClient({ chain: [target], clock: time })
    await time.until(client.generate('Hi'))
  }
  expect(target.provider.calls.map(({ at, endedAt }) => [at, endedAt])).toEqual([
    [0, 3_600],
    [1_000_000, 1_003_600],
  ])
  const apart = fakeTarget('Hi.', { clock: own })
  await using client = createClient({ chain: [apart], clock })
  await clock.until(client.generate('Hi'))
  expect(apart.provider.calls[0]?.at).toBe(5)
})
