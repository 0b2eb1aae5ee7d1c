import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect } from 'vitest'
import { z } from 'zod'
import {
  type Call,
  type Client,
  type ClientOptions,
  createClient,
  type GenerateInput,
  type GenerateResult,
  runTools,
  sharedHealth,
  type StreamEvent,
  StreamInterruptedError,
  type Target,
} from 'unbusy'
import { type FakeAnswer, type FakeClock, fakeClock, fakeTarget, recordEvents } from 'unbusy/testing'
import { seeded } from '../helpers/random.ts'
import { test } from '../helpers/vitest.ts'

const numbers = ['one', 'two', 'three', 'four', 'five']
const whole = numbers.join(' ')
/** Each target marks its words, so that a text shows who wrote which part of it. */
const wordsOf = (mark: number) => numbers.map((word, index) => `${index === 0 ? '' : ' '}${word}${mark}`)

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
type Drawn<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never

const anyReply = fc.record({
  kind: fc.constantFrom('whole', 'whole', 'whole', 'failure', 'cut', 'silent', 'length', 'empty', 'break', 'thought', 'queue'),
  error: fc.constantFrom('server-error', 'rate-limit', 'overloaded', 'network', 'authentication', 'loading', 'not-found'),
  retryAfterMs: fc.constantFrom(undefined, 0, 50, 2_000, 30_000),
  at: fc.nat(5),
  slowMs: fc.constantFrom(0, 0, 5, 700, 25_000),
  everyMs: fc.constantFrom(0, 0, 3, 900),
  used: fc.constantFrom(undefined, 5, Number.NaN),
})

const anyTarget = fc.record({
  identity: fc.nat(1),
  script: fc.array(anyReply, { minLength: 1, maxLength: 4 }),
  prefix: fc.boolean(),
  retry: fc.constantFrom<Target['retry']>(0, 1, { maxRetries: 2, rounds: 2 }, { maxRetries: 1, waitForMs: 100 }),
  prepare: fc.constantFrom<Target['prepare']>(undefined, undefined, longer, () => ({ maxOutputTokens: 3 })),
  isPublic: fc.boolean(),
})

function longer({ messages }: Call) {
  return { messages: [{ role: 'system' as const, content: 'x'.repeat(300) }, ...messages] }
}

const anyCall = fc.record({
  client: fc.nat(1),
  atMs: fc.constantFrom(0, 0, 40, 3_000, 61_000),
  ask: fc.constantFrom('generate', 'stream', 'slow', 'leave', 'resume', 'tools'),
  abortAt: fc.constantFrom(undefined, undefined, undefined, 0, 50, 5_000, 'attempt-start', 'commit', 'attempt-end', 'wait'),
  maxCost: maybe(fc.constantFrom(0, 6, 15, 45)),
  maxOutputTokens: fc.constantFrom(undefined, 5, 20),
  isSecret: fc.boolean(),
  fallback: maybe(fc.boolean()),
  afterFirstToken: maybe(fc.constantFrom('fail', 'restart', 'continue')),
  holdBackChars: maybe(fc.constantFrom(0, 9, Infinity)),
  continueOnLength: maybe(fc.nat(2)),
  totalMs: fc.constantFrom(undefined, undefined, 3_000, 300_000),
})

const anything = fc.record({
  targets: fc.array(anyTarget, { minLength: 1, maxLength: 4 }),
  calls: fc.array(anyCall, { minLength: 1, maxLength: 8 }),
  concurrency: maybe(fc.constantFrom(1, 2)),
  requestsPerMinute: maybe(fc.constantFrom(2, 8)),
  tokensPerMinute: maybe(fc.constantFrom(60, 200)),
  budget: maybe(fc.record({ dollars: fc.constantFrom(12, 40, 300), perMs: fc.constantFrom(60_000, Infinity) })),
  lateMs: fc.constantFrom(0, 500),
  // the last close of a health begins its limits anew
  closeMs: fc.constantFrom(undefined, undefined, undefined, 600, 20_000),
  hedge: fc.constantFrom<ClientOptions['hedge']>(false, undefined, { budget: 1, spend: 1, leastMs: 100, queuedMs: 200 }),
  breaker: fc.constantFrom<ClientOptions['breaker']>(false, { consecutiveFailures: 1, openMs: 500, successesToClose: 1 }),
  seed: fc.nat(1_000),
})

type Given = Drawn<typeof anything>
type Asked = Given['calls'][number]

