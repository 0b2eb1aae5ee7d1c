import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Call, ProviderEvent } from '../../../src/contract.ts'
import { readAnswer } from '../../../src/providers/chat-answer/read-answer.ts'
import { ollama, type OllamaOptions } from '../../../src/providers/ollama.ts'
import { type Answer, answerOf, ask, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const messages: Call['messages'] = [{ role: 'user', content: 'Hello?' }]

function lines(...values: readonly unknown[]): Answer {
  return { headers: { 'content-type': 'application/x-ndjson' }, body: values.map(value => `${JSON.stringify(value)}\n`).join('') }
}

const done = {
  model: 'x',
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 3,
  eval_count: 2,
  total_duration: 2_500_000_000,
  load_duration: 2_000_000_000,
}
const said = (content: string, thinking?: string) => ({
  model: 'x',
  message: { role: 'assistant', content, thinking },
  done: false,
})

test('an answer: thoughts, text, finish, tokens and the time that the model took to load', async () => {
  const server = await startRecorder(() =>
    lines(said('', 'Hm.'), said('Hel'), said('lo'), { ...done, message: { role: 'assistant', content: '' } }),
  )
  expect(answerOf(await ask(ollama('x', { baseURL: server.origin }), { messages }))).toEqual([
    { type: 'reasoning-delta', text: 'Hm.' },
    { type: 'text-delta', text: 'Hel' },
    { type: 'text-delta', text: 'lo' },
    {
      type: 'finish',
      finishReason: 'stop',
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
      providerMetadata: { loadMs: 2000, totalMs: 2500 },
    },
  ])
})

test('what a request looks like on the wire', async () => {
  const server = await startRecorder(() => lines(said('Hello'), done))
  const events = await ask(
    ollama('deepseek-r1:8b', { baseURL: `${server.origin}/v1`, keepAlive: -1, extraBody: { truncate: false } }),
    {
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Where is it?' },
            { type: 'image', image: 'data:image/png;base64,aGk=' },
          ],
        },
        {
          role: 'assistant',
          content: '',
          reasoningText: 'I look.',
          toolCalls: [{ toolCallId: 'c1', toolName: 'find', input: { thing: 'cat' } }],
        },
        { role: 'tool', toolCallId: 'c1', content: 'left' },
        { role: 'user', content: 'And now?' },
      ],
      tools: { find: { description: 'Finds.', inputSchema: { type: 'object' } } },
      toolChoice: 'required',
      temperature: 0,
      topP: 0.5,
      maxOutputTokens: 9,
      stopSequences: ['END'],
      seed: 0,
      reasoning: 'low',
      output: { type: 'json', schema: { type: 'object' } },
    },
  )
  expect(warningsOf(events)).toEqual(['toolChoice'])
  const [request] = server.requests
  expect({ url: request?.url, authorization: request?.headers.authorization, body: request?.body }).toMatchInlineSnapshot(`
    {
      "authorization": undefined,
      "body": {
        "format": {
          "type": "object",
        },
        "keep_alive": -1,
        "messages": [
          {
            "content": "Be brief.",
            "role": "system",
          },
          {
            "content": "Where is it?",
            "images": [
              "aGk=",
            ],
            "role": "user",
          },
          {
            "content": "",
            "role": "assistant",
            "thinking": "I look.",
            "tool_calls": [
              {
                "function": {
                  "arguments": {
                    "thing": "cat",
                  },
                  "name": "find",
                },
              },
            ],
          },
          {
            "content": "left",
            "role": "tool",
            "tool_name": "find",
          },
          {
            "content": "And now?",
            "role": "user",
          },
        ],
        "model": "deepseek-r1:8b",
        "options": {
          "num_predict": 9,
          "seed": 0,
          "stop": [
            "END",
          ],
          "temperature": 0,
          "top_p": 0.5,
        },
        "stream": true,
        "think": "low",
        "tools": [
          {
            "function": {
              "description": "Finds.",
              "name": "find",
              "parameters": {
                "type": "object",
              },
            },
            "type": "function",
          },
        ],
        "truncate": false,
      },
      "url": "/api/chat",
    }
  `)
})

