import { expect, test } from 'vitest'
import type { Call } from '../../../../src/contract.ts'
import { delta, replayText, stream, type Summary, summaryOf } from './replay.ts'

const tools: Call['tools'] = {
  get_weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } } } },
  get_time: { inputSchema: { type: 'object', properties: { zone: { type: 'string' } } } },
}
const call: Call = { model: 'm', messages: [{ role: 'user', content: 'Hi.' }], metadata: {}, tools }
const hi = delta({ content: 'Hi' })
const stop = delta({}, 'stop')

function summary(body: string): Summary {
  const { queued: _, ...rest } = summaryOf(replayText(body, { call }))
  return rest
}

test.each([
  ...['normal', 'FINISH_REASON_STOP', 'FinishReason.STOP', 'done', 'finished', 'success', '<|im_end|>', '</s>'].map(word => [
    word,
    'stop',
  ]),
  ...['FINISH_REASON_MAX_TOKENS', 'max-tokens', 'incomplete', 'truncated', 'limit'].map(word => [word, 'length']),
  ...['guardrail_intervened', 'ERROR_TOXIC', 'risk_control', 'blocked', 'violation'].map(word => [word, 'content-filter']),
])('F5: %j as a finish is %s', (word, finish) => {
  expect(summary(stream(hi, delta({}, word), '[DONE]'))).toEqual({ text: 'Hi', finish })
})

test.each([
  ['an object', stream(hi, { choices: [{ index: 0, delta: {}, finish_reason: { type: 'length', length: 5 } }] }), 'length'],
  ['in the delta', stream(hi, { choices: [{ index: 0, delta: { finish_reason: 'stop' } }] }), 'stop'],
])('F4: a finish that is %s is one', (_, body, finish) => {
  expect(summary(body)).toEqual({ text: 'Hi', finish })
})

test.each(['null', 'ping', '[PING]', '"keep-alive"', 'heartbeat', '[]'])(
  'R70: an event of %s shows that the server is alive, and no more',
  data => {
    expect(summary(stream(data, hi, data, stop, '[DONE]'))).toEqual({ text: 'Hi', finish: 'stop' })
    expect(summaryOf(replayText(stream(data, hi, stop))).queued).toBe(1)
  },
)

test('R70: an event named after a heartbeat is one, whatever its data', () => {
  expect(summary(`event: heartbeat\ndata: 1764561600\n\n${stream(hi, stop)}`)).toEqual({ text: 'Hi', finish: 'stop' })
})

test.each(['"[DONE]"', '[done]'])('F1: %s ends a stream', data => {
  expect(summary(stream(hi, data))).toEqual({ text: 'Hi', failure: 'truncated' })
  expect(summary(stream(hi, stop, data, delta({ content: ' and more' })))).toEqual({ text: 'Hi', finish: 'stop' })
})

const events = stream(hi, delta({ content: ' you' }), stop, '[DONE]')

test.each([
  ['a label that a proxy wrote twice', events.replaceAll('data: ', 'data: data: ')],
  ['events without the blank line between', events.replaceAll('\n\n', '\n')],
  ['chunks in lists of one', stream([hi], [delta({ content: ' you' })], [stop], '[DONE]')],
  ['an answer in a list of one', JSON.stringify([{ choices: [{ message: { content: 'Hi you' }, finish_reason: 'stop' }] }])],
  [
    'an answer in `data` beside a status',
    JSON.stringify({ code: 0, msg: 'ok', data: { choices: [{ message: { content: 'Hi you' }, finish_reason: 'stop' }] } }),
  ],
  [
    'an answer in `result` (Cloudflare)',
    JSON.stringify({
      success: true,
      errors: [],
      result: { choices: [{ message: { content: 'Hi you' }, finish_reason: 'stop' }] },
    }),
  ],
])('F65: %s is read', (_, body) => {
  expect(summary(body)).toEqual({ text: 'Hi you', finish: 'stop' })
})

test.each([
  [
    'Cloudflare',
    { success: false, errors: [{ code: 3040, message: 'Capacity temporarily exceeded, please try again.' }] },
    'overloaded',
  ],
  ['Zhipu', { code: 429, msg: '请求过于频繁', success: false }, 'rate-limit'],
  ['Tencent', { Response: { Error: { Code: 'LimitExceeded', Message: '并发超过上限' }, RequestId: 'r-1' } }, 'rate-limit'],
  ['a status in words', { status: 'error', message: 'The model is too busy' }, 'overloaded'],
])('F17: an error of %s in a 200 is one, alone and in a stream', (_, error, failure) => {
  expect(summary(JSON.stringify(error))).toEqual({ failure })
  expect(summary(stream(error))).toEqual({ failure })
})

