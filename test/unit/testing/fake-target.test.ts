import { describe, expect } from 'vitest'
import type { Attempt, Call, ProviderEvent } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { ProviderError } from '../../../src/errors.ts'
import { fakeClock, fakeTarget } from '../../../src/testing/index.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const call: Call = { model: 'asked-for', messages: [{ role: 'user', content: 'Hi' }], metadata: {} }

type Timed = { readonly at: number; readonly event: ProviderEvent }

type Run = {
  readonly events: readonly ProviderEvent[]
  readonly timed: readonly Timed[]
  readonly aborting: AbortController
  /** Undefined while it is under way. */
  readonly ended: () => 'resolved' | { readonly error: unknown } | undefined
  readonly over: Promise<void>
  drain(): void
}

function run(target: Target, options: { clock?: FakeClock; isBehind?: (event: ProviderEvent) => boolean } = {}): Run {
  const events: ProviderEvent[] = []
  const timed: Timed[] = []
  const aborting = new AbortController()
  const waiting: (() => void)[] = []
  let ended: ReturnType<Run['ended']>
  const attempt: Attempt = {
    signal: aborting.signal,
    emit(event) {
      events.push(event)
      timed.push({ at: options.clock?.now() ?? 0, event })
      return options.isBehind?.(event) !== true
    },
    onDrain: listener => void waiting.push(listener),
  }
  const over = target.provider.stream(call, attempt).then(
    () => void (ended = 'resolved'),
    (error: unknown) => void (ended = { error }),
  )
  return { events, timed, aborting, ended: () => ended, over, drain: () => waiting.splice(0).forEach(listener => listener()) }
}

const types = (events: readonly ProviderEvent[]): readonly string[] => events.map(event => event.type)

test('a text is answered with every event that a real provider sends, finish last', async () => {
  const attempt = run(fakeTarget('Hello.'))
  await attempt.over
  expect(attempt.events).toEqual([
    { type: 'connecting' },
    { type: 'sent' },
    { type: 'headers', status: 200, headers: {} },
    { type: 'text-delta', text: 'Hello.' },
    { type: 'finish', finishReason: 'stop', usage: undefined, providerMetadata: undefined },
  ])
  expect(attempt.ended()).toBe('resolved')
})

test('reasoning, text, tool calls, usage, metadata and warnings come in the order of a real answer', async () => {
  const attempt = run(
    fakeTarget({
      text: ['One ', 'two'],
      reasoning: 'Hm.',
      toolCalls: [{ toolName: 'f', input: { a: 1 } }],
      usage: { inputTokens: 1 },
      warnings: [{ setting: 'topP', message: 'is fixed' }],
      id: 'id-1',
      model: 'm-1',
      requestId: 'r-1',
      providerMetadata: { logprobs: null },
    }),
  )
  await attempt.over
  expect(attempt.events.slice(2)).toEqual([
    { type: 'headers', status: 200, headers: { 'x-request-id': 'r-1' } },
    { type: 'response-metadata', id: 'id-1', model: 'm-1', requestId: 'r-1' },
    { type: 'warning', setting: 'topP', message: 'is fixed' },
    { type: 'reasoning-delta', text: 'Hm.' },
    { type: 'text-delta', text: 'One ' },
    { type: 'text-delta', text: 'two' },
    { type: 'tool-call-delta', toolCallId: 'call-0', toolName: 'f', inputText: '{"a":1}' },
    { type: 'tool-call', toolCallId: 'call-0', toolName: 'f', input: { a: 1 } },
    { type: 'finish', finishReason: 'tool-calls', usage: { inputTokens: 1 }, providerMetadata: { logprobs: null } },
  ])
})

test('a list is one reply for each attempt, and the last one stays', async () => {
  const target = fakeTarget([{ error: 'overloaded' }, 'one', 'two'])
  for (let count = 0; count < 4; count += 1) await run(target).over
  expect(target.provider.calls.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
    [1, 'failed'],
    [2, 'answered'],
    [3, 'answered'],
    [4, 'answered'],
  ])
})

