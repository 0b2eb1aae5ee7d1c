import { readFileSync } from 'node:fs'
import { answer, raw, runAttempt } from 'unbusy/testing'
import { expect } from 'vitest'
import { sglang } from '../../../src/providers/sglang.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { test } from '../../helpers/vitest.ts'

const recorded = (name: string) => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url))
const prefix = { text: 'The sky', reasoningText: '' }

test.for([
  ['vllm-real-continue-as-thought.sse', true],
  ['vllm-real-continue-as-thought.json', false],
] as const)(
  'what goes on from a text is text, although the parser of vLLM takes it for a thought: %s',
  async ([name, stream], { server }) => {
    const { baseURL } = await server(raw(recorded(name)), { format: 'vllm' })
    const run = runAttempt(vllm('tiny', { baseURL, stream }), { call: { prefix } })
    await run.over
    expect(run.error).toBeUndefined()
    expect(run.text()).toBe('crrrrrrr')
    expect(run.events.filter(({ type }) => type === 'reasoning-delta')).toEqual([])
  },
)

test('a thought is a thought where nothing was there before, and where a server opens one behind the text', async ({
  server,
}) => {
  const { baseURL } = await server(raw(recorded('vllm-real-thinking.sse')), { format: 'vllm' })
  for (const [target, call] of [
    [vllm('tiny', { baseURL }), {}],
    [vllm('tiny', { baseURL }), { prefix: { text: '', reasoningText: 'I think' } }],
    [sglang('tiny', { baseURL }), { prefix }],
  ] as const) {
    const run = runAttempt(target, { call })
    await run.over
    expect(run.text()).toBe('rrrrrr')
    expect(run.events.filter(({ type }) => type === 'reasoning-delta')).toHaveLength(3)
  }
})

const schema = { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } }

test.for([
  ['vllm-real-schema-refused.sse', 200, true],
  ['vllm-real-error-schema-key.json', 400, false],
  ['vllm-real-error-schema.json', 400, false],
  ['vllm-real-error-schema-pattern.json', 400, false],
  ['vllm-real-error-schema-ref.json', 400, false],
  ['vllm-real-error-xgrammar.json', 400, false],
  ['vllm-real-error-xgrammar-key.json', 400, false],
] as const)(
  'F43: a schema that vLLM refuses is asked for in words, also where the refusal is an event in a 200: %s',
  async ([name, status, stream], { server }) => {
    const replies = [raw(recorded(name), { status }), answer('{"a":[]}')]
    const { baseURL, requests } = await server(replies, { format: 'vllm' })
    const run = runAttempt(vllm('tiny', { baseURL, stream }), { call: { output: { type: 'json', schema } } })
    await run.over
    expect(run.text()).toBe('{"a":[]}')
    expect(requests).toHaveLength(2)
    expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'output' }))
  },
)

test('F41: an answer longer than the context of vLLM is asked for again with the limit that it names', async ({ server }) => {
  const replies = [raw(recorded('vllm-real-error-output.json'), { status: 400 }), answer('Hello.')]
  const { baseURL, requests } = await server(replies, { format: 'vllm' })
  const run = runAttempt(vllm('tiny', { baseURL }), { call: { maxOutputTokens: 4_000 } })
  await run.over
  expect(run.text()).toBe('Hello.')
  expect(requests.map(({ json }) => (json as { max_tokens: number }).max_tokens)).toEqual([4_000, 2_048])
})

test('an effort that vLLM does not know is asked for as one that it knows', async ({ server }) => {
  const replies = [raw(recorded('vllm-real-error-effort.json'), { status: 400 }), answer('Hello.')]
  const { baseURL } = await server(replies, { format: 'vllm' })
  const run = runAttempt(vllm('tiny', { baseURL, reasoningStyle: 'effort' }), { call: { reasoning: 'max' } })
  await run.over
  expect(run.text()).toBe('Hello.')
  expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'reasoning' }))
})
