import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import {
  array,
  type ClientEvent,
  type ClientOptions,
  createClient,
  type GenerateInput,
  openaiCompatible,
  runTools,
  type Target,
} from 'unbusy'
import { answer, fakeTarget, hang, hold, type Reply, type ReplySource, status, type TestServer } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { flowingTime } from '../helpers/flowing-time.ts'
import { test as base } from '../helpers/vitest.ts'

/** Whose code runs: the name of the call, or of who made the client. */
const whose = new AsyncLocalStorage<string>()
const here = () => whose.getStore() ?? 'nobody'

type Heard = { readonly what: string; readonly by: string }

const test = base
  /** What ran, and in whose context. */
  .extend('heard', (): Heard[] => [])
  /** A client that was made by "maker", with a listener and a logger that note whose context they run in. */
  .extend('client', ({ heard, onTestFinished }) => (options: ClientOptions) => {
    const log = (fields: object, message: string) =>
      void heard.push({ what: `log ${'callId' in fields ? String(fields.callId) : message}`, by: here() })
    const onEvent = (event: ClientEvent) =>
      void heard.push({ what: 'callId' in event ? `${event.type} ${event.callId}` : event.type, by: here() })
    const made = whose.run('maker', () => createClient({ logger: { debug: log, info: log, warn: log }, onEvent, ...options }))
    onTestFinished(async () => made.close())
    return made
  })

const names = ['ann', 'bob', 'cyd', 'dan', 'eve', 'fay']
const inTurn = async <Result>(ask: (name: string, index: number) => Promise<Result>) =>
  Promise.all(names.map(async (name, index) => whose.run(name, async () => ask(name, index))))

/** Calls that `inTurn` begins have their numbers in the order of their names. */
function expectOwn(heard: readonly Heard[]) {
  const ofCalls = heard.filter(({ what }) => / \d+$/.test(what))
  expect(ofCalls.filter(({ what, by }) => by !== names[Number(what.split(' ')[1]) - 1])).toEqual([])
  const others = heard.filter(({ what, by }) => !/ \d+$/.test(what) && by !== 'maker')
  expect(others).toEqual([])
  return new Set(ofCalls.map(({ what }) => what.split(' ')[0]))
}

/** The connection of the last answer may be used again: the client has seen its end. */
async function untilFree({ requests }: TestServer) {
  await requests.at(-1)?.closed
  for (let turn = 0; turn < 5; turn += 1) await setImmediate()
}

const compatible = ({ baseURL }: TestServer, options: Partial<Target> = {}) =>
  openaiCompatible('m', { baseURL, apiKey: 'sk-test-0123456789abcdef', ...options })
const counted = <Item>(replies: readonly [...Item[]]) => {
  let count = 0
  return () => replies[Math.min(count++, replies.length - 1)] as Item
}

test('events and lines of a log run in the context of their call, over connections that all calls share', async ({
  server,
  client,
  heard,
}) => {
  const shared = await server(answer(['One ', 'two.'], { keepAlives: 1, chunkEveryMs: 1 }), { format: 'openai' })
  const ask = client({ chain: [compatible(shared)] })
  for (const name of names) {
    await untilFree(shared)
    await whose.run(name, async () => {
      const stream = await ask.stream('Hi')
      for await (const _ of stream) expect(here()).toBe(name)
    })
  }
  expect(shared.connections).toBeLessThan(names.length)
  expect(expectOwn(heard)).toEqual(
    new Set(['call-start', 'attempt-start', 'attempt-queued', 'commit', 'attempt-end', 'call-end', 'log']),
  )
})

test('they do so through retries, hedges, fallbacks and clocks of calls that run at once', async ({
  server,
  client,
  heard,
  onTestFinished,
}) => {
  const time = flowingTime(onTestFinished)
  const slow = counted<Reply>([status(503), hang(), answer('First.'), status(429), answer(['A ', 'b.'], { cutAfterChunks: 1 })])
  const first = await server(slow, { format: 'openai' })
  const second = await server(counted<ReplySource>([status(500), answer('Second.')]) as () => Reply, { format: 'openai' })
  const chain = [compatible(first, { timeout: { headersMs: 6_000 } }), compatible(second)]
  const ask = client({ chain, clock: time, hedge: { budget: 1 } })
  await inTurn(async (_, index) => (index % 2 === 0 ? ask.generate('Hi') : (await ask.stream('Hi')).text()).catch(() => {}))
  const kinds = expectOwn(heard)
  expect([...kinds]).toEqual(expect.arrayContaining(['attempt-start', 'wait', 'attempt-end', 'call-end', 'log']))
  expect(first.requests.length + second.requests.length).toBeGreaterThan(names.length)
})

