import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { llama } from '../../../src/providers/llama.ts'
import { ask, chatStream, startRecorder, warningsOf } from './recording-server.ts'

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