test('tool calls come whole, get an id where they have none, and are handed out only at the end (R126)', async () => {
  const calling = {
    message: {
      content: '',
      tool_calls: [{ function: { name: 'find', arguments: { thing: 'cat' } } }, { id: 'own', function: { name: 'now' } }],
    },
  }
  const server = await startRecorder(() => lines(calling, done))
  const events = await ask(ollama('x', { baseURL: server.origin }), { messages })
  const given = expect.stringMatching(/^call_/) as string
  expect(answerOf(events)).toMatchObject([
    { type: 'tool-call', toolCallId: given, toolName: 'find', input: { thing: 'cat' } },
    { type: 'tool-call', toolCallId: 'own', toolName: 'now', input: {} },
    { type: 'finish', finishReason: 'tool-calls' },
  ])
  const seen: ProviderEvent[] = []
  const cut = readAnswer({ status: 200, headers: {}, emit: event => seen.push(event) > 0 })
  cut.write(lines(calling).body)
  expect(() => cut.end()).toThrow(/was cut/)
  expect(seen.map(({ type }) => type)).toContain('tool-call-delta')
  expect(seen.map(({ type }) => type)).not.toContain('tool-call')
})

test('a beginning is continued through the raw prompt, where the template is given', async () => {
  const server = await startRecorder(() => lines({ response: ' a time', done: false }, { ...done, response: '' }))
  const toRawPrompt = (turns: Call['messages']) => `<user>${JSON.stringify(turns.map(turn => turn.content))}<assistant>`
  const target = ollama('x', { baseURL: server.origin, toRawPrompt })
  const events = await ask(target, { messages, prefix: { text: 'Once upon', reasoningText: '' } })
  expect(answerOf(events)[0]).toEqual({ type: 'text-delta', text: ' a time' })
  expect(server.requests[0]).toMatchObject({
    url: '/api/generate',
    body: { model: 'x', raw: true, prompt: '<user>["Hello?"]<assistant>Once upon', stream: true },
  })
})

test('without a stream the one line is the answer', async () => {
  const server = await startRecorder(() => lines({ ...done, message: { content: 'Hello' } }))
  const events = await ask(ollama('x', { baseURL: server.origin, stream: false, apiKey: 'k' }), { messages })
  expect(answerOf(events)).toMatchObject([{ type: 'text-delta', text: 'Hello' }, { type: 'finish' }])
  expect(server.requests[0]).toMatchObject({ body: { stream: false }, headers: { authorization: 'Bearer k' } })
})

test.each<[string, Answer, string]>([
  [
    'an error line in the middle',
    lines(said('Hel'), { error: 'an error was encountered while running the model' }),
    'server-error',
  ],
  ['an end before done', lines(said('Hel')), 'truncated'],
  ['half a line', { body: '{"message":{"content":"Hel' }, 'truncated'],
  ['no JSON', { body: '<html>busy</html>' }, 'malformed-response'],
  ['nothing at all (R43)', { body: '\n' }, 'overloaded'],
  ['done without a word', lines(done), 'empty'],
  ['thoughts and nothing else (R39)', lines(said('', 'Hm.'), done), 'empty'],
  ['404 of a model that is not there', { status: 404, body: '{"error":"model \'x\' not found"}' }, 'not-found'],
  [
    '503 of a full queue',
    { status: 503, body: '{"error":"server busy, please try again.  maximum pending requests exceeded"}' },
    'overloaded',
  ],
])('%s is a failure', async (_, answer, reason) => {
  const server = await startRecorder(() => answer)
  await expect(ask(ollama('x', { baseURL: server.origin }), { messages })).rejects.toMatchObject({
    name: 'ProviderError',
    reason,
  })
})

test.each<[string, string, Answer]>([
  ['thoughts that used it up (R39)', 'used up by reasoning', lines(said('', 'Hm'), { ...done, done_reason: 'length' })],
  ['nothing at all', 'used up before', lines({ ...done, done_reason: 'length' })],
])('the token limit before the answer is a failure that names the cure: %s', async (_, words, answer) => {
  const server = await startRecorder(() => answer)
  const failed = ask(ollama('x', { baseURL: server.origin }), { messages, reasoning: 'off' })
  await expect(failed).rejects.toMatchObject({ reason: 'empty', message: expect.stringContaining(words) as string })
})

