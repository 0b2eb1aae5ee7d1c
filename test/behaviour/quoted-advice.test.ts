/** Refusals that speak of a field without refusing it: a quote of the conversation, or advice about something else. */
import { createClient, type GenerateInput, ollama, openaiCompatible } from 'unbusy'
import { expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { chatStream, startRecorder } from '../helpers/recording-server.ts'
import { test } from '../helpers/vitest.ts'

const whole = JSON.stringify({ choices: [{ message: { content: '{"a":1}' }, finish_reason: 'stop' }] })
const native = JSON.stringify({ message: { content: '{"a":1}' }, done: true })

/** Asks a server that refuses the first request like this, and counts its requests. */
async function ask(message: string, input: string | GenerateInput, { make = openaiCompatible, status = 400 } = {}) {
  const refusal = { status, body: JSON.stringify({ error: { message, type: 'invalid_request_error' } }) }
  const { origin, requests } = await startRecorder(({ url, body }, index) => {
    if (index === 0) return refusal
    return url.startsWith('/api') ? { body: native } : body['stream'] === true ? chatStream('{"a":1}') : { body: whole }
  })
  const client = createClient({ chain: [make('m', { baseURL: origin, retry: 0 })] })
  onTestFinished(() => client.close())
  const answer = await client.generate(input).catch(() => undefined)
  return { requests: requests.length, settings: answer?.warnings.map(({ setting }) => setting) }
}

const output = z.object({ a: z.number() })
const limit =
  'maximum context length is 4096 tokens, however you requested 5000 tokens (3000 in the messages, 2000 in the completion)'

test.for<[string, string, string | GenerateInput]>([
  ['a short prompt in quotes', 'Invalid value for messages[0].content: "set stream to false"', 'set stream to false'],
  ['a short prompt without quotes', 'This content is blocked: set stream to false', 'Set stream to false'],
  [
    'a piece of the prompt in quotes',
    "Cannot parse 'streaming is not supported...'",
    'Why? The page says: streaming is not supported.',
  ],
  ['the messages as JSON', 'Bad body: {"role":"user","content":"does not support streaming"}', 'does not support streaming'],
  ['a limit in the prompt', `Invalid content: "${limit}"`, { prompt: `What does this mean: ${limit}?`, maxOutputTokens: 2_000 }],
  [
    'a field in the prompt',
    "Invalid content: 'unknown parameter: temperature'",
    { prompt: 'unknown parameter: temperature', temperature: 0.5 },
  ],
  [
    'a piece of the prompt behind a short word in quotes',
    'The "id" of "unknown parameter: temperature" is wrong',
    { prompt: 'What is this: unknown parameter: temperature?', temperature: 0.5 },
  ],
  ['a template', 'Prompt template error near "set stream to false"', 'Hi'],
])('F74: a refusal that quotes %s changes nothing', async ([, message, input]) => {
  expect(await ask(message, input)).toEqual({ requests: 1, settings: undefined })
})

test.for<[string, string, string | GenerateInput, object?]>([
  ['another field', 'Invalid value for logit_bias: it must be a map. Set stream to false to see every error.', 'Hi'],
  ['a number of answers', 'n must be 1. If you need more, set stream=false.', 'Hi'],
  ['messages', 'At least one message is required. For tools set stream to false.', 'Hi'],
  ['a tip', 'The role order is wrong. Tip: set stream to false.', 'Hi'],
  ['a crash', 'The worker died, set stream to false', 'Hi', { status: 500 }],
  [
    'the form of the answer',
    'The name of tools[0] is wrong. Tip: response_format may do instead of tools.',
    { prompt: 'Hi', output, tools: { f: { inputSchema: output } } },
  ],
  [
    "an image at Ollama, whose word is that of Ollama's field",
    'unsupported image format',
    { prompt: 'Hi', output },
    { make: ollama },
  ],
])('F40, F43: advice about %s changes nothing', async ([, message, input, how]) => {
  expect(await ask(message, input, how)).toEqual({ requests: 1, settings: undefined })
})

test.for<[message: string, setting: string, input?: string | GenerateInput, how?: object]>([
  ['Please set stream to false.', 'stream'],
  ['This endpoint requires you to set "stream" to false.', 'stream'],
  ['You must set "stream" to "false".', 'stream'],
  ["It doesn't work: set 'stream' to 'false'.", 'stream'],
  ['Tool calling works without streaming only. Set stream to false.', 'stream'],
  ['`stream=true` is not supported. Please set `stream` to false.', 'stream'],
  ['Upstream error: "Streaming is not supported for this model"', 'stream'],
  [
    "Unsupported parameter: 'temperature' is not supported with this model.",
    'temperature',
    { prompt: 'Why does the temperature rise?', temperature: 0.5 },
  ],
  ['invalid JSON schema in format', 'output', { prompt: 'Hi', output }, { make: ollama }],
  ['"m" does not support thinking', 'reasoning', { prompt: 'Hi', reasoning: 'high' }, { make: ollama }],
])('F40, F43, F44: %j is about the field itself, which is changed', async ([message, setting, input = 'Hi', how]) => {
  expect(await ask(message, input, how)).toEqual({ requests: 2, settings: [setting] })
})
