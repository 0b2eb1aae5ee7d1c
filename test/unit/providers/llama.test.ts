import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { llama } from '../../../src/providers/llama.ts'
import { answerOf, ask, chatStream, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const inputSchema = { type: 'object', properties: { city: { type: 'string' } } }
const tools: Call['tools'] = { weather: { inputSchema }, time: { inputSchema } }
const messages: Call['messages'] = [{ role: 'user', content: 'What is the weather in Oslo?' }]

test.each(['auto', 'none', 'required'] as const)('llama: the tool choice %s is sent as it is', async toolChoice => {
  const server = await startRecorder(() => chatStream('Hello'))
  await ask(llama({ baseURL: server.origin }), { messages, tools, toolChoice })
  expect(server.requests[0]?.body).toMatchObject({
    tool_choice: toolChoice,
    tools: [{ function: { name: 'weather' } }, { function: { name: 'time' } }],
  })
})

test('llama: a tool that must be called is offered alone, because the server takes a name for `auto`', async () => {
  const server = await startRecorder(() => chatStream('Hello'))
  const events = await ask(llama({ baseURL: server.origin }), { messages, tools, toolChoice: { toolName: 'time' } })
  expect(server.requests[0]?.body).toMatchObject({
    tool_choice: 'required',
    tools: [{ type: 'function', function: { name: 'time', parameters: inputSchema } }],
  })
  expect(warningsOf(events)).toEqual([])
})

test('where the template opens <think>, what goes on from a beginning is no thought', async () => {
  const server = await startRecorder(() => chatStream(' there was a king.'))
  const target = llama({ baseURL: server.origin, thinkTags: 'opened' })
  const begun = { messages: [...messages, { role: 'assistant' as const, content: 'Once upon a time', prefix: true }] }
  expect(answerOf(await ask(target, begun))).toMatchObject([
    { type: 'text-delta', text: ' there was a king.' },
    { type: 'finish' },
  ])
  const continued = { messages, prefix: { text: 'Once upon a time', reasoningText: '' } }
  expect(answerOf(await ask(target, continued))).toMatchObject([
    { type: 'text-delta', text: ' there was a king.' },
    { type: 'finish' },
  ])
})
