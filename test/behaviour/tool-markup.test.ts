import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createClient, ollama, openaiCompatible, type Target } from 'unbusy'
import { createToolMarkup } from '../../src/providers/chat-answer/tool-markup.ts'
import { startRecorder } from '../helpers/recording-server.ts'

const tools = { get_weather: { inputSchema: z.object({ city: z.string(), days: z.number().optional() }) } }
const schemas = {
  get_weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } } } },
}

const oslo = '{"city":"Oslo","days":2}'
const dsml = (bar: string, word: string) =>
  `<${bar}DSML${bar}${word}>\n<${bar}DSML${bar}invoke name="get_weather">\n<${bar}DSML${bar}parameter name="city" string="true">Oslo</${bar}DSML${bar}parameter>\n<${bar}DSML${bar}parameter name="days" string="false">2</${bar}DSML${bar}parameter>\n</${bar}DSML${bar}invoke>\n</${bar}DSML${bar}${word}>`

const oneCall = `<tool_call>{"name":"get_weather","arguments":${oslo}}</tool_call>`

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
  ['Llama, two objects and a blank', `<|python_tag|> {"name":"get_weather","parameters":${oslo}} ; `],
  ['Cohere', `<|START_ACTION|>[{"tool_call_id":"0","tool_name":"get_weather","parameters":${oslo}}]<|END_ACTION|>`],
  ['Nemotron', `<TOOLCALL>[{"name": "get_weather", "arguments": ${oslo}}]</TOOLCALL>`],
  ['Apertus', `<|tools_prefix|>[{"get_weather": ${oslo}}]<|tools_suffix|>`],
  ['InternLM', `<|action_start|><|plugin|>{"name":"get_weather","parameters":${oslo}}<|action_end|>`],
  [
    'gpt-oss',
    `<|channel|>analysis<|message|>The user asks.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>${oslo}<|call|>`,
  ],
  [
    'gpt-oss, the function first',
    `<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>${oslo}<|call|>`,
  ],
  ['gpt-oss without its end', `<|channel|>commentary to=functions.get_weather<|message|>${oslo}`],
  ['a function in a list', `<tool_calls>[{"function":{"name":"get_weather","arguments":${JSON.stringify(oslo)}}}]</tool_calls>`],
  [
    'one invoke',
    '<invoke name="get_weather"><parameter name="city">Oslo</parameter><parameter name="days">2</parameter></invoke>',
  ],
  [
    'calls of another house',
    '<function_calls><invoke name="get_weather"><parameter name="city">Oslo</parameter><parameter name="days">2</parameter></invoke></function_calls>',
  ],
  [
    'MiniMax',
    '<minimax:tool_call><invoke name="get_weather"><parameter name="city">Oslo</parameter><parameter name="days">2</parameter></invoke></minimax:tool_call>',
  ],
  ['one call without its list', `<|tool_call_begin|>get_weather<|tool_sep|>${oslo}<|tool_call_end|>`],
  ['R1 by other tokens', `<tool▁calls▁begin><tool▁call▁begin>get_weather<tool▁sep>${oslo}<tool▁call▁end><tool▁calls▁end>`],
  ['one call by other tokens', `<tool▁call▁begin>get_weather<tool▁sep>${oslo}<tool▁call▁end>`],
  ['Mistral with an id', `[TOOL_CALLS]get_weather[CALL_ID]abc123456[ARGS]${oslo}`],
  ['blanks beside the bars', dsml(' ｜ ', 'tool_calls').replaceAll('< ', '<').replaceAll('</ ', '</')],
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

/** The chunks of a thought and nothing else. */
const thoughtOf = (text: string, finish: string | null = 'stop', behind: readonly object[] = []) =>
  [
    ...pairs(text).map(piece => event({ reasoning_content: piece })),
    ...behind.map(delta => event(delta)),
    event({}, finish),
  ].join('')

async function askAt(make: (baseURL: string) => Target, body: string, toolChoice?: 'none') {
  const { origin } = await startRecorder(() => ({ body }))
  const client = createClient({ chain: [make(origin)] })
  return client
    .generate({ prompt: 'Weather?', tools, toolChoice })
    .catch((error: { failures: { reason: string }[] }) => error.failures[0])
}

const chat = (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 })

test.each(forms)('F54: %s at the end of a thought that nothing follows: read as a call', async (_, markup) => {
  const called = { toolCalls: [{ input: { city: 'Oslo', days: 2 } }], finishReason: 'tool-calls' }
  const thought = `I will look. ${markup}`
  expect(await askAt(chat, thoughtOf(thought))).toMatchObject(called)
  const message = { content: null, reasoning: thought }
  expect(await askAt(chat, JSON.stringify({ choices: [{ message, finish_reason: 'stop' }] }))).toMatchObject(called)
  const line = JSON.stringify({ message: { content: '', thinking: thought }, done: true })
  expect(await askAt(baseURL => ollama('m', { baseURL, retry: 0 }), line)).toMatchObject(called)
  expect(await askAt(chat, streamOf(pairs(`<think>${thought}`)))).toMatchObject(called)
})