function answerFor(reply: Drawn<typeof anyReply>, call: Call, mark: number): FakeAnswer {
  const { kind, error, retryAfterMs, at, slowMs, everyMs, used } = reply
  const done = call.prefix === undefined ? 0 : call.prefix.text.split(' ').length
  const rest = wordsOf(mark).slice(done)
  const text = rest.slice(0, call.maxOutputTokens ?? rest.length)
  const finishReason = text.length < rest.length ? 'length' : 'stop'
  // a server that keeps to the limit
  const usage = used === undefined ? undefined : { outputTokens: Math.min(used, call.maxOutputTokens ?? used) }
  const timing = { firstChunkAfterMs: slowMs, chunkEveryMs: everyMs, usage }
  const isAsked = call.tools !== undefined && call.messages.at(-1)?.role !== 'tool'
  const toolCalls = isAsked ? [{ toolName: 'look', input: { n: 1 } }] : undefined
  if (kind === 'failure') return { error, retryAfterMs, headersAfterMs: slowMs }
  if (kind === 'cut') return { text, cutAfterChunks: at, ...timing }
  if (kind === 'silent') return { text, hangAfterChunks: at, ...timing }
  if (kind === 'break') return { text, error, errorAfterChunks: at + 1, ...timing }
  if (kind === 'length') return { text: text.slice(0, at + 1), finishReason: 'length', ...timing }
  // behind a part it would say that the part is the whole
  if (kind === 'empty' && done === 0) return { text: '', ...timing }
  if (kind === 'thought') return { reasoning: ['hm ', 'so '], text, toolCalls, ...timing, finishReason }
  if (kind === 'queue') return { text, toolCalls, keepAlives: at * 40, keepAliveEveryMs: 100, ...timing, finishReason }
  return { text, toolCalls, ...timing, finishReason }
}

/** What all clients of one world have in common. */
type World = {
  readonly given: Given
  readonly clock: FakeClock
  readonly events: ReturnType<typeof recordEvents>[]
  readonly clients: Client[]
  readonly aborts: Map<number, AbortController>
  readonly load: { now: number; most: number; readonly starts: number[] }[]
}

function targetOf({ given, clock, load }: World, drawn: Given['targets'][number], mark: number): Target {
  const { identity, script, prefix, isPublic, retry, prepare } = drawn
  const { concurrency, requestsPerMinute, tokensPerMinute, budget } = given
  const own = load[identity]!
  const { provider, ...target } = fakeTarget((call, attempt) => answerFor(script[attempt % script.length]!, call, mark), {
    ...{ clock, name: `t${mark}`, model: `m${identity}`, price: { input: 0, output: 1_000_000 }, retry, prepare, budget },
    limits: { concurrency, requestsPerMinute, tokensPerMinute },
    ...{ identity: { origin: 'https://api.example', credential: 'digest' }, capabilities: { prefix } },
    ...(isPublic ? { when: call => call.metadata['isSecret'] !== true } : undefined),
  })
  const stream: typeof provider.stream = async (call, attempt) => {
    expect(isPublic && call.metadata['isSecret']).toBe(false)
    own.starts.push(clock.now())
    own.most = Math.max(own.most, ++own.now)
    await provider.stream(call, attempt).finally(() => (own.now -= 1))
  }
  return { ...target, provider: { ...provider, stream } }
}

function open(world: World, health: ClientOptions['health']): void {
  const { given, clock, clients, events: all, aborts } = world
  const events = recordEvents()
  const indexes = new Map<number, number>()
  all.push(events)
  const { hedge, breaker, seed } = given
  const chain = given.targets.map((target, mark) => targetOf(world, target, mark))
  const onEvent: ClientOptions['onEvent'] = event => {
    events.listener(event)
    if (!('callId' in event)) return
    if (event.type === 'call-start') indexes.set(event.callId, event.metadata['index'] as number)
    const index = indexes.get(event.callId)!
    if (given.calls[index]?.abortAt === event.type) aborts.get(index)?.abort(left)
  }
  clients.push(createClient({ chain, clock, health, hedge, breaker, random: seeded(seed), onEvent }))
}

const left = new Error('The caller has left.')
const sleep = async (clock: FakeClock, forMs: number) => new Promise<void>(resolve => void clock.setTimeout(resolve, forMs))

function checkResult({ text, finishReason, attempts, cost = 0, costs, targetIndex }: GenerateResult): void {
  const plain = text.replaceAll(/\d/g, '')
  if (finishReason === 'length') expect(whole.startsWith(plain)).toBe(true)
  else expect(plain).toBe(whole)
  // behind where the last request went on, all words are those of the one who answered
  const last = attempts.findLast(({ outcome }) => outcome === 'answered')
  const marks = new Set(text.slice(last?.continuedFrom ?? 0).match(/\d/g))
  if (finishReason !== 'length') for (const mark of marks) expect(Number(mark)).toBe(targetIndex)
  const known = attempts.reduce((sum, record) => sum + (record.cost ?? 0), 0)
  if (costs.answered !== undefined) expect([costs.answered + costs.wasted, cost]).toEqual([known, known])
}

async function screenOf(clock: FakeClock, events: AsyncIterable<StreamEvent>, { ask }: Asked, before = ''): Promise<string> {
  let shown = before
  for await (const event of events) {
    if (event.type === 'restart') shown = ''
    if (event.type === 'continue') expect(event.characters).toBe(shown.length)
    if (event.type === 'text-delta') shown += event.text
    if (ask === 'leave') break
    if (ask === 'slow') await sleep(clock, 700)
  }
  return shown
}

