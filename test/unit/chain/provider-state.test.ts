import { expect, test } from 'vitest'
import { serviceOf, withOwnState, withServiceName } from '../../../src/chain/provider-state.ts'
import type { Call, Message, Provider, ProviderMetadata } from '../../../src/contract.ts'

const stream = async () => {}
const own: Provider = { name: 'gemini', identity: { origin: 'https://g.example', credential: 'k' }, stream }
const service = 'gemini https://g.example'
const question: Message = { role: 'user', content: 'Is it cold?' }
const callOf = (...messages: Message[]): Call => ({ model: 'm', messages, metadata: {} })
const asks = (toolCallId: string, providerMetadata?: ProviderMetadata) => ({
  ...{ toolCallId, toolName: 'weather', input: {} },
  ...(providerMetadata !== undefined && { providerMetadata }),
})

test('a service is its name and its address: no key, and no model', () => {
  expect(serviceOf(own)).toBe(service)
  expect(serviceOf({ name: 'own', stream })).toBe('own')
})

test('what a service requires back is kept under its name', () => {
  const event = { type: 'reasoning-delta', text: 'so', providerMetadata: { signature: 's' } } as const
  expect(withServiceName(event, own)).toEqual({ ...event, providerMetadata: { [service]: { signature: 's' } } })
})

test('a conversation without such data is passed on as it is, the very same object', () => {
  const call = callOf(
    question,
    { role: 'assistant', content: 'Yes.' },
    { role: 'assistant', content: '', toolCalls: [asks('a')] },
  )
  expect(withOwnState(call, own)).toBe(call)
  // a user cannot have it
  const claimed = callOf({ ...question, providerMetadata: { [service]: { signature: 's' } } } as Message)
  expect(withOwnState(claimed, own)).toBe(claimed)
})

test('each turn and each of its tool calls keeps what this service requires, and loses what others do', () => {
  const others = { other: { secret: 1 } }
  const turn: Message = {
    ...{ role: 'assistant', content: 'I look.', providerMetadata: { [service]: { signature: 's' }, ...others } },
    toolCalls: [asks('a', { [service]: { signature: 't' } }), asks('b', others), asks('c')],
  }
  const plain: Message = { role: 'assistant', content: 'Well.' }
  const { messages } = withOwnState(callOf(question, turn, plain), own)
  expect(messages).toEqual([
    question,
    {
      ...{ role: 'assistant', content: 'I look.', providerMetadata: { signature: 's' } },
      toolCalls: [asks('a', { signature: 't' }), asks('b'), asks('c')],
    },
    plain,
  ])
  expect([messages[0], messages[2]]).toEqual([question, plain])
  expect(messages[1]).not.toHaveProperty('toolCalls[1].providerMetadata')
})

test('the data of a single tool call, and of a turn without tools, is found too', () => {
  const called: Message = { role: 'assistant', content: '', toolCalls: [asks('a'), asks('b', { [service]: { signature: 't' } })] }
  const thought: Message = { role: 'assistant', content: 'So.', providerMetadata: { [service]: { signature: 's' } } }
  expect(withOwnState(callOf(called), own).messages).toEqual([
    { ...called, toolCalls: [asks('a'), asks('b', { signature: 't' })] },
  ])
  const [turn] = withOwnState(callOf(thought), own).messages
  expect(turn).toStrictEqual({ ...thought, providerMetadata: { signature: 's' } })
})

test('what is under the name of the service and no object is nothing, nor is what every object has', () => {
  const thought = (providerMetadata: object): Message => ({ role: 'assistant', content: 'So.', providerMetadata }) as Message
  for (const value of [null, 'text', 5, undefined])
    expect(withOwnState(callOf(thought({ [service]: value })), own).messages).toStrictEqual([
      { role: 'assistant', content: 'So.' },
    ])
  const named: Provider = { name: 'constructor', stream }
  expect(withOwnState(callOf(thought({})), named).messages).toStrictEqual([{ role: 'assistant', content: 'So.' }])
})
