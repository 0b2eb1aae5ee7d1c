import { readFileSync } from 'node:fs'
import { raw, runAttempt } from 'unbusy/testing'
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
