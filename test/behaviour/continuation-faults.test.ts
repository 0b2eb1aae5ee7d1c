import * as fc from 'fast-check'
import { type AnswerStream, createClient, type StreamEvent, StreamInterruptedError } from 'unbusy'
import { fakeClock, type FakeReply, fakeTarget, recordEvents } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

const canPrefix = { prefix: true }

/** What a reader has on the screen who obeys the events, and what was told. A screen that does not fit an event is an error. */
async function read(stream: AnswerStream) {
  const seen = { shown: '', thought: '', seams: [] as string[], finishes: [] as string[], error: undefined as unknown }
  const take = (event: StreamEvent) => {
    if (event.type === 'text-delta') seen.shown += event.text
    if (event.type === 'reasoning-delta') seen.thought += event.text
    if (event.type === 'finish') seen.finishes.push(event.finishReason)
    if (event.type === 'continue') expect(event.characters).toBe(seen.shown.length)
    if (event.type === 'restart') {
      expect(event.discardedCharacters).toBe(seen.shown.length + seen.thought.length)
      Object.assign(seen, { shown: '', thought: '' })
    }
    if (event.type === 'continue' || event.type === 'restart') seen.seams.push(event.type)
  }
  try {
    for await (const event of stream) take(event)
  } catch (error) {
    seen.error = error
  }
  return seen
}

// ---- any faults at all

const faults = ['none', 'cut', 'overloaded', 'server-error', 'rate-limit', 'malformed-response', 'stall', 'length'] as const
type Fault = { readonly kind: (typeof faults)[number]; readonly after: number; readonly pieces: readonly string[] }
type Behaviour = { readonly prefix: 'takes' | 'refuses' | 'none'; readonly retry: number; readonly faults: readonly Fault[] }
type Script = {
  readonly mode: 'fail' | 'restart' | 'continue'
  readonly holdBackMs: number
  readonly holdBackChars: number
  readonly continueOnLength: number
  readonly paceMs: number
  readonly targets: readonly Behaviour[]
}

