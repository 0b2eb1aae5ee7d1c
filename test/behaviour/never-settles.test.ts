import { expect, test } from 'vitest'
import { z } from 'zod'
import { array, type ClientEvent, type ClientOptions, createClient, type GenerateInput, StreamInterruptedError } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

const never = async () => new Promise<never>(() => {})
const failing = () => fakeTarget({ error: 'network' }, { retry: 0 })
const schema = z.object({ a: z.number() }).refine(never)
const tools = { look: { inputSchema: z.object({}).refine(never) } }
const call = { toolName: 'look', input: {} }

type Case = readonly [string, Partial<ClientOptions>, GenerateInput]
const cases: readonly Case[] = [
  ['a default of the client', { chain: [failing()], defaultResponse: never }, { prompt: 'Hi' }],
  ['a default of the call', { chain: [failing()] }, { prompt: 'Hi', defaultResponse: never }],
  ['the check of a default', { chain: [failing()], defaultResponse: { a: 1 } }, { prompt: 'Hi', output: schema }],
  ['the check of an answer', { chain: [fakeTarget('{"a":1}')] }, { prompt: 'Hi', output: schema }],
  ['the check of an item', { chain: [fakeTarget('{"elements":[{"a":1}]}')] }, { prompt: 'Hi', output: array(schema) }],
  ['the check of a tool call', { chain: [fakeTarget({ toolCalls: [call] })] }, { prompt: 'Hi', tools }],
]

const outcomeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'resolved',
    (error: unknown) => error,
  )

for (const [what, options, input] of cases) {
  const ways = ['generate', 'stream'] as const
  const clientWith = (more: Partial<ClientOptions>) => createClient({ chain: [], ...options, ...more })
  const start = (client: ReturnType<typeof createClient>, way: 'generate' | 'stream', given: GenerateInput) =>
    way === 'generate' ? client.generate(given) : client.stream(given).then(async stream => stream.result())

  for (const way of ways) {
    test(`F83: ${what} that never settles is ended by the signal (${way})`, async () => {
      const clock = fakeClock()
      const events: ClientEvent[] = []
      const client = clientWith({ clock, onEvent: event => void events.push(event) })
      const controller = new AbortController()
      const outcome = outcomeOf(start(client, way, { ...input, signal: controller.signal }))
      await clock.advance(10)
      const reason = new Error('the user left')
      controller.abort(reason)
      expect(await outcome).toBe(reason)
      expect(events.at(-1)).toMatchObject({ type: 'call-end', outcome: 'aborted' })
      expect(clock.pending()).toBe(0)
      await client.close()
    })

    test(`F83: ${what} that never settles is ended by close() (${way})`, async () => {
      const clock = fakeClock()
      const client = clientWith({ clock })
      const outcome = outcomeOf(start(client, way, input))
      await clock.advance(10)
      await client.close()
      expect(await outcome).toMatchObject({ message: 'This client is closed and takes no more calls.' })
      expect(clock.pending()).toBe(0)
    })

    test(`F83: ${what} that never settles is ended by totalMs (${way})`, async () => {
      const clock = fakeClock()
      const client = clientWith({ clock })
      const outcome = outcomeOf(start(client, way, { ...input, timeout: { totalMs: 5_000 } }))
      await clock.advance(4_900)
      const early = await Promise.race([outcome, Promise.resolve('pending')])
      expect(early).toBe('pending')
      await clock.advance(101)
      const error = await outcome
      expect(error).toMatchObject({ name: expect.stringMatching(/ChainExhaustedError|StreamInterruptedError/) })
      expect(clock.now()).toBeLessThan(6_000)
      expect(client.health()[0]?.state).toBe('closed')
      expect(StreamInterruptedError.isInstance(error) || error instanceof Error).toBe(true)
      expect(clock.pending()).toBe(0)
      await client.close()
    })
  }
}

test('a default that is looked up has a moment also when the time of the call is over', async () => {
  const clock = fakeClock()
  const lookUp = async () =>
    new Promise<string>(resolve => {
      clock.setTimeout(() => resolve('From the cache.'), 100)
    })
  const client = createClient({ chain: [fakeTarget({ hang: true }, { clock })], clock, defaultResponse: lookUp })
  const answer = client.generate({ prompt: 'Hi', timeout: { totalMs: 1_000 } })
  await clock.advance(1_100)
  expect(await answer).toMatchObject({ text: 'From the cache.', degraded: true })
  await client.close()
})

for (const more of [{}, { transports: [], exceptions: {}, profile() {} }]) {
  test(`F82: a logger whose promises reject, or that throws, harms nobody (${Object.keys(more).length})`, async () => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', hear)
    // of another library: no instance of our Promise
    // eslint-disable-next-line unicorn/no-thenable -- that is what it must be
    const foreign = () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('disk full')) })
    const rejects = async () => Promise.reject(new Error('disk full'))
    const throws = () => {
      throw new Error('disk full')
    }
    for (const log of [rejects, throws, foreign]) {
      const logger = { debug: log, info: log, warn: log, ...more }
      const client = createClient({ chain: [failing(), fakeTarget('Hello.')], logger, onEvent: log })
      expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.' })
      const alone = createClient({ chain: [failing()], logger, breaker: { consecutiveFailures: 1 } })
      await expect(alone.generate('Hi')).rejects.toThrow('No target answered')
      await Promise.all([client.close(), alone.close()])
    }
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    process.off('unhandledRejection', hear)
    expect(unhandled).toEqual([])
  })
}
