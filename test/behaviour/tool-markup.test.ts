import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createClient, ollama, openaiCompatible } from 'unbusy'
import { createToolMarkup } from '../../src/providers/chat-completions/tool-markup.ts'
import { startRecorder } from '../unit/providers/recording-server.ts'

const tools = { get_weather: { inputSchema: z.object({ city: z.string(), days: z.number().optional() }) } }
const schemas = {
  get_weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } } } },
}

const oslo = '{"city":"Oslo","days":2}'
const dsml = (bar: string, word: string) =>
  `<${bar}DSML${bar}${word}>\n<${bar}DSML${bar}invoke name="get_weather">\n<${bar}DSML${bar}parameter name="city" string="true">Oslo</${bar}DSML${bar}parameter>\n<${bar}DSML${bar}parameter name="days" string="false">2</${bar}DSML${bar}parameter>\n</${bar}DSML${bar}invoke>\n</${bar}DSML${bar}${word}>`

const forms: readonly (readonly [string, string])[] = [
  [
    'R1 and V3',
    `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n\`\`\`json\n${oslo}\n\`\`\`<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  ],
  [
    'V3.1',
    `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>${oslo}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>`,
  ],
  [
    'V3.1, written plainly',
    `<|tool_calls_begin|><|tool_call_begin|>get_weather<|tool_sep|>${oslo}<|tool_call_end|><|tool_calls_end|>`,
  ],
  ['V3.2', dsml('｜', 'function_calls')],
  ['V4', dsml('｜｜', 'tool_calls')],
  ['V4 with other bars', dsml('‖', 'tool_calls')],
  ['V4 without the list around it', dsml('｜', 'tool_calls').split('\n').slice(1, -1).join('\n')],
  [
    'Kimi',
    `<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>${oslo}<|tool_call_end|><|tool_calls_section_end|>`,
  ],
  ['Qwen and Hermes', `<tool_call>\n{"name": "get_weather", "arguments": ${oslo}}\n</tool_call>`],
  ['Qwen without its end', `<tool_call>\n{"name": "get_weather", "arguments": ${oslo}}`],
  [
    'Qwen coder',
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>',
  ],
  [
    'GLM',
    '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>',
  ],
  ['Mistral', `[TOOL_CALLS][{"name":"get_weather","arguments":${oslo},"id":"abc123456"}]`],
  ['Mistral, newer', `[TOOL_CALLS]get_weather[ARGS]${oslo}`],
  ['Llama', `<|python_tag|>{"name":"get_weather","parameters":${oslo}}<|eom_id|>`],
  ['Llama, by name', `<function=get_weather>${oslo}</function>`],
]

const event = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const streamOf = (pieces: readonly string[], finish = 'stop') =>
  `${pieces.map(content => event({ content })).join('')}${event({}, finish)}data: [DONE]\n\n`
const pairs = (text: string) => text.match(/[^]{1,2}/gu) ?? []

function collect(pieces: readonly string[]) {
  const markup = createToolMarkup(schemas)
  const text = pieces.map(piece => markup.write(piece)).join('')
  const end = markup.end()
  return { text: text + end.text, toolCalls: end.toolCalls }
}

test.each(forms)('F54: %s: read as a call, and no piece of the markup is shown', async (_, markup) => {
  const server = await startRecorder(() => ({ body: streamOf(pairs(`Let me look. ${markup}`)) }))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.origin, retry: 0 })] })
  const stream = await client.stream({ prompt: 'Weather?', tools })
  let text = ''
  for await (const one of stream) if (one.type === 'text-delta') text += one.text
  expect(text.trim()).toBe('Let me look.')
  const result = await stream.result()
  expect(result.toolCalls).toMatchObject([{ toolName: 'get_weather', input: { city: 'Oslo', days: 2 } }])
  expect(result.finishReason).toBe('tool-calls')
})

test.each(forms)('F54: %s: also as one document, and without a text before it', async (_, markup) => {
  const body = JSON.stringify({ choices: [{ message: { content: markup }, finish_reason: 'stop' }] })
  const server = await startRecorder(() => ({ body }))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.origin, retry: 0 })] })
  const result = await client.generate({ prompt: 'Weather?', tools })
  expect(result).toMatchObject({ toolCalls: [{ toolName: 'get_weather', input: { city: 'Oslo', days: 2 } }] })
})

test('F54: Ollama: read as a call', async () => {
  const [, markup = ''] = forms.find(([name]) => name === 'Qwen and Hermes') ?? []
  const body = `${JSON.stringify({ message: { content: markup }, done: true, done_reason: 'stop' })}\n`
  const server = await startRecorder(() => ({ body }))
  const client = createClient({ chain: [ollama('m', { baseURL: server.origin, retry: 0 })] })
  expect((await client.generate({ prompt: 'Weather?', tools })).toolCalls).toMatchObject([{ input: { city: 'Oslo' } }])
})

test.each([
  ['a call that is cut', '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":"Os'],
  ['no JSON', '<tool_call>get the weather</tool_call>'],
  ['a parameter that is cut', dsml('｜', 'tool_calls').slice(0, 120)],
  ['python', '<|python_tag|>get_weather.call(city="Oslo")'],
])('F54: %s is no answer: the next target gives one', async (_, markup) => {
  const bad = await startRecorder(() => ({ body: streamOf(pairs(markup)) }))
  const good = await startRecorder(() => ({ body: streamOf(['Cold.']) }))
  const chain = [bad, good].map(({ origin }, at) => openaiCompatible(`m${at}`, { baseURL: origin, retry: 0 }))
  const result = await createClient({ chain }).generate({ prompt: 'Weather?', tools })
  expect(result).toMatchObject({ text: 'Cold.', attempts: [{ reason: 'malformed-response' }, { outcome: 'answered' }] })
})

test.each([
  'Write a < b, or [1, 2] and <b>bold</b>.',
  'The tag `<tool_call>` begins a call.',
  'a <',
  'a <tool',
  'list[TOOL]',
  '<｜',
])('F54: %j is a text like any other, and comes whole', text => {
  expect(collect(pairs(text))).toEqual({ text, toolCalls: undefined })
  expect(collect([text])).toEqual({ text, toolCalls: undefined })
})

test('F54: however markup is cut, its calls are the same and the text around it is whole', () => {
  const words = fc.stringMatching(/^[a-z<[|{}\]>_ ]{0,20}$/)
  fc.assert(
    fc.property(fc.constantFrom(...forms), words, fc.array(fc.integer({ min: 1, max: 12 })), ([, markup], text, cuts) => {
      const all = `${text}.${markup}`
      const pieces: string[] = []
      let at = 0
      for (const cut of cuts) pieces.push(all.slice(at, (at += cut)))
      const cut = collect([...pieces, all.slice(at)])
      expect(cut).toEqual(collect([all]))
      expect(cut.text).toBe(`${text}.`)
    }),
  )
})

test('F54: several calls come in their order', () => {
  const two = '<tool_call>{"name":"a","arguments":{}}</tool_call>\n<tool_call>{"name":"b","arguments":{"n":1}}</tool_call>'
  expect(collect([two]).toolCalls).toEqual([
    { function: { name: 'a', arguments: '{}' } },
    { function: { name: 'b', arguments: '{"n":1}' } },
  ])
})

test('without tools such a text is an answer', async () => {
  const text = '<tool_call>{"name":"x"}</tool_call>'
  const server = await startRecorder(() => ({ body: streamOf([text]) }))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.origin, retry: 0 })] })
  expect((await client.generate('How does Hermes call tools?')).text).toBe(text)
})

const output = z.object({ name: z.string() })
const thought = (text: string) => ({
  body: `${event({ reasoning_content: text, content: null })}${event({ content: null }, 'stop')}data: [DONE]\n\n`,
})

test('F55: guided JSON in the field for thoughts is the answer where it fits the schema', async () => {
  const server = await startRecorder(() => thought('{"name":"Ada"}'))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.origin, retry: 0 })] })
  expect((await client.generate({ prompt: 'Who?', output })).output).toEqual({ name: 'Ada' })
})

test.each(['{"age":3}', 'I think it is Ada.', '["Ada"]', '{"name":'])('F55: a thought like %j is no answer', async text => {
  const server = await startRecorder(() => thought(text))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.origin, retry: 0 })] })
  await expect(client.generate({ prompt: 'Who?', output })).rejects.toMatchObject({ reason: 'empty' })
})
