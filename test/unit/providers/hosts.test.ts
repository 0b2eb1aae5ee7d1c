import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { host } from '../../../src/providers/host.ts'
import { type Host, type HostName, hosts } from '../../../src/providers/hosts.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { type Answer, ask, chatStream, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const messages: Call['messages'] = [
  { role: 'user', content: 'One?' },
  { role: 'assistant', content: 'One.', reasoningText: 'I count.' },
  { role: 'user', content: 'Two?' },
]
const names = Object.keys(hosts) as HostName[]

test.each(names)('%s: an address, a key variable and no model', name => {
  const row: Host = hosts[name]
  expect(new URL(row.baseURL ?? 'http://own.example.com/v1').pathname).not.toMatch(/\/$/)
  expect(row.keyVariables.every(variable => /^[A-Z_]+$/.test(variable))).toBe(true)
  expect(JSON.stringify(row)).not.toMatch(/deepseek-|v4-|r1/)
})

async function sentTo(name: HostName, call: Partial<Call> = {}, answer: Answer = chatStream('Hello')) {
  const server = await startRecorder(() => answer)
  const target = host(name, 'vendor/some-model', { baseURL: server.origin, apiKey: 'sk-test' })
  const events = await ask(target, { messages, ...call })
  return { target, events, warnings: warningsOf(events), request: server.requests[0] }
}

