/**
 * The sixteen faults of FailoverBench (failoverbench/failoverbench, methodology v0.1) with its bounds: one fallback, targets without a price,
 * default options. A call passes when the exact text came and all of its checks hold, the advisory ones too.
 */
import { type Client, ChainExhaustedError, createClient, openaiCompatible, StreamInterruptedError } from 'unbusy'
import { answer, type AnswerOptions, hang, json, refuse, type Reply, type TestServer, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { flowingTime, type FlowingTime } from '../helpers/flowing-time.ts'
import { test as base } from '../helpers/vitest.ts'

const words = Array.from({ length: 60 }, (_, index) => `word${index} `)
const text = words.join('')
const whole = (options: AnswerOptions = {}) => answer(words, options)
const refusal = (code: string) => json({ error: { message: 'No.', type: 'invalid_request_error', code } }, { status: 400 })

type Stand = {
  readonly client: Client
  readonly time: FlowingTime
  readonly primary: Asked
  readonly fallback: Asked
}
type Asked = { readonly server: TestServer; /** When each request came, in virtual time. */ readonly at: readonly number[] }
type Script = (number: number, time: FlowingTime, body: string) => Reply
type Told = {
  /** Undefined: it was not rescued. */
  readonly text: string | undefined
  readonly model: string | undefined
  readonly outputTokens: number | undefined
  readonly error: unknown
  readonly tookMs: number
}
type Fault = {
  readonly what: string
  readonly primary: Script
  /** @default it answers */
  readonly fallback?: Script
  /** The call must be over by then. */
  readonly withinMs: number
  /** The reader has seen text when it breaks: `stream()` may end in a clean error. @default false */
  readonly breaksLate?: boolean
  /** Why nobody is to answer. @default somebody is */
  readonly refusedFor?: string
  check?(stand: Stand, told: Told): void
}

const faults: { readonly [number: string]: Fault } = {
  S01: {
    what: '429 with Retry-After: 2, then healthy',
    primary: number => (number === 1 ? status(429, undefined, { 'retry-after': '2' }) : whole()),
    withinMs: 40_000,
    check({ primary: { at } }) {
      expect(at.length).toBeGreaterThanOrEqual(2)
      expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1_800)
      expect(at.filter(time => time < (at[0] ?? 0) + 1_500).length).toBeLessThanOrEqual(2)
    },
  },
  S02: {
    what: '429 without Retry-After, always',
    primary: () => status(429),
    withinMs: 40_000,
    check({ primary: { at } }) {
      expect(at.filter(time => time < (at[0] ?? 0) + 3_000).length).toBeLessThanOrEqual(4)
      expect(at.length).toBeLessThanOrEqual(6)
    },
  },
  S03: {
    what: '500, then healthy',
    primary: number => (number === 1 ? status(500) : whole()),
    withinMs: 20_000,
    check: ({ primary, fallback }) => expect([primary.at.length, fallback.at.length]).toEqual([2, 0]),
  },
  S04: {
    what: '503, always',
    primary: () => status(503),
    withinMs: 40_000,
    check: ({ primary }) => expect(primary.at.length).toBeLessThanOrEqual(6),
  },
  S05: {
    what: 'a reset before any byte, then healthy',
    primary: number => (number === 1 ? refuse('rst') : whole()),
    withinMs: 20_000,
  },
  S06: {
    what: 'never answered',
    primary: () => hang(),
    withinMs: 100_000,
    check: ({ primary }) => expect(primary.at).toHaveLength(1),
  },
  S07: {
    what: 'headers at once, the first token after 20 s',
    primary: (_, time) => whole({ firstChunkUntil: time.after(20_000) }),
    withinMs: 15_000,
  },
  S08: {
    what: 'the stream dies after 40 of 60 tokens, always',
    primary: () => whole({ cutAfterChunks: 40, cutBy: 'fin' }),
    withinMs: 40_000,
    breaksLate: true,
  },
  S09: {
    what: 'after 20 tokens silent for 30 s, then closed',
    primary: (_, time) => whole({ stallAfterChunks: 20, stallUntil: time.after(30_000), cutAfterChunks: 20, cutBy: 'fin' }),
    withinMs: 45_000,
    breaksLate: true,
  },
  S10: {
    what: 'the tenth event is no JSON, the rest is normal',
    primary: number => whole(number === 1 ? { malformedChunk: 9 } : {}),
    withinMs: 40_000,
    breaksLate: true,
    check: ({ fallback }) => expect(fallback.at).toEqual([]),
  },
  S11: {
    what: 'a whole stream without [DONE]',
    primary: () => whole({ noDone: true }),
    withinMs: 8_000,
    check({ fallback }, { outputTokens }) {
      expect(outputTokens).toBe(60)
      expect(fallback.at).toEqual([])
    },
  },
  S12: {
    what: '400 context_length_exceeded, always',
    primary: () => refusal('context_length_exceeded'),
    withinMs: 40_000,
    check: ({ primary }) => expect(primary.at).toHaveLength(1),
  },
  S13: {
    what: '400 content_policy_violation, always',
    primary: () => refusal('content_policy_violation'),
    withinMs: 40_000,
    refusedFor: 'content-filter',
    check: ({ primary, fallback }) => expect([primary.at.length, fallback.at.length]).toEqual([1, 0]),
  },
  S14: {
    what: 'as S08, and the fallback refuses to continue a text',
    primary: () => whole({ cutAfterChunks: 40, cutBy: 'fin' }),
    fallback: (_number, _time, body) => (body.includes('"assistant"') ? refusal('prefill_not_supported') : whole()),
    withinMs: 40_000,
    breaksLate: true,
    check: (_, { error }) => expect(String(error)).not.toContain('400'),
  },
  S16: {
    what: '503 always, and the fallback answers',
    primary: () => status(503),
    withinMs: 40_000,
    check({ primary }, { model, outputTokens }) {
      expect({ model, outputTokens }).toEqual({ model: 'fallback-model', outputTokens: 60 })
      expect(primary.at.length).toBeLessThanOrEqual(6)
    },
  },
}