test.each<[string, string, object]>([
  ['an answer follows it', thoughtOf(`${oneCall} No.`, 'stop', [{ content: 'Cold.' }]), { text: 'Cold.', toolCalls: [] }],
  ['thoughts follow it', thoughtOf(`${oneCall} No, I must not.`), { reason: 'empty' }],
  ['it was only a draft', thoughtOf(`${oneCall} Or: ${oneCall}`), { reason: 'empty' }],
  ['it names no offered tool', thoughtOf(oneCall.replace('get_weather', 'get_mail')), { reason: 'empty' }],
  ['it is quoted', thoughtOf(`One writes \`${oneCall}\``), { reason: 'empty' }],
  ['the token limit cut the thought', thoughtOf(oneCall, 'length'), { reason: 'empty' }],
  ['a filter removed the answer', thoughtOf(oneCall, 'content_filter'), { reason: 'content-filter' }],
  ['the stream was cut', thoughtOf(oneCall, null), { reason: 'truncated' }],
])('F54: markup in a thought is no call when %s', async (_, body, expected) => {
  expect(await askAt(chat, body)).toMatchObject(expected)
})

test('F54: markup in a thought is no call when the caller wants none', async () => {
  expect(await askAt(chat, thoughtOf(oneCall), 'none')).toMatchObject({ reason: 'empty' })
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
  ['JSON and then python', '<|python_tag|>{"name":"get_weather","parameters":{}} print(1)'],
  ['a header that is cut', '<|channel|>commentary to=functions.get_weather <|constrain|>js'],
  ['an input of gpt-oss that is cut', '<|channel|>commentary to=functions.get_weather<|message|>{"city":"Os'],
  ['a thought of gpt-oss alone', '<|channel|>analysis<|message|>The user asks for the weather.<|end|>'],
  ['an end alone', '<|call|>'],
  ['the end of a list alone', '</｜DSML｜tool_calls>'],
  ['a separator alone', '<｜tool▁sep｜>'],
  ['a call with no name', '<function=>{"city":"Oslo"}</function>'],
  ['an input that is a list', '[TOOL_CALLS]get_weather[ARGS][1]'],
  ['a second call that is cut', '[TOOL_CALLS]get_weather[ARGS]{"city":"Oslo"}[TOOL_CALLS]get_weather[ARGS]{"ci'],
  ['a list in which one is no call', '<tool_calls>[{"name":"get_weather","arguments":{}},{"x":1}]</tool_calls>'],
  ['an input that is a text', '<tool_call>{"name":"get_weather","arguments":"Oslo"}</tool_call>'],
  [
    'a number that is none',
    '<｜DSML｜invoke name="get_weather"><｜DSML｜parameter name="days" string="false">two</｜DSML｜parameter></｜DSML｜invoke>',
  ],
  ['a form that is known only by its beginning', '<start_function_call>call:get_weather{city:Oslo}<end_function_call>'],
  ['a body that is no object', '<function=get_weather>Oslo</function>'],
  ['a parameter without its end', '<function=get_weather><parameter=city>Oslo</function>'],
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
  'In React: <ToolCall>{name}</ToolCall>',
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
    { numRuns: 3000 },
  )
})

test('F54: what gpt-oss says to the user is the answer, without its thoughts and headers', () => {
  const final = '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Cold.<|return|>'
  expect(collect(pairs(final))).toEqual({ text: 'Cold.', toolCalls: undefined })
  const call = '<|start|>assistant<|channel|>commentary to=functions.a<|message|>{}<|call|>'
  const both = `<|channel|>commentary<|message|>I look.<|end|>${call}${call}`
  const found = { function: { name: 'a', arguments: '{}' } }
  expect(collect([both])).toEqual({ text: 'I look.', toolCalls: [found, found] })
})

test.each([
  ['a bracket in a text', '{"city":"a } ] \\" } b"}'],
  ['a backslash at the end', '{"city":"C:\\\\"}'],
  ['a nested list', '{"city":"x","all":[[1],{"a":[2]}]}'],
])('F54: the input of Mistral ends where its JSON does: %s', (_, input) => {
  const { toolCalls, text } = collect([`[TOOL_CALLS]get_weather[ARGS]${input}[TOOL_CALLS]b[ARGS]{} and more`])
  expect(toolCalls).toEqual([
    { function: { name: 'get_weather', arguments: input } },
    { function: { name: 'b', arguments: '{}' } },
  ])
  expect(text).toBe(' and more')
})

test('F54: a value is what its schema says, or what it looks like; a text that is marked so keeps its line breaks', () => {
  const call = (parameters: string) => `<tool_call><function=get_weather>${parameters}</function></tool_call>`
  const inputs = (markup: string) => (collect([markup]).toolCalls ?? []).map(one => JSON.parse(one.function.arguments) as unknown)
  expect(inputs(call('<parameter=city>\n12\n</parameter><parameter=days>\n2\n</parameter>'))).toEqual([{ city: '12', days: 2 }])
  expect(inputs(call('<parameter=other>two</parameter><parameter=list>[1]</parameter>'))).toEqual([{ other: 'two', list: [1] }])
  expect(inputs(call('') + call('<parameter=days>3</parameter>'))).toEqual([{}, { days: 3 }])
  const marked = dsml('｜', 'tool_calls').replace('>Oslo<', '>\nOslo\n<')
  expect(inputs(marked)).toEqual([{ city: '\nOslo\n', days: 2 }])
  const quoted = dsml('｜', 'tool_calls').replace('Oslo', '</parameter></invoke>')
  expect(inputs(quoted)).toEqual([{ city: '</parameter></invoke>', days: 2 }])
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