async function askOnce({ clock, clients, aborts }: World, asked: Asked, index: number): Promise<void> {
  const { client: number, atMs, ask, abortAt, isSecret, totalMs, ...options } = asked
  await sleep(clock, atMs)
  const client = clients[number % clients.length]!
  const controller = new AbortController()
  aborts.set(index, controller)
  if (typeof abortAt === 'number') clock.setTimeout(() => controller.abort(left), abortAt)
  const input = { prompt: 'Count.', metadata: { index, isSecret }, signal: controller.signal, timeout: { totalMs }, ...options }
  if (ask === 'generate') return checkResult(await client.generate(input as GenerateInput))
  if (ask === 'tools') {
    const look = { inputSchema: z.object({ n: z.number() }), execute: async () => sleep(clock, 30) }
    return void (await runTools(client, input as GenerateInput, { tools: { look }, maxSteps: 3 }))
  }
  let stream = await client.stream(input as GenerateInput)
  let shown = ''
  for (let again = ask === 'resume' ? 2 : 0; ; again -= 1) {
    try {
      shown = await screenOf(clock, stream, asked, shown)
      break
    } catch (error) {
      if (again === 0 || !StreamInterruptedError.isInstance(error)) throw error
      shown = error.text
      stream = await stream.resume()
    }
  }
  if (ask === 'leave') return
  const result = await stream.result()
  expect(result.text).toBe(shown)
  checkResult(result)
}

/** What was sent and spent, and that all is told once. */
function checkLimits({ given, load, events }: World): void {
  const { concurrency = Infinity, requestsPerMinute = Infinity, budget } = given
  for (const { most, starts } of load) {
    expect(most).toBeLessThanOrEqual(concurrency)
    for (const start of starts)
      expect(starts.filter(at => at >= start && at - start <= 60_000).length).toBeLessThanOrEqual(requestsPerMinute)
  }
  const spent = events.flatMap(each => {
    each.assertPaired()
    const startOf = new Map(each.of('attempt-start').map(event => [numberOf(event), event.at]))
    return each.of('attempt-end').map(event => {
      const { model, callId, record, targetIndex } = event
      const dollars = record.cost ?? record.worstCost ?? 0
      return { each, model, callId, targetIndex, dollars, at: startOf.get(numberOf(event))! }
    })
  })
  const sum = (of: typeof spent) => of.reduce((total, { dollars }) => total + dollars, 0)
  for (const one of spent) {
    if (budget === undefined) break
    const period = spent.filter(({ model, at }) => model === one.model && at >= one.at && at < one.at + budget.perMs)
    expect(sum(period)).toBeLessThanOrEqual(budget.dollars + 1e-6)
  }
  for (const each of events)
    for (const { callId, metadata } of each.of('call-start')) {
      const { maxCost = Infinity, fallback } = given.calls[metadata['index'] as number]!
      const own = spent.filter(request => request.each === each && request.callId === callId)
      expect(sum(own)).toBeLessThanOrEqual(maxCost + 1e-6)
      if (fallback === false) expect(new Set(own.map(({ targetIndex }) => targetIndex)).size).toBeLessThanOrEqual(1)
    }
}

const numberOf = (event: { callId: number; targetIndex: number; attempt: number }) =>
  `${event.callId} ${event.targetIndex} ${event.attempt}`

const ourEnds = new Set(['ChainExhaustedError', 'StreamInterruptedError', 'RunToolsError', 'UnbusyError'])

async function live(given: Given): Promise<void> {
  const clock = fakeClock()
  const load = [0, 1].map(() => ({ now: 0, most: 0, starts: [] }))
  const world: World = { given, clock, load, events: [], clients: [], aborts: new Map() }
  const health = sharedHealth()
  open(world, health)
  const later = sleep(clock, given.lateMs).then(() => open(world, health))
  const closed = given.closeMs === undefined ? undefined : sleep(clock, given.closeMs).then(async () => world.clients[0]?.close())
  const ends = Promise.allSettled(given.calls.map(async (call, index) => askOnce(world, call, index)))
  await clock.until(Promise.all([ends, later, closed]))
  for (const end of await ends)
    if (end.status === 'rejected' && end.reason !== left && !ourEnds.has((end.reason as Error).name)) throw end.reason
  // probes go on after their calls
  await clock.advance(100_000)
  for (const client of world.clients) await client.close()
  await clock.advance(1_000)
  expect([clock.pending(), load.map(({ now }) => now)]).toEqual([0, [0, 0]])
  for (const { signal } of world.aborts.values()) expect(getEventListeners(signal, 'abort')).toEqual([])
  for (const client of world.clients)
    for (const { inFlight, waiting } of client.health()) expect([inFlight, waiting]).toEqual([0, 0])
  checkLimits(world)
}

test('two clients of one health, one of them late: nobody glues, leaks, doubles or exceeds anything', async () => {
  const numRuns = Number(process.env['UNBUSY_RUNS'] ?? 100)
  await fc.assert(fc.asyncProperty(anything, live), { numRuns, endOnFailure: true })
}, 600_000)
