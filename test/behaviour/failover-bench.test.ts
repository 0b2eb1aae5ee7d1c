/**
 * The sixteen faults of FailoverBench (failoverbench/failoverbench, methodology v0.1) with its bounds: one fallback, targets without a price,
 * default options. A call passes when the exact text came and all of its checks hold, the advisory ones too.
 */
import { type Client, ChainExhaustedError, createClient, openaiCompatible, StreamInterruptedError } from 'unbusy'
import { status, type TestServer } from 'unbusy/testing'
import { expect } from 'vitest'
import { failoverFaults, type Script, text, whole } from '../helpers/failover-faults.ts'
import { flowingTime, type FlowingTime } from '../helpers/flowing-time.ts'
import { test as base } from '../helpers/vitest.ts'

type Stand = {
  readonly client: Client
  readonly time: FlowingTime
  readonly primary: Asked
  readonly fallback: Asked
}
type Asked = { readonly server: TestServer; /** When each request came, in virtual time. */ readonly at: readonly number[] }
type Told = {
  /** Undefined: it was not rescued. */
  readonly text: string | undefined
  readonly model: string | undefined
  readonly outputTokens: number | undefined
  readonly error: unknown
  readonly tookMs: number
}
/** What must hold besides, by the number of the fault. */
const checks: { readonly [number: string]: (stand: Stand, told: Told) => void } = {
  S01({ primary: { at } }) {
    expect(at.length).toBeGreaterThanOrEqual(2)
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1_800)
    expect(at.filter(time => time < (at[0] ?? 0) + 1_500).length).toBeLessThanOrEqual(2)
  },
  S02: ({ primary: { at } }) => expect(at.filter(time => time < (at[0] ?? 0) + 3_000).length).toBeLessThanOrEqual(4),
  S03: ({ primary, fallback }) => expect([primary.at.length, fallback.at.length]).toEqual([2, 0]),
  S10: ({ fallback }) => expect(fallback.at).toEqual([]),
  S11({ fallback }, { outputTokens }) {
    expect(outputTokens).toBe(60)
    expect(fallback.at).toEqual([])
  },
  S13: ({ fallback }) => expect(fallback.at).toEqual([]),
  S14: (_, { error }) => expect(String(error)).not.toContain('400'),
  S16: (_, { model, outputTokens }) => expect({ model, outputTokens }).toEqual({ model: 'fallback-model', outputTokens: 60 }),
}

const doors = ['generate', 'stream'] as const
const rows = doors.flatMap(door => Object.entries(failoverFaults).map(([number, fault]) => ({ door, number, ...fault })))

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

test.for(rows)('FailoverBench $number: $door() and $what', async ({ door, number, ...fault }, { setUp }) => {
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
  if (door === 'generate' || fault.breaksLate !== true) {
    checks[number]?.(stand, told)
    expect(stand.primary.at.length).toBeLessThanOrEqual(fault.primaryRequests ?? Infinity)
  }
  // it is well afterwards
  stand.primary.server.replyWith(whole())
  expect(await ask(stand, 'generate')).toMatchObject({ text })
})

test.for(Object.entries(failoverFaults).filter(([, { breaksLate }]) => breaksLate === true))(
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