test('a function is given the call and the attempt', async () => {
  const target = fakeTarget(({ messages }, attempt) => `${messages.length} message, attempt ${attempt}`)
  await run(target).over
  const second = run(target)
  await second.over
  expect(second.events).toContainEqual({ type: 'text-delta', text: '1 message, attempt 2' })
})

test('an empty script is refused with what to write instead', async () => {
  const attempt = run(fakeTarget([]))
  await attempt.over
  expect(attempt.ended()).toEqual({
    error: new TypeError('fakeTarget: the script is empty. Write at least one reply; the last one is repeated.'),
  })
})

test('nothing is emitted before stream() has returned', () => {
  expect(run(fakeTarget('Hi')).events).toEqual([])
})

test('name, model, capabilities and limits are those of the options', () => {
  const capabilities = { prefix: true }
  const when = (): boolean => false
  const target = fakeTarget('Hi', { name: 'deepseek', model: 'm', capabilities, retry: 0, price: { input: 1, output: 2 }, when })
  expect(target).toMatchObject({
    model: 'm',
    retry: 0,
    price: { input: 1, output: 2 },
    when,
    provider: { name: 'deepseek', capabilities },
  })
  expect(Object.keys(fakeTarget('Hi')).toSorted()).toEqual(['model', 'provider'])
})

describe('a failure', () => {
  test.for([
    ['network', ['connecting'], undefined],
    ['timeout', ['connecting', 'sent'], undefined],
    ['rate-limit', ['connecting', 'sent', 'headers'], 429],
    ['overloaded', ['connecting', 'sent', 'headers'], 503],
    ['authentication', ['connecting', 'sent', 'headers'], 401],
    ['empty', ['connecting', 'sent', 'headers'], 200],
  ] as const)('of reason %s comes after %j, with the status that goes with it', async ([reason, told, status]) => {
    const attempt = run(fakeTarget({ error: reason, text: 'never', retryAfterMs: 5_000, requestId: 'r-1' }))
    await attempt.over
    expect(types(attempt.events)).toEqual(told)
    const ended = attempt.ended()
    const error = ended !== undefined && ended !== 'resolved' ? ended.error : undefined
    expect(error).toBeInstanceOf(ProviderError)
    expect(error).toMatchObject({ reason, status, retryAfterMs: 5_000, requestId: 'r-1', provider: 'fake', model: 'asked-for' })
  })

  test('after some deltas is inside a 200', async () => {
    const attempt = run(fakeTarget({ text: ['a', 'b'], error: 'overloaded', errorAfterChunks: 1 }))
    await attempt.over
    expect(types(attempt.events)).toEqual(['connecting', 'sent', 'headers', 'text-delta'])
    expect(attempt.ended()).toMatchObject({ error: { reason: 'overloaded', status: 200 } })
  })

  test('with an error of your own is thrown as it is', async () => {
    const bug = new TypeError('our own bug')
    const attempt = run(fakeTarget({ error: bug }))
    await attempt.over
    expect(attempt.ended()).toEqual({ error: bug })
    const late = new ProviderError('late', { reason: 'server-error', status: 500 })
    const second = run(fakeTarget({ error: late }))
    await second.over
    expect(second.events.at(-1)).toEqual({ type: 'headers', status: 500, headers: {} })
    expect(second.ended()).toEqual({ error: late })
  })
})

test.for([0, 1, 9])('a cut after %i chunks resolves without finish', async cutAfterChunks => {
  const target = fakeTarget({ text: ['a', 'b'], cutAfterChunks })
  const attempt = run(target)
  await attempt.over
  expect(attempt.ended()).toBe('resolved')
  expect(types(attempt.events).slice(3)).toEqual(['text-delta', 'text-delta'].slice(0, cutAfterChunks))
  expect(target.provider.calls[0]).toMatchObject({ outcome: 'cut', chunks: Math.min(cutAfterChunks, 2) })
})

