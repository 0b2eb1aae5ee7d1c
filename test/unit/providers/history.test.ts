import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Call, Message, ProviderEvent, ToolCall } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { llama } from '../../../src/providers/llama.ts'
import { openai } from '../../../src/providers/openai.ts'
import { type Answer, ask, chatStream, type Recorded, type Recorder, startRecorder } from '../../helpers/recording-server.ts'
import { deepseekRefuses, llamaRefuses, openaiRefuses } from '../../helpers/strict-servers.ts'

const services = {
  deepseek: { refuses: deepseekRefuses, create: (baseURL: string) => deepseek({ baseURL, apiKey: 'sk-test' }) },
  openai: { refuses: openaiRefuses, create: (baseURL: string) => openai({ baseURL, apiKey: 'sk-test' }) },
  llama: { refuses: llamaRefuses, create: (baseURL: string) => llama({ baseURL }) },
}

type Name = keyof typeof services

async function start(
  name: Name,
  answer: (request: Recorded) => Answer = () => chatStream('Hello'),
): Promise<{ target: Target; server: Recorder }> {
  const { refuses, create } = services[name]
  const server = await startRecorder(request => {
    const refused = refuses(request)
    return refused === undefined ? answer(request) : { status: 400, body: JSON.stringify({ error: { message: refused } }) }
  })
  return { target: create(server.origin), server }
}

// ---- any conversation

const words = fc.string({ maxLength: 20 })
const toolCall = fc.record({
  toolCallId: fc.uuid(),
  toolName: fc.constantFrom('weather', 'time'),
  input: fc.object({ maxDepth: 1 }),
})

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ role: fc.constantFrom('system' as const, 'developer' as const), content: words }),
  fc.record({ role: fc.constant('user' as const), content: words }),
  fc.record({
    role: fc.constant('user' as const),
    content: fc.array(fc.record({ type: fc.constant('text' as const), text: words })),
  }),
  fc.record(
    {
      role: fc.constant('assistant' as const),
      content: words,
      reasoningText: words,
      toolCalls: fc.array(toolCall, { maxLength: 2 }),
      prefix: fc.boolean(),
    },
    { requiredKeys: ['role', 'content'] },
  ),
  fc.record({ role: fc.constant('tool' as const), toolCallId: fc.uuid(), content: words }),
)

const tools: Call['tools'] = {
  weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
}

const call: fc.Arbitrary<Omit<Call, 'model' | 'metadata'>> = fc.record({
  messages: fc.array(message, { maxLength: 6 }).map((turns): Message[] => [...turns, { role: 'user', content: 'Well?' }]),
  tools: fc.constantFrom(undefined, tools, {}),
  toolChoice: fc.constantFrom<Call['toolChoice']>(undefined, 'auto', 'required', { toolName: 'weather' }),
  reasoning: fc.constantFrom(undefined, 'off', 'low', 'high', 'max'),
  temperature: fc.constantFrom(undefined, 0, 0.7),
  maxOutputTokens: fc.constantFrom(undefined, 100),
  seed: fc.constantFrom(undefined, 0),
  output: fc.constantFrom(
    undefined,
    { type: 'json' as const },
    { type: 'json' as const, schema: { type: 'object', properties: {} } },
  ),
})

test.each(Object.keys(services) as Name[])(
  '%s never gets what it refuses, whatever the conversation was (R127, R128)',
  async name => {
    const { target, server } = await start(name)
    await fc.assert(
      fc.asyncProperty(call, async asked => {
        const before = server.requests.length
        const events = await ask(target, asked)
        expect(events.at(-1)?.type).toBe('finish')
        // right at once, not only after a repair
        expect(server.requests).toHaveLength(before + 1)
      }),
      { numRuns: 150 },
    )
  },
)

// ---- one conversation, answered by one target after the other

const reasons: Record<Name, (turn: number) => Record<string, unknown>> = {
  deepseek: turn => ({ reasoning_content: `deepseek thinks ${turn}` }),
  openai: () => ({}),
  llama: turn => ({ reasoning_content: `llama thinks ${turn}` }),
}

