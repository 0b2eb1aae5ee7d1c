import { expectTypeOf, test } from 'vitest'
import { createClient, deepseek, llama, openai } from 'unbusy'
import type { AnsweredBy, AnswerStream, AttemptKind, Call, ClientEvent, Costs, GenerateResult, StreamEvent, Target } from 'unbusy'

const client = createClient({ chain: [deepseek(), llama()] })

test('generate takes a text or an object, and says who answered', async () => {
  expectTypeOf(client.generate).parameter(0).extract<string>().toEqualTypeOf<string>()
  const result = await client.generate({ prompt: 'Hi', temperature: 0.2, timeout: { firstChunkMs: 5_000 } })
  expectTypeOf(result).toExtend<GenerateResult>()
  expectTypeOf(result.text).toEqualTypeOf<string>()
  expectTypeOf(result.cost).toEqualTypeOf<number | undefined>()
  expectTypeOf(result.usage.inputTokens).toEqualTypeOf<number | undefined>()
  // @ts-expect-error results are read-only
  result.text = ''
})

test('generate refuses what it does not know', () => {
  // @ts-expect-error the field is called maxOutputTokens
  void client.generate({ prompt: 'Hi', maxTokens: 5 })
  // @ts-expect-error a role that no conversation has
  void client.generate({ messages: [{ role: 'robot', content: 'Hi' }] })
  // @ts-expect-error there are four levels
  void client.generate({ prompt: 'Hi', reasoning: 'medium' })
})

test('F102: the compiler names the option that is wrong, at its own line', () => {
  deepseek({
    // @ts-expect-error it is called baseURL
    baseUrl: 'http://127.0.0.1:8000',
  })
  openai('gpt-6-luna', {
    // @ts-expect-error it is called retry
    maxRetries: 2,
  })
  llama({
    // @ts-expect-error it is an object of clocks
    timeout: 30_000,
  })
  createClient({
    chain: [deepseek()],
    // @ts-expect-error it is called defaultResponse
    fallback: 'Busy.',
  })
  void client.generate({
    prompt: 'Hi',
    // @ts-expect-error it is called output
    schema: {},
  })
  void client.stream({
    prompt: 'Hi',
    // @ts-expect-error it is called signal
    abortSignal: AbortSignal.timeout(5_000),
  })
})

test('a stream is read event by event, and each event is known by its type', async () => {
  const stream = await client.stream('Hi')
  expectTypeOf(stream).toExtend<AnswerStream>()
  for await (const event of stream) {
    expectTypeOf(event).toEqualTypeOf<StreamEvent<undefined>>()
    if (event.type === 'text-delta') expectTypeOf(event.text).toEqualTypeOf<string>()
    // @ts-expect-error only deltas have a text
    if (event.type === 'finish') void event.text
  }
  expectTypeOf(stream.text()).toEqualTypeOf<Promise<string>>()
})

test('a chain is made of targets', () => {
  expectTypeOf(deepseek).returns.toExtend<Target>()
  // @ts-expect-error a name is not a target
  createClient({ chain: ['deepseek'] })
  // @ts-expect-error a client needs a chain
  createClient({})
  // @ts-expect-error an option that does not exist
  createClient({ chain: [deepseek()], retries: 3 })
})

test('listeners know every event by its type', () => {
  createClient({ chain: [deepseek()], onEvent: event => expectTypeOf(event).toEqualTypeOf<ClientEvent>() })
  type Ended = Extract<ClientEvent, { type: 'call-end' }>
  expectTypeOf<Ended['outcome']>().toEqualTypeOf<'answered' | 'degraded' | 'failed' | 'aborted'>()
})

test('decide answers with a decision, or with nothing for the table', () => {
  createClient({ chain: [deepseek()], decide: failure => (failure.reason === 'overloaded' ? 'next' : undefined) })
  // @ts-expect-error there are three decisions
  createClient({ chain: [deepseek()], decide: () => 'skip' })
})

test('F80: a condition returns a boolean, at once', () => {
  deepseek({ when: ({ metadata }) => metadata['confidential'] !== true })
  // @ts-expect-error a promise is no answer
  deepseek({ when: async () => false })
  // @ts-expect-error a text is no answer
  deepseek({ when: () => 'no' })
})

test('results and streams say what was paid, and for whom', async () => {
  const result = await client.generate({ prompt: 'Hi', maxCost: 0.01, targets: ['a'], fallback: false, tag: 'chat-7' })
  expectTypeOf(result.costs).toEqualTypeOf<Costs>()
  expectTypeOf(result.costs.answered).toEqualTypeOf<number | undefined>()
  expectTypeOf(result.costs.wasted).toEqualTypeOf<number>()
  const [attempt] = result.attempts
  expectTypeOf(attempt!.kind).toEqualTypeOf<AttemptKind | undefined>()
  expectTypeOf(attempt!.cost).toEqualTypeOf<number | undefined>()
  const { answeredBy } = await client.stream({ prompt: 'Hi', holdBackChars: Infinity })
  expectTypeOf(answeredBy).toEqualTypeOf<AnsweredBy>()
  // @ts-expect-error it is a number of dollars
  void client.generate({ prompt: 'Hi', maxCost: '1' })
  // @ts-expect-error it is a list
  void client.generate({ prompt: 'Hi', targets: 'a' })
})

test('a target has words and a budget of its own', () => {
  deepseek({
    prepare: call => ({ messages: call.messages.slice(-4), temperature: 0 }),
    budget: { dollars: 5, perMs: 86_400_000 },
  })
  const prepare = (call: Call): Partial<Call> => ({ temperature: call.temperature })
  expectTypeOf(prepare).toExtend<NonNullable<Target['prepare']>>()
  deepseek({
    // @ts-expect-error the form of the answer is the same for all targets
    prepare: () => ({ output: { type: 'json' } }),
  })
  deepseek({
    // @ts-expect-error it must be there at once
    prepare: async () => ({ temperature: 0 }),
  })
  deepseek({
    // @ts-expect-error both are needed
    budget: { dollars: 5 },
  })
  createClient({ chain: [deepseek()], budget: { dollars: 5, perMs: Infinity } })
})

test('a restart says whether only reasoning was lost', async () => {
  const stream = await client.stream('Hi')
  for await (const event of stream) {
    if (event.type === 'restart') expectTypeOf(event.lost).toEqualTypeOf<'reasoning' | undefined>()
    // @ts-expect-error what stays is not lost
    if (event.type === 'continue') void event.lost
  }
})