describe('in virtual time', () => {
  test('everything comes at its time', async ({ clock }) => {
    const script = {
      text: ['a', 'b'],
      connectAfterMs: 10,
      headersAfterMs: 100,
      keepAlives: 2,
      firstChunkAfterMs: 500,
      chunkEveryMs: 7,
    }
    const attempt = run(fakeTarget(script, { clock }), { clock })
    await clock.advance(10_000)
    expect(attempt.timed.map(({ at, event }) => [at, event.type])).toEqual([
      [0, 'connecting'],
      [10, 'sent'],
      [110, 'headers'],
      [1_110, 'queued'],
      [2_110, 'queued'],
      [2_610, 'text-delta'],
      [2_617, 'text-delta'],
      [2_617, 'finish'],
    ])
    expect(clock.pending()).toBe(0)
  })

  test('keep-alives go on for their time, or for ever', async ({ clock }) => {
    const timed = run(fakeTarget({ text: 'Hi', keepAliveForMs: 3_500 }, { clock }), { clock })
    const endless = run(fakeTarget({ text: 'Hi', keepAliveForMs: Infinity, keepAliveEveryMs: 60_000 }, { clock }), { clock })
    await clock.advance(600_000)
    expect(types(timed.events).filter(type => type === 'queued')).toHaveLength(3)
    expect(types(timed.events)).toContain('finish')
    expect(types(endless.events).filter(type => type === 'queued')).toHaveLength(10)
    endless.aborting.abort()
    await endless.over
    expect(clock.pending()).toBe(0)
  })

  test.for([
    ['before headers', { hang: true }, ['connecting', 'sent']],
    ['after a chunk', { text: ['a', 'b'], hangAfterChunks: 1 }, ['connecting', 'sent', 'headers', 'text-delta']],
    ['for ever', { text: 'a', headersAfterMs: Infinity }, ['connecting', 'sent']],
  ] as const)('silence %s lasts until the signal fires, and ends with its reason', async ([, script, told], { clock }) => {
    const target = fakeTarget(script, { clock })
    const attempt = run(target, { clock })
    await clock.advance(86_400_000)
    expect(types(attempt.events)).toEqual(told)
    expect(target.provider.active()).toBe(1)
    const reason = new Error('the caller left')
    attempt.aborting.abort(reason)
    await attempt.over
    expect(attempt.ended()).toEqual({ error: reason })
    expect(target.provider.calls[0]).toMatchObject({ outcome: 'aborted', at: 0, endedAt: 86_400_000 })
    expect([target.provider.active(), clock.pending()]).toEqual([0, 0])
  })

  test('an abort in the middle of a wait leaves no timer', async () => {
    const clock = fakeClock()
    const attempt = run(fakeTarget({ text: 'a', headersAfterMs: 5_000 }, { clock }), { clock })
    await clock.advance(1)
    expect(clock.pending()).toBe(1)
    attempt.aborting.abort()
    expect(clock.pending()).toBe(1)
    await attempt.over
    expect(clock.pending()).toBe(0)
  })
})

test('an attempt whose signal has fired already emits nothing', async () => {
  const attempt = run(fakeTarget('Hi'))
  attempt.aborting.abort('before it began')
  await attempt.over
  expect(attempt.events).toEqual([])
  expect(attempt.ended()).toEqual({ error: 'before it began' })
})

test('it stops while the reader is behind and goes on when it has caught up', async () => {
  const attempt = run(fakeTarget({ text: ['a', 'b', 'c'] }), {
    isBehind: event => event.type === 'text-delta' && event.text !== 'b',
  })
  const turn = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  await turn()
  expect(attempt.events.at(-1)).toEqual({ type: 'text-delta', text: 'a' })
  attempt.drain()
  await turn()
  expect(attempt.events.at(-1)).toEqual({ type: 'text-delta', text: 'c' })
  attempt.drain()
  await attempt.over
  expect(attempt.events.at(-1)?.type).toBe('finish')
})

test('an abort ends the wait for a reader that never catches up', async () => {
  const attempt = run(fakeTarget('a'), { isBehind: event => event.type === 'text-delta' })
  await new Promise(resolve => setImmediate(resolve))
  attempt.aborting.abort('enough')
  await attempt.over
  expect(attempt.ended()).toEqual({ error: 'enough' })
})

test('without a clock it takes the time of the machine', async () => {
  const attempt = run(fakeTarget({ text: 'a', headersAfterMs: 2 }))
  await attempt.over
  expect(attempt.ended()).toBe('resolved')
})