test('a whole message behind its pieces is not read twice (MiniMax), but what is new in it is', () => {
  const last = (message: object) => ({ choices: [{ index: 0, finish_reason: 'stop', message }] })
  const thought = delta({ reasoning_content: 'So.' })
  const toolCalls = [{ id: 'a', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }]
  expect(summary(stream(hi, last({ content: 'Hi' }), '[DONE]'))).toEqual({ text: 'Hi', finish: 'stop' })
  expect(summary(stream(thought, last({ content: 'Hi', reasoning_content: 'So.' })))).toEqual({
    reasoning: 'So.',
    text: 'Hi',
    finish: 'stop',
  })
  expect(summary(stream(hi, last({ content: 'Hi', tool_calls: toolCalls })))).toMatchObject({ text: 'Hi', finish: 'tool-calls' })
  // messages that are pieces themselves
  const piece = (content: string) => ({ choices: [{ index: 0, message: { content } }] })
  expect(summary(stream(delta({ role: 'assistant' }), piece('Hi'), piece(' you'), stop))).toEqual({
    text: 'Hi you',
    finish: 'stop',
  })
})

const weather = { name: 'get_weather', arguments: '{"city":"Oslo"}' }
const asCalls = (...called: readonly object[]) => stream(...called.map(calls => delta(calls)), delta({}, 'tool_calls'), '[DONE]')
const oslo = { toolName: 'get_weather', input: { city: 'Oslo' } }

test.each([
  ['R125: a call without the list around it', asCalls({ tool_calls: { index: 0, id: 'a', function: weather } })],
  [
    'F50: an object written as a JSON string',
    asCalls({ tool_calls: [{ index: 0, id: 'a', function: { ...weather, arguments: JSON.stringify(weather.arguments) } }] }),
  ],
  [
    'R125: an input that is sent again without a name',
    asCalls(
      { tool_calls: [{ index: 0, id: 'a', function: weather }] },
      { tool_calls: [{ index: 0, function: { arguments: weather.arguments } }] },
    ),
  ],
  [
    'R126: an input under another name',
    asCalls({ tool_calls: [{ index: 0, id: 'a', function: { name: 'get_weather', parameters: { city: 'Oslo' } } }] }),
  ],
  [
    'F53: a name with Kimi’s prefix',
    asCalls({ tool_calls: [{ index: 0, id: 'a', function: { ...weather, name: 'functions.get_weather:0' } }] }),
  ],
  ...[
    '<seed:tool_call>\n<function=get_weather>\n<parameter=city>Oslo</parameter>\n</function>\n</seed:tool_call>',
    'functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    '<longcat_tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</longcat_tool_call>',
    '<xai:function_call name="get_weather"><parameter name="city">Oslo</parameter></xai:function_call>',
    '<tool_calls><tool_call>get_weather\n```json\n{"city": "Oslo"}\n```</tool_call></tool_calls>',
    '<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="get_weather"><steptml:parameter name="city">Oslo</steptml:parameter></steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>',
  ].flatMap(markup => [
    [`F54: ${markup}`, stream(delta({ content: markup }), stop)] as const,
    [`F54: in pieces, ${markup}`, stream(...Array.from(markup, content => delta({ content })), stop)] as const,
  ]),
] as const)('%s', (_, body) => {
  expect(summary(body)).toEqual({ toolCalls: [{ toolCallId: expect.any(String) as string, ...oslo }], finish: 'tool-calls' })
})

test('R125: indexes that are texts tell the pieces of two calls apart', () => {
  const piece = (index: string, fields: object) => ({ tool_calls: [{ index, ...fields }] })
  const body = asCalls(
    piece('0', { id: 'a', function: { name: 'get_weather', arguments: '{"city":' } }),
    piece('1', { id: 'b', function: { name: 'get_time', arguments: '{"zone":' } }),
    piece('0', { function: { arguments: '"Oslo"}' } }),
    piece('1', { function: { arguments: '"CET"}' } }),
  )
  expect(summary(body).toolCalls).toEqual([
    { toolCallId: 'a', ...oslo },
    { toolCallId: 'b', toolName: 'get_time', input: { zone: 'CET' } },
  ])
})

test('F36: what a cache held is read in Anthropic’s words too', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7, cache_read_input_tokens: 2 }
  expect(summary(stream(hi, { ...stop, usage })).usage).toMatchObject({ inputTokens: 3, cachedInputTokens: 2 })
})

test('F1: an empty list of tool calls is no content, so nothing more is awaited', () => {
  const waits: number[] = []
  const finish = { choices: [{ index: 0, delta: { content: '', tool_calls: [] }, finish_reason: 'stop' }] }
  const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }
  replayText(stream(hi, { ...finish, usage }), { call, linger: (_, ms) => void waits.push(ms) })
  expect(waits).toEqual([100])
})
