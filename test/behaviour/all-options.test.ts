import fc from 'fast-check'
import { expect } from 'vitest'
import {
  type ClientOptions,
  createClient,
  type GenerateInput,
  type StreamEvent,
  llama,
  pool,
  sharedHealth,
  type Target,
} from 'unbusy'
import { fromResponse } from 'unbusy/browser'
import { type ReceivedRequest, recordEvents, startServer, status } from 'unbusy/testing'
import { type Fault, faults, output, replyFor, whole } from '../helpers/random-faults.ts'
import { test } from '../helpers/vitest.ts'

const dollar = 1_000_000

const anyFault = fc.record({ fault: fc.constantFrom(...faults), after: fc.nat(4) })
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })

const anyTarget = fc.record({
  server: fc.nat(1),
  retry: fc.constantFrom(0, 1, 2),
  name: fc.constantFrom('a', 'b', 'c'),
  costs: fc.boolean(),
  own: fc.boolean(),
  excluded: fc.constantFrom(false, false, false, true),
  budget: maybe(fc.constantFrom(20, 200)),
})

const anyCall = fc.record({
  ask: fc.constantFrom('generate', 'stream', 'response', 'at once', 'leave', 'abort'),
  delayMs: fc.nat(60),
  abortAfterMs: fc.nat(40),
  isTyped: fc.constantFrom(false, false, true),
  maxCost: maybe(fc.constantFrom(0, 15, 40, 1_000)),
  targets: maybe(fc.constantFrom(['a'], ['b', 'c'], ['a', 'b', 'c'])),
  fallback: maybe(fc.boolean()),
  tag: maybe(fc.constantFrom('x', 'y')),
  afterFirstToken: maybe(fc.constantFrom('fail', 'restart', 'continue')),
  holdBackMs: maybe(fc.constantFrom(0, 10)),
  holdBackChars: maybe(fc.constantFrom(0, 9, Infinity)),
  continueOnLength: maybe(fc.nat(2)),
  repair: maybe(fc.nat(1)),
  temperature: maybe(fc.constant(0.5)),
  defaultResponse: maybe(fc.constant('sorry')),
})

const anyClient = fc.record({
  hedge: fc.constantFrom<ClientOptions['hedge']>(false, undefined, { budget: 1, spend: 1, leastMs: 10, queuedMs: 15 }),
  breaker: fc.constantFrom<ClientOptions['breaker']>(false, undefined, { consecutiveFailures: 2, openMs: 20 }),
  profile: fc.constantFrom<ClientOptions['profile']>('loadFirst', 'costFirst'),
  budget: maybe(fc.constantFrom(60, 400)),
  isPool: fc.boolean(),
  concurrency: fc.tuple(maybe(fc.constantFrom(1, 2)), maybe(fc.constantFrom(1, 2))),
  requestsPerMinute: maybe(fc.constantFrom(3, 9)),
  isShared: fc.boolean(),
})

type Given = {
  readonly faults: readonly { readonly fault: Fault; readonly after: number }[]
  readonly targets: readonly (typeof anyTarget extends fc.Arbitrary<infer Value> ? Value : never)[]
  readonly calls: readonly (typeof anyCall extends fc.Arbitrary<infer Value> ? Value : never)[]
  readonly client: typeof anyClient extends fc.Arbitrary<infer Value> ? Value : never
}

type Call = Given['calls'][number]

function chainOf({ targets, client }: Given, baseURLs: readonly string[], load: Load): ClientOptions['chain'] {
  const made = targets.map(({ server, retry, name, costs, own, excluded }): Target => {
    const target = llama(`m-${server}`, {
      ...{ name, retry: { maxRetries: retry, baseDelayMs: 2, maxDelayMs: 5 }, baseURL: baseURLs[server]! },
      ...(costs ? { price: { input: 0, output: dollar } } : undefined),
      ...(own ? { prepare: () => ({ topP: 0.5, maxOutputTokens: 8 }) } : undefined),
      ...(excluded ? { when: () => false } : undefined),
    })
    return counted(target, server, load)
  })
  // a budget is that of an identity: the first that has one names it
  const budgets = [0, 1].map(server => targets.find(target => target.server === server && target.budget !== undefined)?.budget)
  const chain = made.map((target, index) => {
    const { server } = targets[index]!
    const dollars = budgets[server]
    const concurrency = client.concurrency[server]
    const { requestsPerMinute } = client
    return {
      ...target,
      ...(dollars === undefined ? undefined : { budget: { dollars, perMs: Infinity } }),
      ...(concurrency === undefined && requestsPerMinute === undefined
        ? undefined
        : { limits: { concurrency, requestsPerMinute } }),
    }
  })
  return client.isPool && chain.length > 1 ? [pool(chain.slice(0, 2)), ...chain.slice(2)] : chain
}