/** Pieces of every width, and some that repeat, so that a seam begins like the text ends. */
const piece = fc.constantFrom('a', 'la la ', '1', ' = ', '\n', '二つ', 'é', '👩‍👩‍👧', '🎉🎉', 'е́', 'ok.', '[[1], [')
const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom(...faults),
  after: fc.nat(6),
  pieces: fc.array(piece, { minLength: 1, maxLength: 6 }),
})
const script: fc.Arbitrary<Script> = fc.record({
  mode: fc.constantFrom('fail', 'restart', 'continue'),
  holdBackMs: fc.constantFrom(0, 0, 3),
  holdBackChars: fc.constantFrom(0, 0, 9),
  continueOnLength: fc.nat(2),
  paceMs: fc.constantFrom(0, 0, 2),
  targets: fc.array(
    fc.record({
      prefix: fc.constantFrom('takes', 'refuses', 'none'),
      retry: fc.nat(2),
      faults: fc.array(fault, { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
})

/** Every attempt that begins anew writes a text of its own, marked by its number; one that goes on writes the rest of the one it was given. */
function play({ targets }: Script, clock: ReturnType<typeof fakeClock>, paceMs: number) {
  const texts: string[] = []
  const chain = targets.map((behaviour, index) => {
    const reply = (prefix: string | undefined, attempt: number): FakeReply => {
      if (prefix !== undefined && behaviour.prefix === 'refuses') return { error: 'invalid-request' }
      const { kind, after, pieces } = behaviour.faults[attempt - 1] ?? { kind: 'none', after: 0, pieces: ['the ', 'end.'] }
      if (prefix === undefined) texts.push(`<${texts.length}>${pieces.join('')}!`)
      const whole = texts.find(text => text.startsWith(prefix ?? texts.at(-1) ?? '')) ?? 'a prefix that nobody wrote'
      const text = whole.slice(prefix?.length ?? 0).match(/[^]{1,2}/gu) ?? []
      const pace = { chunkEveryMs: paceMs }
      if (kind === 'none') return { text, ...pace }
      if (kind === 'length') return { text: text.slice(0, after + 1), finishReason: 'length', ...pace }
      if (kind === 'cut') return { text, cutAfterChunks: Math.min(after, text.length), ...pace }
      if (kind === 'stall') return { text, hangAfterChunks: Math.min(after, text.length), ...pace }
      return { text, error: kind, errorAfterChunks: Math.min(after, text.length), ...pace }
    }
    return fakeTarget(({ prefix }, attempt) => reply(prefix?.text, attempt), {
      clock,
      name: `target-${index}`,
      retry: behaviour.retry,
      capabilities: { prefix: behaviour.prefix !== 'none' },
    })
  })
  return { texts, chain }
}

async function check(given: Script): Promise<void> {
  const clock = fakeClock()
  const events = recordEvents()
  const { texts, chain } = play(given, clock, given.paceMs)
  const { mode: afterFirstToken, holdBackMs, holdBackChars, continueOnLength } = given
  const client = createClient({
    ...{
      chain,
      clock,
      random: () => 0.5,
      onEvent: events.listener,
      breaker: false,
      timeout: { totalMs: 60_000, chunkMs: 5_000 },
    },
    ...{ afterFirstToken, holdBackMs, holdBackChars, continueOnLength },
  })
  const asked = await clock.until(
    client.stream('Hi').then(
      stream => ({ stream }),
      (error: unknown) => ({ error }),
    ),
  )
  if ('stream' in asked) {
    const { stream } = asked
    const { shown, error, finishes, seams } = await clock.until(read(stream))
    const isPart = finishes[0] === 'length'
    if (error === undefined && !isPart) expect(texts).toContain(shown)
    else expect(texts.some(text => text.startsWith(shown))).toBe(true)
    expect(finishes).toHaveLength(error === undefined ? 1 : 0)
    if (afterFirstToken === 'fail') expect(seams).not.toContain('restart')
    if (error === undefined) expect((await stream.result()).text).toBe(shown)
    else expect((error as StreamInterruptedError).text).toBe(shown)
  }
  const answer = await clock.until(
    client.generate('Hi').then(
      ({ text, finishReason }) => ({ text, finishReason }),
      () => undefined,
    ),
  )
  if (answer !== undefined && answer.finishReason !== 'length') expect(texts).toContain(answer.text)
  // health keeps a timer that tells when a target is back, and a call none
  if (client.health().every(({ state }) => state === 'closed')) expect(clock.pending()).toBe(0)
  await client.close()
  expect(clock.pending()).toBe(0)
  for (const { provider } of chain) expect(provider.active()).toBe(0)
  events.assertPaired()
}

test('whatever breaks wherever: no character is doubled, none is missing, and nothing of two answers is ever on one screen (R29, R33, R34, R35, R55)', async () => {
  // 5,000 scripts, each as a stream and as a whole. Many at once: virtual time needs a turn of the event loop for every timer
  const property = fc.asyncProperty(fc.array(script, { minLength: 50, maxLength: 50 }), async scripts => {
    await Promise.all(scripts.map(check))
  })
  await fc.assert(property, { numRuns: 100, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true, endOnFailure: true })
}, 60_000)

// ---- single seams

const cutAfter = (...text: string[]) => ({ text, cutAfterChunks: text.length })

test.for([
  ['1 + 10 = 1', '1'],
  ['a b c\n', '\nnext'],
  ['x = [[1], [', '[2]]]'],
  ['la la la la la la la la la la ', 'la la la'],
  ['你好，世', '世界你好'],
  ['👩‍👩‍👧 and 🎉', '🎉🎉'],
  ['e', '\u0301té'],
] as const)(
  'a continuation of %j that begins like the text ends keeps every character (R134)',
  async ([before, after], { clock }) => {
    for (const ask of ['stream', 'generate'] as const) {
      const target = fakeTarget([cutAfter(before), after], { clock, capabilities: canPrefix })
      const client = createClient({ chain: [target], clock, afterFirstToken: 'continue' })
      const work = ask === 'generate' ? client.generate('Hi') : client.stream('Hi').then(async stream => stream.result())
      expect(await clock.until(work)).toMatchObject({ text: before + after })
      expect(target.provider.calls[1]?.call.prefix?.text).toBe(before)
    }
  },
)

test.for(['invalid-request', 'not-found', 'context-length', 'empty', 'malformed-response'] as const)(
  'the %s that a target answers to a prefix never reaches the caller: it is asked anew at once, and to go on never again (R30)',
  async (error, { clock, events }) => {
    const target = fakeTarget(
      ({ prefix }, attempt) => {
        if (prefix !== undefined) return { error }
        return attempt === 1 ? cutAfter('Hello', ' w') : attempt === 3 ? cutAfter('Good') : 'Whole.'
      },
      { clock, capabilities: canPrefix, retry: 2 },
    )
    const client = createClient({ chain: [target], clock, breaker: false, afterFirstToken: 'continue', onEvent: events.listener })
    const stream = await clock.until(client.stream('Hi'))
    const seen = await clock.until(read(stream))
    expect(seen).toMatchObject({ shown: 'Whole.', seams: ['restart', 'restart'], error: undefined })
    const asked = target.provider.calls.map(({ call }) => call.prefix?.text)
    expect(asked).toEqual([undefined, 'Hello w', undefined, undefined])
    expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Whole.' })
  },
)

test('a target on which nothing can be continued restarts, and without one the caller gets the break and not a 400 (R30, R36)', async ({
  clock,
}) => {
  const chain = [
    fakeTarget(cutAfter('Hello', ' w'), { clock, name: 'first', retry: 0 }),
    fakeTarget(({ prefix }) => (prefix === undefined ? 'Anew.' : { error: 'invalid-request' }), {
      clock,
      name: 'refuses',
      retry: 0,
      capabilities: canPrefix,
    }),
  ]
  const client = createClient({ chain, clock, afterFirstToken: 'continue' })
  expect(await clock.until(client.stream('Hi').then(read))).toMatchObject({ shown: 'Anew.', seams: ['restart'] })
})

test('a break in the middle of a continuation is continued again, from everything that has come', async ({ clock }) => {
  const target = fakeTarget([cutAfter('One '), cutAfter('two '), cutAfter('three '), 'four.'], {
    clock,
    capabilities: canPrefix,
    retry: 5,
  })
  const client = createClient({ chain: [target], clock, breaker: false, afterFirstToken: 'continue' })
  const seen = await clock.until(client.stream('Hi').then(read))
  expect(seen).toMatchObject({ shown: 'One two three four.', seams: ['continue', 'continue', 'continue'] })
})

test('after a seam the finish is that of the last leg, usage is the sum, and the limit is what is left (R133)', async ({
  clock,
}) => {
  const usage = (outputTokens: number) => ({ inputTokens: 10, outputTokens, totalTokens: 10 + outputTokens })
  const target = fakeTarget(
    [
      { text: ['One', ' two'], finishReason: 'length', usage: usage(40) },
      { text: ' three', finishReason: 'length', usage: usage(60) },
    ],
    { clock, capabilities: canPrefix },
  )
  const client = createClient({ chain: [target], clock, continueOnLength: 5 })
  const answer = await clock.until(client.generate({ prompt: 'Hi', maxOutputTokens: 100 }))
  expect(answer).toMatchObject({ text: 'One two three', finishReason: 'length', usage: { outputTokens: 100, inputTokens: 20 } })
  // 40 tokens in two deltas: the server's count holds, and what is used up is not asked for
  expect(target.provider.calls.map(({ call }) => call.maxOutputTokens)).toEqual([100, 60])
})

test('continueOnLength is how often and no oftener, and what was paid for is the answer when the rest does not come', async ({
  clock,
}) => {
  const short = () => fakeTarget({ text: 'a', finishReason: 'length' }, { clock, capabilities: canPrefix })
  const count = async (continueOnLength: number) => {
    const target = short()
    const { text } = await clock.until(createClient({ chain: [target], clock, continueOnLength }).generate('Hi'))
    return [text, target.provider.calls.length]
  }
  expect(await count(0)).toEqual(['a', 1])
  expect(await count(3)).toEqual(['aaaa', 4])
  const unable = fakeTarget({ text: 'a', finishReason: 'length' }, { clock })
  expect(await clock.until(createClient({ chain: [unable], clock, continueOnLength: 3 }).generate('Hi'))).toMatchObject({
    text: 'a',
  })
  const breaking = fakeTarget([{ text: 'a', finishReason: 'length' }, cutAfter('b')], { clock, capabilities: canPrefix })
  const stream = await clock.until(createClient({ chain: [breaking], clock, continueOnLength: 3 }).stream('Hi'))
  const seen = await clock.until(read(stream))
  expect(seen).toMatchObject({ shown: 'ab', finishes: ['length'], error: undefined })
  expect((await stream.result()).text).toBe('ab')
})

test("a call's own switch is honoured after its first token, over the client's, in both directions, and by resume() too (R4)", async ({
  clock,
}) => {
  const make = (afterFirstToken: 'fail' | 'restart') =>
    createClient({
      chain: [fakeTarget(cutAfter('Hello'), { clock, retry: 0 }), fakeTarget('Anew.', { clock })],
      ...{ clock, afterFirstToken },
    })
  const failing = await clock.until(make('restart').stream({ prompt: 'Hi', afterFirstToken: 'fail' }).then(read))
  expect(failing.error).toBeInstanceOf(StreamInterruptedError)
  const healed = await clock.until(make('fail').stream({ prompt: 'Hi', afterFirstToken: 'restart' }).then(read))
  expect(healed).toMatchObject({ shown: 'Anew.', error: undefined })

  const target = fakeTarget([cutAfter('One'), { text: ' two', finishReason: 'length' }, ' three.'], {
    ...{ clock, retry: 0, capabilities: canPrefix },
  })
  const { error } = await clock.until(
    createClient({ chain: [target], clock })
      .stream({ prompt: 'Hi', continueOnLength: 1 })
      .then(read),
  )
  const resumed = await clock.until((error as StreamInterruptedError).resume())
  expect(await clock.until(resumed.text())).toBe('One two three.')
})

test('a tool call under way is never gone on with, and never handed out with {} or half of its arguments (R124, R126)', async ({
  clock,
}) => {
  const toolCalls = [{ toolName: 'weather', input: { city: 'Oslo' } }]
  const broken = { text: 'I look.', toolCalls, cutAfterChunks: 2 }
  const tools = { weather: { inputSchema: { type: 'object' } } } as const
  for (const afterFirstToken of ['fail', 'restart', 'continue'] as const) {
    const target = fakeTarget([broken, { text: 'Again.', toolCalls }], { clock, capabilities: canPrefix })
    const client = createClient({ chain: [target], clock, afterFirstToken })
    const calls: unknown[] = []
    const seen = await clock.until(
      client
        .stream({ prompt: 'Hi', tools })
        .then(async stream => {
          for await (const event of stream) if (event.type === 'tool-call') calls.push(event.input)
          return (await stream.result()).text
        })
        .catch((error: unknown) => error),
    )
    if (afterFirstToken === 'fail') expect(seen).toBeInstanceOf(StreamInterruptedError)
    else expect(seen).toBe('Again.')
    expect(calls).toEqual(afterFirstToken === 'fail' ? [] : [{ city: 'Oslo' }])
    for (const { call } of target.provider.calls) expect(call.prefix).toBeUndefined()
  }
})

test('an abort during a continuation settles at once with its reason, and leaves nothing', async ({ clock, events }) => {
  const target = fakeTarget([cutAfter('Hello'), { text: [' wor', 'ld'], chunkEveryMs: 30_000 }], {
    clock,
    capabilities: canPrefix,
  })
  const client = createClient({ chain: [target], clock, afterFirstToken: 'continue', onEvent: events.listener })
  const controller = new AbortController()
  const stream = await clock.until(client.stream({ prompt: 'Hi', signal: controller.signal }))
  const result = stream.result()
  const outcome = result.catch((error: unknown) => error)
  await clock.advance(5_000)
  expect(target.provider.active()).toBe(1)
  controller.abort('enough')
  expect(await outcome).toBe('enough')
  expect(target.provider.active()).toBe(0)
  expect(clock.pending()).toBe(0)
  await client.close()
})

test('what is held back is handed over at its time, and first-token times of receipt and of delivery are told apart (R49)', async ({
  clock,
  events,
}) => {
  const target = fakeTarget({ text: ['a', 'b', 'c'], firstChunkAfterMs: 100, chunkEveryMs: 1_000 }, { clock })
  const client = createClient({ chain: [target], clock, holdBackMs: 1_500, onEvent: events.listener })
  const stream = await clock.until(client.stream('Hi'))
  expect(clock.now()).toBe(1_600)
  expect(await clock.until(stream.text())).toBe('abc')
  expect(events.of('commit')).toMatchObject([{ durationMs: 1_600 }])
  expect(events.attempts()).toMatchObject([{ firstChunkMs: 100 }])
})

test('an error in the stream is healed with a wait and a mark, not with three requests at once (R34)', async ({
  clock,
  events,
}) => {
  const target = fakeTarget(
    { text: ['partial '], error: 'overloaded', errorAfterChunks: 1 },
    { clock, retry: { maxRetries: 2, rounds: 1 } },
  )
  const client = createClient({ chain: [target], clock, afterFirstToken: 'restart', onEvent: events.listener, breaker: false })
  const seen = await clock.until(client.stream('Hi').then(read))
  expect(seen).toMatchObject({ shown: 'partial ', seams: ['restart', 'restart'] })
  expect(seen.error).toBeInstanceOf(StreamInterruptedError)
  const waits = events.of('wait').map(({ waitMs }) => waitMs)
  expect(waits).toHaveLength(2)
  for (const waitMs of waits) expect(waitMs).toBeGreaterThanOrEqual(50)
})
