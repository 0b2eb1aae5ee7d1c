import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { deepseekFim } from '../../../src/providers/deepseek-fim.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { textGeneration } from '../../../src/providers/text-generation.ts'
import { wireJson } from '../../../src/providers/json.ts'
import { anyText } from '../../helpers/any-text.ts'
import { type Answer, ask, chatStream, startRecorder } from '../../helpers/recording-server.ts'

const half = '\ud83d'
const call: Partial<Call> & Pick<Call, 'messages'> = {
  messages: [
    { role: 'system', content: `s${half}` },
    { role: 'user', content: [{ type: 'text', text: `u${half}` }] },
    {
      role: 'assistant',
      content: `a${half}`,
      toolCalls: [{ toolCallId: `i${half}`, toolName: `n${half}`, input: { [`k${half}`]: `v${half}` } }],
    },
    { role: 'tool', toolCallId: `i${half}`, content: `r${half}` },
  ],
  tools: { [`n${half}`]: { description: `d${half}`, inputSchema: { type: 'object', properties: { [`p${half}`]: {} } } } },
  stopSequences: [`e${half}`],
  extraBody: { [`x${half}`]: [`y${half}`] },
}

const ollamaAnswer: Answer = { body: `${JSON.stringify({ message: { content: 'Hi' }, done: true })}\n` }

test.each<[string, (baseURL: string) => Target, Answer]>([
  ['chat completions', baseURL => openaiCompatible('m', { baseURL }), chatStream('Hi')],
  ['DeepSeek', baseURL => deepseek({ baseURL, apiKey: 'k' }), chatStream('Hi')],
  ['Ollama', baseURL => ollama('m', { baseURL }), ollamaAnswer],
  ['text generation', baseURL => textGeneration({ baseURL }), { body: '{"response":"Hi"}' }],
])('F58: half a surrogate pair is sent as U+FFFD wherever it stands: %s', async (name, target, answer) => {
  const server = await startRecorder(() => answer)
  await ask(target(server.origin), call)
  const sent = server.requests[0]?.text ?? ''
  expect(sent).not.toMatch(/\\ud83d/i)
  const marks = name === 'text generation' ? ['u', 'x', 'y'] : ['s', 'u', 'a', 'r', 'n', 'k', 'v', 'd', 'p', 'e', 'x', 'y']
  for (const mark of marks) expect(sent).toContain(`${mark}\ufffd`)
})

test('F58: and in fill-in-the-middle', async () => {
  const server = await startRecorder(() => ({ body: '{"choices":[{"text":"x","finish_reason":"stop"}]}' }))
  await deepseekFim({ prompt: `a${half}`, suffix: `b${half}`, baseURL: server.origin, apiKey: 'k' })
  expect(server.requests[0]?.body).toMatchObject({ prompt: 'a\ufffd', suffix: 'b\ufffd' })
})

test('F58: whole pairs, and words that look like a half, are sent as they are', () => {
  const anything = fc.jsonValue()
  fc.assert(
    fc.property(anything, anyText(), (value, text) => {
      const whole = { value, text: `\\ud83d ${text}`.toWellFormed(), pair: '😀' }
      expect(wireJson(whole)).toBe(JSON.stringify(whole))
    }),
  )
})

test('F58: no half is left, whatever the text is, and nothing else changes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), codes => {
      const text = String.fromCharCode(...codes)
      expect(JSON.parse(wireJson({ [text]: [text] }))).toEqual({ [text.toWellFormed()]: [text.toWellFormed()] })
    }),
  )
})

test('F58: a value that writes itself is written so', () => {
  expect(wireJson({ at: new Date(0), text: half })).toBe('{"at":"1970-01-01T00:00:00.000Z","text":"\ufffd"}')
})