test.each([
  ['"llama3.2" does not support thinking', 'high'],
  ['think value "low" is not supported for this model', 'low'],
] as const)('a model that cannot be told how much to think is asked without it: %s', async (error, reasoning) => {
  const server = await startRecorder(({ body }) =>
    'think' in body ? { status: 400, body: JSON.stringify({ error }) } : lines(said('Hello'), done),
  )
  const events = await ask(ollama('llama3.2', { baseURL: server.origin }), { messages, reasoning })
  expect(answerOf(events)).toMatchObject([{ type: 'warning', setting: 'reasoning' }, { text: 'Hello' }, { type: 'finish' }])
})

test('a model that only thought is asked once more without thinking, not for ever (R39)', async () => {
  const server = await startRecorder(({ body }) =>
    body['think'] === false ? lines(said('Hello'), done) : lines(said('', 'Hm.'), done),
  )
  const events = await ask(ollama('x', { baseURL: server.origin }), { messages })
  expect(answerOf(events)).toMatchObject([
    { type: 'reasoning-delta' },
    { type: 'warning', setting: 'reasoning' },
    { text: 'Hello' },
    { type: 'finish' },
  ])
  const stubborn = await startRecorder(() => lines(said('', 'Hm.'), done))
  await expect(ask(ollama('x', { baseURL: stubborn.origin }), { messages })).rejects.toMatchObject({ reason: 'empty' })
  expect(stubborn.requests).toHaveLength(2)
})

test('an answer that the token limit cut is one, with that reason', async () => {
  const server = await startRecorder(() => lines(said('Hel'), { ...done, done_reason: 'length' }))
  const events = await ask(ollama('x', { baseURL: server.origin }), { messages })
  expect(answerOf(events).at(-1)).toMatchObject({ finishReason: 'length' })
})

test('inline thoughts are reasoning, as a stream and as one line, unless they are meant to stay', async () => {
  const whole = lines({ ...done, message: { content: 'I think.</think>\n\nHello' } })
  const server = await startRecorder(({ body }) =>
    body['stream'] === true ? lines(said('<thi'), said('nk>I think.</th'), said('ink>\n\nHello'), done) : whole,
  )
  const spoken = async (options: OllamaOptions) => {
    const events = await ask(ollama('x', { baseURL: server.origin, ...options }), { messages })
    const of = (type: string) => events.flatMap(event => (event.type === type && 'text' in event ? event.text : [])).join('')
    return [of('reasoning-delta'), of('text-delta')]
  }
  expect(await spoken({})).toEqual(['I think.', 'Hello'])
  expect(await spoken({ stream: false })).toEqual(['I think.', 'Hello'])
  expect((await spoken({ thinkTags: false }))[1]).toBe('<think>I think.</think>\n\nHello')
})

test('a continuation of what was whole already has nothing to add', async () => {
  const server = await startRecorder(() => lines({ ...done, response: '' }))
  const target = ollama('x', { baseURL: server.origin, toRawPrompt: () => '' })
  const events = await ask(target, { messages, prefix: { text: 'Hello.', reasoningText: '' } })
  expect(answerOf(events)).toMatchObject([{ type: 'finish', finishReason: 'stop' }])
})

test('a reader that was behind is not waited for again when it has caught up', () => {
  const reader = readAnswer({ status: 200, headers: {}, emit: () => false })
  expect(reader.write(`${JSON.stringify(said('Hel'))}\n{"mess`)).toBe(false)
  // nothing was emitted: it would never call back
  expect(reader.write('age":')).toBe(true)
})

test('blank lines while the model is loaded are signs of life', async () => {
  const server = await startRecorder(() => ({ body: `\n\n${lines(said('Hello'), done).body}` }))
  const events = await ask(ollama('x', { baseURL: server.origin }), { messages })
  expect(events.filter(({ type }) => type === 'queued')).toHaveLength(2)
})

test('any split of the bytes gives the same events', () => {
  const { body } = lines(said('', 'Hm.'), said('Hé"l\n'), said('lo'), done)
  const read = (pieces: readonly string[]) => {
    const events: ProviderEvent[] = []
    const reader = readAnswer({ status: 200, headers: {}, secrets: [], emit: event => events.push(event) > 0 })
    for (const piece of pieces) reader.write(piece)
    reader.end()
    return events
  }
  fc.assert(
    fc.property(fc.array(fc.nat(body.length), { maxLength: 20 }), cuts => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), body.length]
      expect(read(places.slice(1).map((place, index) => body.slice(places[index], place)))).toEqual(read([body]))
    }),
  )
})
