import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient, deepseek, llama, ollama, openaiCompatible } from 'unbusy'
import { answer, fakeTarget, hold, json, raw, type ReceivedRequest } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

const fixtures = join(import.meta.dirname, '../fixtures')
/** One that names the room that is left is asked again with fewer tokens, which is no retry. */
const tooLong = readdirSync(fixtures).filter(name => /error-context(?!-numbers)/.test(name))
const retry = { maxRetries: 5, baseDelayMs: 1 }

test.for(tooLong)(
  'a conversation that is too long is asked of a server once, in the words of %s (R60)',
  async (name, { server }) => {
    const body = JSON.parse(readFileSync(join(fixtures, name), 'utf8')) as unknown
    const { baseURL, requests } = await server(() => json(body, { status: 400 }))
    const make = name.startsWith('ollama') ? ollama : openaiCompatible
    const client = createClient({ chain: [make('m', { baseURL, apiKey: 'k', retry }), fakeTarget('Elsewhere.')] })
    onTestFinished(async () => client.close())
    for (let call = 1; call <= 4; call += 1) {
      expect(await client.generate('A long story.')).toMatchObject({
        text: 'Elsewhere.',
        attempts: [{ reason: 'context-length', status: 400 }, { outcome: 'answered' }],
      })
      // it is about this conversation: the next one is sent again
      expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(call)
    }
    expect(client.health()[0]?.state).toBe('closed')
  },
)

test('a 404 of a gateway is the missing model, unless the target says that it passes (R60)', async ({ server }) => {
  const page = { ...raw('404 page not found\n'), status: 404 }
  const { baseURL, requests } = await server([page, page, answer('Back.')])
  const options = { baseURL, apiKey: 'k', retry }
  const plain = createClient({ chain: [openaiCompatible('m', options)] })
  onTestFinished(async () => plain.close())
  await expect(plain.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'not-found' }] })
  expect(requests).toHaveLength(1)
  const failureRules = [{ status: 404, message: /page not found/, reason: 'overloaded' as const }]
  const told = createClient({ chain: [openaiCompatible('m', { ...options, failureRules })] })
  onTestFinished(async () => told.close())
  expect(await told.generate('Hi')).toMatchObject({ text: 'Back.', attempts: [{ reason: 'overloaded' }, { kind: 'retry' }] })
})

test('a breaker without a cooldown lets the next call try at once (R98)', async ({ clock }) => {
  let isDown = true
  const target = fakeTarget(() => (isDown ? { error: 'server-error' } : 'Back.'), { clock, retry: 0 })
  const breaker = { consecutiveFailures: 1, openMs: 0, maxOpenMs: 0 }
  const client = createClient({ chain: [target], clock, breaker, defaultResponse: 'Sorry.' })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Sorry.' })
  isDown = false
  const before = clock.now()
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Back.', degraded: false })
  expect(clock.now()).toBe(before)
})

/** A target with the clocks of this service, which begins to answer after so long. */
function withClocksOf(
  { provider: { timeout } }: ReturnType<typeof llama>,
  options: Parameters<typeof fakeTarget>[1],
  afterMs: number,
) {
  const fake = fakeTarget({ text: 'At last.', firstChunkAfterMs: afterMs }, { ...options, retry: 0 })
  return { ...fake, provider: timeout === undefined ? fake.provider : { ...fake.provider, timeout } }
}

test.for([
  ['llama', () => llama('m'), 120_000],
  ['ollama', () => ollama('m'), 300_000],
  ['a server that sends the whole answer at once', () => llama('m', { stream: false }), 300_000],
  ['a service', () => deepseek({ apiKey: 'k' }), 15_000],
] as const)(
  'a model of %s may be silent as long as it usually is, and no longer (R69, R89)',
  async ([, make, limitMs], { clock }) => {
    const ask = async (afterMs: number) => {
      const target = withClocksOf(make(), { clock }, afterMs)
      const client = createClient({ chain: [target], clock, hedge: false, timeout: { totalMs: Infinity } })
      return clock.until(client.generate('Hi'))
    }
    expect(await ask(limitMs - 1_000)).toMatchObject({ text: 'At last.' })
    await expect(ask(limitMs + 6_000)).rejects.toMatchObject({ failures: [{ reason: 'timeout' }] })
  },
)

test('a call for a whole answer is a stream on the wire, so that its headers come early (R89)', async ({ server }) => {
  for (const make of [llama, ollama, openaiCompatible]) {
    const { baseURL, requests } = await server(() => answer('Hello.'), { format: make === ollama ? 'ollama' : 'llama' })
    const client = createClient({ chain: [make('m', { baseURL, apiKey: 'k' })] })
    onTestFinished(async () => client.close())
    expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.' })
    expect(requests[0]?.json).toMatchObject({ stream: true })
  }
})

test(
  '100 streams at once over real sockets are 100 answers, each its own, and leave nothing (R116)',
  { timeout: 60_000 },
  async ({ server }) => {
    const all = hold()
    const echo = ({ json: body }: ReceivedRequest) => {
      // a silent server is asked whether it still listens
      if (body === undefined) return json({})
      const { messages } = body as { messages: readonly { content: string }[] }
      return answer(['You said ', messages[0]!.content], { stallAfterChunks: 1, stallUntil: all.released })
    }
    const echoing = await server(echo, { format: 'llama' })
    const client = createClient({
      chain: [llama('m', { baseURL: echoing.baseURL })],
      hedge: false,
      timeout: { connectMs: 60_000 },
    })
    const streams = await Promise.all(Array.from({ length: 100 }, async (_, index) => client.stream(`${index}.`)))
    expect(client.health()).toMatchObject([{ inFlight: 100 }])
    all.release()
    const texts = await Promise.all(streams.map(async stream => stream.text()))
    expect(texts).toEqual(streams.map((_, index) => `You said ${index}.`))
    expect(client.health()).toMatchObject([{ inFlight: 0, waiting: 0 }])
    await client.close()
    await echoing.untilAllClosed()
  },
)