function inputOf(given: Call): GenerateInput {
  const { ask: _ask, delayMs: _delayMs, abortAfterMs: _abortAfterMs, isTyped, defaultResponse, ...options } = given
  return {
    ...{ prompt: 'Count from one to seven, in words.', maxOutputTokens: 10, ...options },
    ...(isTyped ? { output } : { defaultResponse }),
  }
}

/** How many requests each server has at once, and had at most. A request is over when its provider is done with it. */
type Load = { readonly now: number[]; readonly most: number[] }

function counted(target: Target, server: number, { now, most }: Load): Target {
  const stream: Target['provider']['stream'] = async (call, attempt) => {
    now[server] = now[server]! + 1
    most[server] = Math.max(most[server]!, now[server])
    await target.provider.stream(call, attempt).finally(() => (now[server] = now[server]! - 1))
  }
  return { ...target, provider: { ...target.provider, stream } }
}

/** Asks for three events at once. */
async function* atOnce<Event>(events: AsyncIterable<Event>): AsyncIterable<Event> {
  const reads = events[Symbol.asyncIterator]()
  for (;;) {
    for (const { value, done } of await Promise.all([reads.next(), reads.next(), reads.next()])) {
      if (done === true) return
      yield value
    }
  }
}

/** What a reader has who obeys the events. */
async function screenOf(events: AsyncIterable<StreamEvent>, leaves: boolean): Promise<string> {
  let shown = ''
  for await (const event of events) {
    if (event.type === 'restart') shown = ''
    if (event.type === 'continue') expect(event.characters).toBe(shown.length)
    if (event.type === 'text-delta') shown += event.text
    if (event.type === 'text-delta' && leaves) break
  }
  return shown
}

async function askOnce(client: ReturnType<typeof createClient>, given: Call): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, given.delayMs))
  const { ask } = given
  const signal = ask === 'abort' ? AbortSignal.timeout(given.abortAfterMs) : undefined
  const input = { ...inputOf(given), ...(signal === undefined ? undefined : { signal }) }
  const isWhole = (text: string, { finishReason }: { readonly finishReason: string }) => {
    if (given.isTyped) expect(output.parse(JSON.parse(text))).toEqual({ n: 7 })
    else if (finishReason === 'length') expect(whole.startsWith(text)).toBe(true)
    else expect([whole, 'sorry']).toContain(text)
  }
  if (ask === 'generate') {
    const result = await client.generate(input)
    return isWhole(result.text, result)
  }
  const stream = await client.stream(input)
  expect(stream.answeredBy.attempt).toBeGreaterThanOrEqual(0)
  const events = ask === 'response' ? fromResponse(stream.toResponse()) : ask === 'at once' ? atOnce(stream) : stream
  const shown = await screenOf(events, ask === 'leave')
  if (ask === 'leave') return
  const result = await stream.result()
  expect(result.text).toBe(shown)
  isWhole(shown, result)
  const { provider, targetIndex, step, attempts, finishReason } = result
  expect(stream.answeredBy).toMatchObject({ provider, targetIndex, step })
  // behind a length, it may be a continuation that broke
  if (finishReason === 'length' || result.degraded) return
  const { attempt } = stream.answeredBy
  expect(attempts).toContainEqual(expect.objectContaining({ targetIndex, attempt, outcome: 'answered' }))
}

type Events = ReturnType<typeof recordEvents>