test('a probe belongs to the call that began it, also when its verdict comes after that call', async ({
  clock,
  client,
  heard,
}) => {
  let isDown = true
  const first = fakeTarget(() => (isDown ? { error: 'overloaded' } : { text: 'Back.', firstChunkAfterMs: 300 }), {
    ...{ clock, name: 'first', retry: 0 },
  })
  const ask = client({ chain: [first, fakeTarget('Second.', { clock, name: 'second' })], clock, random: () => 0.5 })
  for (const name of names.slice(0, 3)) await whose.run(name, async () => clock.until(ask.generate('Hi')))
  await clock.advance(3_000)
  isDown = false
  await whose.run('dan', async () => clock.until(ask.generate('Hi')))
  await whose.run('stranger', async () => clock.advance(1_000))
  expectOwn(heard)
  expect(heard.slice(heard.findIndex(({ what }) => what === 'call-end 4'))).toContainEqual({ what: 'attempt-end 4', by: 'dan' })
  expect(heard).toContainEqual({ what: 'health-change', by: 'maker' })
})

test('an abort, a reader that leaves and a close that come from elsewhere are told in the context of the call', async ({
  server,
  client,
  heard,
}) => {
  const endless = await server(answer(['One ', 'two.'], { stallAfterChunks: 1 }), { format: 'openai' })
  const ask = client({ chain: [compatible(endless)] })
  const controller = new AbortController()
  const { signal } = controller
  const aborted = whose.run('ann', async () => ask.generate({ prompt: 'Hi', signal })).catch(() => {})
  const stream = await whose.run('bob', async () => ask.stream('Hi'))
  const closed = whose.run('cyd', async () => ask.generate('Hi')).catch(() => {})
  await endless.untilRequests(3)
  await whose.run('stranger', async () => {
    controller.abort()
    for await (const event of stream) if (event.type === 'text-delta') break
    await ask.close()
  })
  await Promise.all([aborted, closed])
  await stream.result().catch(() => {})
  expectOwn(heard)
  expect(heard.filter(({ what }) => what.startsWith('attempt-end'))).toHaveLength(3)
})

test('when, decide, apiKey and defaultResponse run in the context of the call that asks them', async ({
  server,
  client,
  heard,
}) => {
  const note = <Result>(what: string, result: Result): Result => {
    heard.push({ what, by: here() })
    return result
  }
  const busy = await server(status(503), { format: 'openai' })
  const target = openaiCompatible('m', {
    baseURL: busy.baseURL,
    apiKey: () => note('apiKey', 'sk-test-0123456789abcdef'),
    when: () => note('when', true),
  })
  const ask = client({
    chain: [target],
    retry: { baseDelayMs: 1, rounds: 1 },
    breaker: false,
    decide: () => note('decide', undefined),
    defaultResponse: () => note('defaultResponse', 'Later.'),
  })
  await whose.run('ann', async () => ask.generate('Hi'))
  await untilFree(busy)
  heard.length = 0
  await whose.run('bob', async () => ask.generate('Hi'))
  await whose.run('cyd', async () => (await ask.stream('Hi')).text())
  const asked = heard.filter(({ what }) => !what.includes(' '))
  for (const what of ['when', 'apiKey', 'decide', 'defaultResponse'])
    expect(new Set(asked.filter(one => one.what === what).map(({ by }) => by))).toEqual(new Set(['bob', 'cyd']))
})

test('schemas of elements, answers and tool inputs run in the context of their call', async ({ server, client }) => {
  const seen: string[] = []
  const noting = z.unknown().refine(() => seen.push(here()))
  const list = JSON.stringify({ elements: ['a', 'b', 'c'] })
  const gate = hold()
  const shared = await server(
    [
      answer('Warm.'),
      answer([list.slice(0, 20), list.slice(20)]),
      answer('{"value": 1}'),
      answer('', { toolCalls: [{ toolName: 'look', input: {} }] }),
      // whole, but the server forgets to end it: a clock does
      answer('{"value": 1}', { noDone: true, stallAfterChunks: 'finish', stallUntil: gate.released }),
    ],
    { format: 'openai' },
  )
  const ask = client({ chain: [compatible(shared)] })
  await whose.run('ann', async () => ask.generate('Hi'))
  const inputs: GenerateInput[] = [
    { prompt: 'Hi', output: array(noting) },
    { prompt: 'Hi', output: noting },
    { prompt: 'Hi', tools: { look: { inputSchema: noting } } },
    { prompt: 'Hi', output: noting },
  ]
  for (const [index, input] of inputs.entries()) {
    seen.length = 0
    const name = names[index + 1] ?? ''
    await untilFree(shared)
    await whose.run(name, async () => (await ask.stream(input)).result())
    expect(new Set(seen)).toEqual(new Set([name]))
  }
  gate.release()
  expect(shared.connections).toBeLessThan(inputs.length)
})

test('tools, steps and errors of runTools run in the context of the run', async ({ server, client }) => {
  const seen: string[] = []
  const shared = await server([answer('Warm.'), answer('', { toolCalls: [{ toolName: 'look', input: {} }] }), answer('Done.')], {
    format: 'openai',
  })
  const ask = client({ chain: [compatible(shared)] })
  await whose.run('ann', async () => ask.generate('Hi'))
  await untilFree(shared)
  const execute = () => void seen.push(here())
  await whose.run('bob', async () =>
    runTools(ask, 'Hi', { tools: { look: { inputSchema: z.object({}), execute } }, onStep: () => void seen.push(here()) }),
  )
  expect(seen).toEqual(['bob', 'bob', 'bob'])
})