/** Calls the tool, or answers when the conversation ends in the tool's result. */
function converse(name: Name) {
  return ({ body }: Recorded): Answer => {
    const messages = body['messages'] as readonly { readonly role: string }[]
    const turn = messages.length
    if (messages.at(-1)?.role === 'tool') return chatStream(`${name} answers ${turn}`, reasons[name](turn))
    const called = [
      { index: 0, id: `call_${name}_${turn}`, type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
    ]
    const chunks = [
      { choices: [{ index: 0, delta: { role: 'assistant', content: null, ...reasons[name](turn), tool_calls: called } }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] },
    ]
    return { body: [...chunks.map(chunk => JSON.stringify(chunk)), '[DONE]'].map(data => `data: ${data}\n\n`).join('') }
  }
}

function turnOf(events: readonly ProviderEvent[]): Extract<Message, { role: 'assistant' }> {
  const textOf = (type: 'text-delta' | 'reasoning-delta') =>
    events.flatMap(event => (event.type === type ? event.text : [])).join('')
  const toolCalls = events.flatMap((event): ToolCall[] => (event.type === 'tool-call' ? [event] : []))
  const reasoningText = textOf('reasoning-delta')
  return { role: 'assistant', content: textOf('text-delta'), ...(reasoningText === '' ? {} : { reasoningText }), toolCalls }
}

const orders = permutations<Name>(['deepseek', 'openai', 'llama', 'deepseek'])

test.each(orders.map(order => order.join(' -> ')))(
  'one conversation with reasoning and tools goes %s, accepted by all (R127, R128, R129)',
  async written => {
    const order = written.split(' -> ') as Name[]
    const started = {
      deepseek: await start('deepseek', converse('deepseek')),
      openai: await start('openai', converse('openai')),
      llama: await start('llama', converse('llama')),
    }
    const messages: Message[] = [{ role: 'developer', content: 'Be brief.' }]
    for (const name of order) {
      messages.push({ role: 'user', content: 'What is the weather?' })
      const calling = turnOf(await ask(started[name].target, { messages, tools }))
      const [called] = calling.toolCalls ?? []
      expect(called).toMatchObject({ toolName: 'weather', input: { city: 'Oslo' } })
      messages.push(calling, { role: 'tool', toolCallId: called?.toolCallId ?? '', toolName: 'weather', content: '-3 degrees' })
      const answered = turnOf(await ask(started[name].target, { messages, tools }))
      expect(answered.content).toBe(`${name} answers ${messages.length}`)
      messages.push(answered)
    }
    const requests = Object.values(started).map(({ server }) => server.requests.length)
    expect(requests).toEqual([4, 2, 2])
  },
)

test('a turn whose reasoning is known is sent with it, one of another service with an empty one (R129)', async () => {
  const server = await startRecorder(() => chatStream('Hello'))
  const messages: Message[] = [
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: 'One.', reasoningText: 'I count.' },
    { role: 'user', content: 'Two?' },
    { role: 'assistant', content: 'Two.' },
    { role: 'user', content: 'Three?' },
  ]
  const reasoningSent = async (asked: Partial<Call>) => {
    await ask(deepseek({ baseURL: server.origin, apiKey: 'sk-test' }), { messages, ...asked })
    const sent = server.requests.at(-1)?.body['messages'] as { role: string; reasoning_content?: string }[]
    return sent.filter(({ role }) => role === 'assistant').map(turn => turn.reasoning_content)
  }
  expect(await reasoningSent({ tools })).toEqual(['I count.', ''])
  expect(await reasoningSent({})).toEqual([undefined, undefined])
  expect(await reasoningSent({ tools, reasoning: 'off' })).toEqual([undefined, undefined])
  // models of early 2026 ask for it wherever a turn called a tool, whatever this request offers
  const toolCalls = [{ toolCallId: 'a', toolName: 'count', input: {} }]
  const calling: Message[] = [
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: '', toolCalls },
    { role: 'tool', toolCallId: 'a', content: '1' },
    { role: 'assistant', content: 'One.' },
    { role: 'user', content: 'Two?' },
  ]
  expect(await reasoningSent({ messages: calling })).toEqual(['', undefined])
})

test('a beginning is a turn too: with tools DeepSeek gets its reasoning, empty where there is none (R127)', async () => {
  const { target, server } = await start('deepseek')
  const messages: Message[] = [
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: 'One', prefix: true },
  ]
  await ask(target, { messages, tools })
  await ask(target, { messages })
  expect(server.requests.map(({ body }) => (body['messages'] as object[]).at(-1))).toEqual([
    { role: 'assistant', content: 'One', reasoning_content: '', prefix: true },
    { role: 'assistant', content: 'One', prefix: true },
  ])
})

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]]
  const found = items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map(rest => [item, ...rest]))
  return [...new Map(found.map(order => [order.join(), order])).values()]
}