/** What calls and budgets may cost, whom calls may ask, and that all is told once. */
function checkLimits(events: Events, given: Given): void {
  events.assertPaired()
  const attempts = events.of('attempt-end')
  const spent = (of: typeof attempts) => of.reduce((sum, { record }) => sum + (record.cost ?? record.worstCost ?? 0), 0)
  const { budget } = given.client
  if (budget !== undefined) expect(spent(attempts)).toBeLessThanOrEqual(budget + 1e-6)
  for (const server of [0, 1]) {
    const budgetOf = given.targets.find(target => target.server === server && target.budget !== undefined)?.budget
    const own = attempts.filter(({ model }) => model === `m-${server}`)
    expect(own.length).toBeLessThanOrEqual(given.client.requestsPerMinute ?? Infinity)
    if (budgetOf !== undefined) expect(spent(own)).toBeLessThanOrEqual(budgetOf + 1e-6)
  }
  for (const { callId, metadata } of events.of('call-start')) {
    const call = given.calls[metadata['index'] as number]!
    const own = attempts.filter(event => event.callId === callId)
    if (call.maxCost !== undefined) expect(spent(own)).toBeLessThanOrEqual(call.maxCost + 1e-6)
    if (call.fallback === false) expect(new Set(own.map(({ targetIndex }) => targetIndex)).size).toBeLessThanOrEqual(1)
    if (call.targets !== undefined) for (const { name } of own) expect(call.targets).toContain(name)
    for (const { targetIndex } of own) expect(given.targets[targetIndex]?.excluded).toBe(false)
    expect(events.of('commit').filter(event => event.callId === callId).length).toBeLessThanOrEqual(1)
  }
}

/** The caller's own end of a call, and ours. */
function isExpected(error: unknown): boolean {
  const { name } = error as Error
  return ['ChainExhaustedError', 'StreamInterruptedError', 'ResponseError', 'TimeoutError'].includes(name)
}

async function live(given: Given): Promise<void> {
  let next = 0
  const reply = (request: ReceivedRequest) => {
    // a pool looks how busy its servers are
    if (request.method === 'GET') return status(404)
    const { fault, after } = given.faults[next++ % given.faults.length]!
    return replyFor(fault, after, request)
  }
  await using one = await startServer(reply, { format: 'llama' })
  await using two = await startServer(reply, { format: 'llama' })
  const events = recordEvents()
  const load: Load = { now: [0, 0], most: [0, 0] }
  const { hedge, breaker, profile, budget } = given.client
  const client = createClient({
    ...{ chain: chainOf(given, [one.baseURL, two.baseURL], load), hedge, breaker, profile, onEvent: events.listener },
    health: given.client.isShared ? sharedHealth() : undefined,
    timeout: { headersMs: 120, firstChunkMs: 150, chunkMs: 120, totalMs: 900 },
    ...(budget === undefined ? undefined : { budget: { dollars: budget, perMs: Infinity } }),
  })
  const known = new Set<string>(given.targets.map(({ name }) => name))
  const calls = given.calls.map((call, index) => ({
    ...call,
    metadata: { index },
    targets: call.targets?.every(name => known.has(name)) === true ? call.targets : undefined,
  }))
  const ends = await Promise.allSettled(calls.map(async call => askOnce(client, call)))
  for (const end of ends) if (end.status === 'rejected' && !isExpected(end.reason)) throw end.reason
  await client.close()
  for (const { inFlight, waiting } of client.health()) expect([inFlight, waiting]).toEqual([0, 0])
  for (const server of [0, 1]) expect(load.most[server]).toBeLessThanOrEqual(given.client.concurrency[server] ?? Infinity)
  checkLimits(events, { ...given, calls })
  await Promise.all([one.untilAllClosed(), two.untilAllClosed()])
}

const anything: fc.Arbitrary<Given> = fc.record({
  faults: fc.array(anyFault, { minLength: 1, maxLength: 12 }),
  targets: fc.array(anyTarget, { minLength: 1, maxLength: 4 }),
  calls: fc.array(anyCall, { minLength: 1, maxLength: 8 }),
  client: anyClient,
})

/** Over real sockets; each server follows one list of faults. */
test('whatever is mixed and whatever fails: nothing is doubled, lost, left behind or over a limit', async () => {
  const numRuns = Number(process.env['UNBUSY_RUNS'] ?? 15)
  await fc.assert(fc.asyncProperty(anything, live), { numRuns, endOnFailure: true })
}, 600_000)
