import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Call, Message } from '../../../src/contract.ts'
import { type ToolCallIds, toolCallIdsAt, toolCallIdsOf, withToolCallIds } from '../../../src/providers/tool-call-ids.ts'
import { host } from '../../../src/providers/host.ts'
import { openai } from '../../../src/providers/openai.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { ask, chatStream, startRecorder } from '../../helpers/recording-server.ts'

const called = (...ids: readonly string[]): Message => ({
  role: 'assistant',
  content: '',
  toolCalls: ids.map(toolCallId => ({ toolCallId, toolName: 'weather', input: {} })),
})
const result = (toolCallId: string): Message => ({ role: 'tool', toolCallId, content: '18' })

const callIds = (messages: readonly Message[]) =>
  messages.flatMap(message => (message.role === 'assistant' ? (message.toolCalls ?? []).map(call => call.toolCallId) : []))
const resultIds = (messages: readonly Message[]) =>
  messages.flatMap(message => (message.role === 'tool' ? message.toolCallId : []))

const shapes: Readonly<Record<ToolCallIds, RegExp>> = {
  any: /^[^]+$/,
  short: /^[^]{1,40}$/,
  plain: /^[\w-]{1,40}$/,
  nine: /^[A-Za-z0-9]{9}$/,
}
const forms = Object.keys(shapes) as ToolCallIds[]

describe('F56: ids of tool calls are written as each service takes them', () => {
  test.each([
    ['any', 'chatcmpl-tool-0123456789abcdef0123456789abcdef', true],
    ['short', 'call_abc', true],
    ['short', 'functions.weather:0', true],
    ['short', 'chatcmpl-tool-0123456789abcdef0123456789abcdef', false],
    ['plain', 'functions.weather:0', false],
    ['nine', 'abcDEF123', true],
    ['nine', 'call_abc1', false],
    ['nine', 'call_00_abcdefghijk', false],
  ] as const)('%s: %s stays: %s', (form, id, stays) => {
    const [written = ''] = callIds(withToolCallIds([called(id)], form))
    expect(written === id).toBe(stays)
    expect(written).toMatch(shapes[form])
  })

  test('whatever the ids are, each result belongs to its call, no two calls share one, and a longer conversation begins the same', () => {
    const id = fc.oneof(fc.constantFrom('call_0', 'a', 'abcDEF123', 'x'.repeat(60)), fc.string({ minLength: 1, maxLength: 60 }))
    const turn = fc.uniqueArray(id, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 5 }), fc.constantFrom(...forms), (turns, form) => {
        const messages = turns.flatMap(ids => [called(...ids), ...ids.map(result)])
        const written = withToolCallIds(messages, form)
        expect(resultIds(written)).toEqual(callIds(written))
        expect(new Set(callIds(written)).size).toBe(callIds(written).length)
        for (const one of callIds(written)) expect(one).toMatch(shapes[form])
        const [first = []] = turns
        const beginning = messages.slice(0, first.length + 1)
        expect(withToolCallIds(beginning, form)).toEqual(written.slice(0, beginning.length))
      }),
    )
  })

  test('two calls of one turn that share an id are told apart, and their results in order', () => {
    const written = withToolCallIds([called('a', 'a'), result('a'), result('a')], 'any')
    const [one, other] = callIds(written)
    expect(one).not.toBe(other)
    expect(resultIds(written)).toEqual([one, other])
  })

  test('a result whose call is not there keeps an id that the service takes', () => {
    expect(resultIds(withToolCallIds([result('gone')], 'nine'))[0]).toMatch(shapes.nine)
  })

  const messages: Call['messages'] = [
    { role: 'user', content: 'Weather?' },
    called('chatcmpl-tool-0123456789abcdef0123456789abcdef'),
    result('chatcmpl-tool-0123456789abcdef0123456789abcdef'),
  ]
  const sentIds = (body: Record<string, unknown> | undefined) => {
    const [, turn, told] = (body?.['messages'] ?? []) as { tool_calls?: { id: string }[]; tool_call_id?: string }[]
    return [turn?.tool_calls?.[0]?.id, told?.tool_call_id]
  }

  test.each([
    ['OpenAI', (baseURL: string) => openai({ baseURL, apiKey: 'k' }), shapes.short],
    ['Azure', (baseURL: string) => host('azure', 'x', { baseURL, apiKey: 'k' }), shapes.short],
    ['Mistral', (baseURL: string) => host('mistral', 'x', { baseURL, apiKey: 'k' }), shapes.nine],
    ['a server that says so', (baseURL: string) => openaiCompatible('x', { baseURL, toolCallIds: 'nine' }), shapes.nine],
  ])('%s gets what it takes, in the call and in its result', async (_, target, shape) => {
    const server = await startRecorder(() => chatStream('18 degrees.'))
    await ask(target(server.origin), { messages })
    const [call, told] = sentIds(server.requests[0]?.body)
    expect(call).toMatch(shape)
    expect(told).toBe(call)
  })
})

describe('F56: at the edges', () => {
  test.each([
    ['https://api.openai.com/v1', 40, true],
    ['https://api.openai.com/v1', 41, false],
    ['https://me.openai.azure.com/openai/v1', 41, false],
    ['https://models.github.ai/inference', 41, false],
    ['https://openai.com.example.org/v1', 41, true],
  ])('%s: an id of %i characters stays: %s', (baseURL, length, stays) => {
    const id = 'x'.repeat(length)
    expect(callIds(withToolCallIds([called(id)], toolCallIdsAt(baseURL)))[0] === id).toBe(stays)
  })

  test('a result that is told twice is about the same call', () => {
    const written = withToolCallIds([called('call_a'), result('call_a'), result('call_a')], 'nine')
    const [id] = callIds(written)
    expect(resultIds(written)).toEqual([id, id])
  })

  test('an id that only a result has is taken too', () => {
    expect([...toolCallIdsOf([called('a'), result('b')])]).toEqual(['a', 'b'])
  })
})
