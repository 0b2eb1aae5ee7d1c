import { expect, onTestFinished, vi } from 'vitest'
import { json, status } from '../../../src/testing/index.ts'
import { chainFromEnvironment } from '../../../src/cli/chain-from-environment.ts'
import { codeOf } from '../../../src/cli/services.ts'
import { test } from '../../helpers/vitest.ts'
import { type Environment, nobody } from '../../helpers/run-cli.ts'

/** The chain of this environment as `provider:model`. */
async function chainOf(environment: Environment, wish: { chain?: string; model?: string } = {}) {
  const clean = { DEEPSEEK_API_KEY: '', OPENAI_API_KEY: '', DEEPSEEK_BASE_URL: '', OPENAI_BASE_URL: '', ...nobody }
  for (const [name, value] of Object.entries({ ...clean, ...environment })) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  return chainFromEnvironment({ ...wish, signal: new AbortController().signal })
}

async function namesOf(...parameters: Parameters<typeof chainOf>) {
  return (await chainOf(...parameters)).map(({ target }) => `${target.provider.name}:${target.model}`)
}

const models = (...ids: string[]) => json({ data: ids.map(id => ({ id })) })

test('whoever has a key is in the chain, vendors first', async () => {
  expect(await namesOf({ OPENAI_API_KEY: 'b', DEEPSEEK_API_KEY: 'a' })).toEqual(['deepseek:deepseek-flash', 'openai:gpt-6-luna'])
})

test('a local server is in the chain when it answers with a list of models, also while it loads one', async ({ server }) => {
  const llama = await server(status(503), { format: 'llama' })
  const vllm = await server(models('r1'), { format: 'vllm' })
  const ollama = await server(json({ models: [{ name: 'nomic-embed-text' }, { name: 'deepseek-r1:8b' }] }), { format: 'ollama' })
  const sglang = await server(status(404), { format: 'sglang' })
  const environment = {
    LLAMA_BASE_URL: llama.baseURL,
    VLLM_BASE_URL: vllm.baseURL,
    OLLAMA_BASE_URL: ollama.baseURL,
    SGLANG_BASE_URL: sglang.baseURL,
  }
  expect(await namesOf(environment)).toEqual(['llama:default', 'ollama:deepseek-r1:8b', 'vllm:r1'])
})

test('a llama server that knows several models is asked for one by name', async ({ server }) => {
  const llama = await server(models('a', 'b'), { format: 'llama' })
  expect(await namesOf({ LLAMA_BASE_URL: llama.baseURL })).toEqual(['llama:a'])
})

test('a named chain is taken as it is, down or without a key', async () => {
  const chain = 'llama, openrouter:deepseek/deepseek-r1:free,deepseek'
  expect(await namesOf({}, { chain })).toEqual([
    'llama:default',
    'openrouter:deepseek/deepseek-r1:free',
    'deepseek:deepseek-flash',
  ])
})

test('the model is that of the first target', async () => {
  expect(await namesOf({}, { chain: 'deepseek,openai', model: 'deepseek-v4-pro' })).toEqual([
    'deepseek:deepseek-v4-pro',
    'openai:gpt-6-luna',
  ])
})

test('the chain as code names what differs from the defaults, and no query', async () => {
  const environment = { OPENAI_BASE_URL: 'http://gateway.internal/v1?key=secret' }
  const steps = await chainOf(environment, { chain: 'deepseek,openai:gpt-6-sol,openrouter:x' })
  expect(codeOf(steps)).toBe(
    [
      `import { createClient, deepseek, openai, host } from 'unbusy'`,
      ``,
      `const client = createClient({`,
      `  chain: [`,
      `    deepseek(),`,
      `    openai('gpt-6-sol', { baseURL: 'http://gateway.internal/v1' }),`,
      `    host('openrouter', 'x'),`,
      `  ],`,
      `})`,
    ].join('\n'),
  )
})
