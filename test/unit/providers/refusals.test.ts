import { expect, onTestFinished, test, vi } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { host } from '../../../src/providers/host.ts'
import { llama } from '../../../src/providers/llama.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { openai } from '../../../src/providers/openai.ts'
import { tensorrtLlm } from '../../../src/providers/tensorrt-llm.ts'
import { textGeneration } from '../../../src/providers/text-generation.ts'
import { vllm } from '../../../src/providers/vllm.ts'

const baseURL = 'http://127.0.0.1:9/v1'

function refusalOf(target: Target, call: Partial<Call> = {}) {
  const refused = target.provider.refuse?.({
    model: target.model,
    messages: [{ role: 'user', content: 'Hi' }],
    metadata: {},
    ...call,
  })
  return refused === undefined ? undefined : `${refused.reason}: ${refused.message}`
}

function withoutKeys() {
  for (const name of ['DEEPSEEK_API_KEY', 'OPENAI_API_KEY', 'SILICONFLOW_API_KEY', 'SILICONFLOW_CN_API_KEY']) vi.stubEnv(name, '')
  onTestFinished(() => void vi.unstubAllEnvs())
}

test('a target without a key is made, and says which variable to set', () => {
  withoutKeys()
  expect(
    [deepseek(), openai(), host('siliconflow-cn', 'x'), openaiCompatible('x', { baseURL, keyVariable: 'GATEWAY_KEY' })].map(
      target => refusalOf(target),
    ),
  ).toMatchInlineSnapshot(`
    [
      "authentication: There is no key for deepseek. Set DEEPSEEK_API_KEY in the environment, or write the option apiKey.",
      "authentication: There is no key for openai. Set OPENAI_API_KEY in the environment, or write the option apiKey.",
      "authentication: There is no key for siliconflow-cn. Set SILICONFLOW_CN_API_KEY in the environment, or write the option apiKey.",
      "authentication: There is no key for openai-compatible. Set GATEWAY_KEY in the environment, or write the option apiKey.",
    ]
  `)
})

test("a key in the environment is enough, and a server of one's own needs none", () => {
  withoutKeys()
  vi.stubEnv('OPENAI_API_KEY', 'sk-test')
  vi.stubEnv('SILICONFLOW_API_KEY', 'sk-test')
  const targets = [
    openai(),
    host('siliconflow-cn', 'x'),
    llama(),
    vllm('x'),
    ollama('x'),
    openaiCompatible('x', { baseURL }),
    host('lm-studio', 'x'),
  ]
  expect(targets.map(target => refusalOf(target))).toEqual(targets.map(() => undefined))
})

test('an authorization header of the user is a key too', () => {
  withoutKeys()
  expect(refusalOf(deepseek({ headers: { Authorization: 'Bearer x' } }))).toBeUndefined()
})

test('the refusal is a ProviderError with the target in it', () => {
  withoutKeys()
  const target = deepseek()
  expect(target.provider.refuse?.({ model: target.model, messages: [], metadata: {} })).toMatchObject({
    name: 'ProviderError',
    reason: 'authentication',
    provider: 'deepseek',
    model: 'deepseek-flash',
  })
})

const image: Partial<Call> = {
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is it?' },
        { type: 'image', image: 'https://example.com/cat.png' },
      ],
    },
  ],
}
const apiKey = 'sk-test'

test('a target without eyes is skipped for an image, one that may have them is tried', () => {
  expect(refusalOf(deepseek('deepseek-v4-pro', { apiKey }), image)).toMatch(
    /^invalid-request: deepseek deepseek-v4-pro cannot see images/,
  )
  expect(refusalOf(openaiCompatible('x', { baseURL, capabilities: { images: false } }), image)).toMatch(/cannot see images/)
  expect([deepseek({ apiKey }), openai({ apiKey }), llama()].map(target => refusalOf(target, image))).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('ollama takes an image as bytes, not as an address', () => {
  expect(refusalOf(ollama('llava'), image)).toMatch(/^invalid-request: ollama llava takes images only as data: URIs/)
  const bytes: Partial<Call> = { messages: [{ role: 'user', content: [{ type: 'image', image: 'data:image/png;base64,aGk=' }] }] }
  expect(refusalOf(ollama('llava'), bytes)).toBeUndefined()
})

test('a plain text server is skipped for tools and images', () => {
  const target = textGeneration({ baseURL })
  expect(refusalOf(target, { tools: { weather: { inputSchema: { type: 'object' } } } })).toMatch(
    /^invalid-request: .* cannot call tools/,
  )
  expect(refusalOf(target, image)).toMatch(/cannot see images/)
  expect(refusalOf(target, { tools: {} })).toBeUndefined()
})

test('only targets that truly go on from a beginning are asked to (R30, R36)', () => {
  const targets = {
    deepseek: deepseek({ apiKey }),
    llama: llama(),
    vllm: vllm('x'),
    openai: openai({ apiKey }),
    tensorrtLlm: tensorrtLlm('x'),
    ollama: ollama('x'),
    ollamaRaw: ollama('x', { toRawPrompt: () => '' }),
    compatible: openaiCompatible('x', { baseURL }),
    compatibleWithPrefix: openaiCompatible('x', { baseURL, prefix: { body: { partial: true } } }),
    textGeneration: textGeneration({ baseURL }),
  }
  const able = Object.entries(targets).filter(
    ([, target]) => refusalOf(target, { prefix: { text: 'Once', reasoningText: '' } }) === undefined,
  )
  expect(able.map(([name]) => name)).toEqual(['deepseek', 'llama', 'vllm', 'ollamaRaw', 'compatibleWithPrefix'])
  const declared = Object.entries(targets).filter(([, { provider }]) => provider.capabilities?.prefix === true)
  expect(declared.map(([name]) => name)).toEqual(able.map(([name]) => name))
  const message: Partial<Call> = {
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Once', prefix: true },
    ],
  }
  expect(refusalOf(targets.openai, message)).toMatch(/cannot continue a given beginning/)
})