const doors = ['generate', 'stream'] as const
const rows = doors.flatMap(door => Object.entries(faults).map(([number, fault]) => ({ door, number, ...fault })))

/** Two servers, and a client with nothing set but its chain. */
const test = base.extend('setUp', ({ server, onTestFinished }) => async (primary: Script, fallback: Script): Promise<Stand> => {
  const time = flowingTime(onTestFinished)
  const open = async (script: Script): Promise<Asked> => {
    const at: number[] = []
    const reply = ({ body }: { readonly body: string }) => script(at.push(time.now()), time, body)
    return { server: await server(reply, { format: 'openai' }), at }
  }
  const asked = { primary: await open(primary), fallback: await open(fallback) }
  const [first, second] = [asked.primary, asked.fallback].map(({ server: { baseURL } }, index) =>
    openaiCompatible(index === 0 ? 'primary-model' : 'fallback-model', { baseURL, apiKey: 'sk-test-0123456789abcdef' }),
  )
  const client = createClient({ chain: [first, second].filter(target => target !== undefined), clock: time })
  onTestFinished(async () => client.close())
  return { client, time, ...asked }
})

test.for(rows)('FailoverBench $number: $door() and $what', async ({ door, ...fault }, { setUp }) => {
  const stand = await setUp(fault.primary, fault.fallback ?? (() => whole()))
  const told = await ask(stand, door)
  expect(told.tookMs).toBeLessThan(fault.withinMs)
  if (door === 'stream' && fault.breaksLate === true) {
    // safe: a clean error, and what was read is a part of the answer
    expect(told.error).toBeInstanceOf(StreamInterruptedError)
    expect(text.startsWith((told.error as StreamInterruptedError).text)).toBe(true)
  } else if (fault.refusedFor !== undefined) {
    expect(told.error).toBeInstanceOf(ChainExhaustedError)
    expect(told.error).toMatchObject({ reason: fault.refusedFor })
  } else {
    expect(told).toMatchObject({ text, error: undefined })
  }
  if (door === 'generate' || fault.breaksLate !== true) fault.check?.(stand, told)
  // it is well afterwards
  stand.primary.server.replyWith(whole())
  expect(await ask(stand, 'generate')).toMatchObject({ text })
})

test.for(Object.entries(faults).filter(([, { breaksLate }]) => breaksLate === true))(
  'F77: once the reader of stream() has seen text, as in %s, nobody is asked in vain; resume() asks for the rest',
  async ([, fault], { setUp }) => {
    const stand = await setUp(fault.primary, fault.fallback ?? (() => whole()))
    const stream = await stand.client.stream('Hi')
    const types: string[] = []
    const broken = (async () => {
      for await (const { type } of stream) types.push(type)
    })()
    await expect(broken).rejects.toThrow(StreamInterruptedError)
    expect(types.filter(type => type === 'restart' || type === 'continue')).toEqual([])
    expect([stand.primary.at.length, stand.fallback.at.length]).toEqual([1, 0])
    stand.primary.server.replyWith(whole())
    expect(await (await stream.resume()).text()).toBe(text)
  },
)

test.for(doors)('FailoverBench S15: %s() while the first answers 503 for 60 s, then is healthy', async (door, { setUp }) => {
  const recoversAt = 60_000
  const stand = await setUp(
    (_, time) => (time.now() < recoversAt ? status(503) : whole()),
    () => whole(),
  )
  const { time, primary } = stand
  const calls = Array.from({ length: 20 }, async (_, index) => {
    await time.after(index * 4_000)
    const { model, ...told } = await ask(stand, door)
    expect(told).toMatchObject({ text, error: undefined })
    expect(told.tookMs).toBeLessThan(20_000)
    return { model, at: time.now() }
  })
  const answers = await Promise.all(calls)
  const back = answers.find(({ model }) => model === 'primary-model')
  expect(back?.at).toBeLessThan(recoversAt + 30_000)
  expect(primary.at.filter(at => at < recoversAt).length).toBeLessThanOrEqual(15)
})

async function ask({ client, time }: Stand, door: (typeof doors)[number]): Promise<Told> {
  const startedAt = time.now()
  const call = async () => (door === 'generate' ? client.generate('Hi') : (await client.stream('Hi')).result())
  return call().then(
    ({ text: said, model, usage }) => ({
      ...{ text: said, model, outputTokens: usage.outputTokens, error: undefined },
      tookMs: time.now() - startedAt,
    }),
    (error: unknown) => ({
      ...{ text: undefined, model: undefined, outputTokens: undefined, error },
      tookMs: time.now() - startedAt,
    }),
  )
}