test.each(names)('%s answers under its own name, to the model that was asked for', async name => {
  const { target, request, events } = await sentTo(name)
  expect(target.provider.name).toBe(name)
  expect(request?.body['model']).toBe('vendor/some-model')
  expect(events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' })
})

test('the key goes into the header that the host reads', async () => {
  expect((await sentTo('together')).request?.headers.authorization).toBe('Bearer sk-test')
  const headers = (await sentTo('azure')).request?.headers
  expect({ key: headers?.['api-key'], authorization: headers?.authorization }).toEqual({
    key: 'sk-test',
    authorization: undefined,
  })
})

test('one option for reasoning, in the words of each host', async () => {
  const written: Record<string, unknown> = {}
  for (const name of ['siliconflow', 'volcengine', 'alibaba', 'openrouter', 'nvidia', 'baseten'] as const) {
    const bodies: unknown[] = []
    for (const reasoning of ['off', 'low', 'max'] as const) {
      const { request, warnings } = await sentTo(name, { reasoning })
      const { model: _, messages: __, stream: ___, stream_options: ____, ...rest } = request?.body ?? {}
      bodies.push(warnings.length === 0 ? rest : `warning: ${warnings.join()}`)
    }
    written[name] = bodies
  }
  expect(written).toMatchInlineSnapshot(`
    {
      "alibaba": [
        {
          "enable_thinking": false,
        },
        {
          "enable_thinking": true,
          "thinking_budget": 1024,
        },
        {
          "enable_thinking": true,
        },
      ],
      "baseten": [
        "warning: reasoning",
        "warning: reasoning",
        "warning: reasoning",
      ],
      "nvidia": [
        {
          "reasoning_effort": "none",
        },
        {
          "reasoning_effort": "high",
        },
        {
          "reasoning_effort": "max",
        },
      ],
      "openrouter": [
        {
          "reasoning": {
            "enabled": false,
          },
        },
        {
          "reasoning": {
            "effort": "low",
          },
        },
        {
          "reasoning": {
            "effort": "xhigh",
          },
        },
      ],
      "siliconflow": [
        {
          "enable_thinking": false,
        },
        {
          "enable_thinking": true,
          "thinking_budget": 1024,
        },
        {
          "enable_thinking": true,
          "thinking_budget": 32768,
        },
      ],
      "volcengine": [
        {
          "thinking": {
            "type": "disabled",
          },
        },
        {
          "thinking": {
            "type": "enabled",
          },
        },
        {
          "thinking": {
            "type": "enabled",
          },
        },
      ],
    }
  `)
})

test('reasoning of earlier turns goes back in the field that the host knows, or not at all', async () => {
  const turnOf = async (name: HostName) => {
    const { request } = await sentTo(name)
    return (request?.body['messages'] as readonly unknown[] | undefined)?.[1]
  }
  expect(await turnOf('siliconflow')).toEqual({ role: 'assistant', content: 'One.', reasoning_content: 'I count.' })
  expect(await turnOf('openrouter')).toEqual({ role: 'assistant', content: 'One.', reasoning: 'I count.' })
  expect(await turnOf('groq')).toEqual({ role: 'assistant', content: 'One.' })
})

test.each<[HostName, Answer, string]>([
  [
    'siliconflow',
    { status: 503, body: '{"code":50508,"message":"System is too busy now. Please try again later.","data":null}' },
    'overloaded',
  ],
  [
    'siliconflow',
    { status: 400, body: '{"code":20012,"message":"Model does not exist. Please check it carefully.","data":null}' },
    'not-found',
  ],
  [
    'siliconflow-cn',
    { status: 403, body: '{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}' },
    'quota',
  ],
  [
    'together',
    { status: 403, body: '{"error":{"message":"The input is longer than the context of the model."}}' },
    'context-length',
  ],
  // no fault of the key: it would be gated for all its models
  ['together', { status: 403, body: '' }, 'context-length'],
  [
    'openrouter',
    { status: 403, body: '{"error":{"code":403,"message":"Your input was flagged by moderation."}}' },
    'content-filter',
  ],
  [
    'alibaba',
    {
      status: 400,
      body: '{"error":{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}}',
    },
    'quota',
  ],
  [
    'alibaba',
    {
      status: 400,
      body: '{"error":{"code":"data_inspection_failed","message":"Output data may contain inappropriate content."}}',
    },
    'content-filter',
  ],
])('%s: %o', async (name, answer, reason) => {
  await expect(sentTo(name, {}, answer)).rejects.toMatchObject({ reason })
})

test('every field of the table can be replaced', async () => {
  const server = await startRecorder(() => chatStream('Hello'))
  const target = host('siliconflow', 'x', {
    baseURL: server.origin,
    apiKey: 'sk-test',
    reasoningStyle: 'effort',
    reasoningHistory: 'required',
    tokenLimit: 'max_completion_tokens',
    instructionRole: 'developer',
    capabilities: { output: 'json-schema', contextTokens: 1000 },
    prefix: { message: { partial: true } },
  })
  expect(target.provider.capabilities).toEqual({ stream: true, output: 'json-schema', contextTokens: 1000, prefix: true })
  await ask(target, {
    messages: [{ role: 'system', content: 'Be brief.' }, { role: 'assistant', content: 'Hi.' }, ...messages],
    reasoning: 'max',
    maxOutputTokens: 5,
    prefix: { text: 'Tw', reasoningText: '' },
  })
  expect(server.requests[0]?.body).toMatchObject({
    reasoning_effort: 'max',
    max_completion_tokens: 5,
    messages: [
      { role: 'developer' },
      { reasoning_content: '' },
      {},
      { reasoning_content: 'I count.' },
      {},
      { content: 'Tw', partial: true },
    ],
  })
})

const answer = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
const optional = { ...answer, properties: { ...answer.properties, age: { type: 'integer' } } }

test.each([
  ['enforced, when every property is required', answer, { strict: true, schema: { ...answer, additionalProperties: false } }],
  ['as it is, when one is optional', optional, { strict: false, schema: optional }],
])('a schema is sent %s', async (_, schema, expected) => {
  const server = await startRecorder(() => chatStream('{}'))
  const target = openaiCompatible('x', { baseURL: server.origin })
  await ask(target, {
    messages,
    output: { type: 'json', name: 'person', schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema } },
  })
  expect(server.requests[0]?.body['response_format']).toEqual({
    type: 'json_schema',
    json_schema: { name: 'person', ...expected },
  })
})
