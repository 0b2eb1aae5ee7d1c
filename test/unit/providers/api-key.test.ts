import { createClient, deepseekBalance, host, ollama, openai, openaiCompatible, textGeneration } from 'unbusy'
import { answer, json, status } from 'unbusy/testing'
import { afterEach, expect, vi } from 'vitest'
import { createEndpoint } from '../../../src/providers/endpoint.ts'
import { hosts } from '../../../src/providers/hosts.ts'
import { test } from '../../helpers/vitest.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

const tokens = () => {
  let count = 0
  return () => `key-${(count += 1)}`
}

test('F103: a function is asked once for every request, a promise is waited for', async ({ server }) => {
  const first = await server([status(503), answer('Hello.')])
  const next = tokens()
  const target = openai({ baseURL: first.baseURL, apiKey: async () => next(), retry: { maxRetries: 1, baseDelayMs: 1 } })
  await using client = createClient({ chain: [target] })
  expect((await client.generate('Hi.')).text).toBe('Hello.')
  expect(first.requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer key-1', 'Bearer key-2'])
})

test('F103: every service takes a function', async ({ server }) => {
  const compatible = await server(answer('one'))
  const native = await server(answer('two'), { format: 'ollama' })
  const plain = await server(json({ response: 'three' }))
  const apiKey = () => 'sk-of-function'
  for (const [target, at] of [
    [openaiCompatible('m', { baseURL: compatible.baseURL, apiKey }), compatible],
    [ollama('m', { baseURL: native.baseURL, apiKey }), native],
    [textGeneration({ baseURL: plain.baseURL, apiKey }), plain],
  ] as const) {
    await using client = createClient({ chain: [target] })
    await client.generate('Hi.')
    expect(at.requests[0]!.headers['authorization']).toBe('Bearer sk-of-function')
  }
  const account = await server(json({ is_available: true, balance_infos: [] }))
  await deepseekBalance({ baseURL: account.baseURL, apiKey })
  expect(account.requests[0]!.headers['authorization']).toBe('Bearer sk-of-function')
})

const failing: readonly (readonly [string, () => unknown])[] = [
  [
    'throws',
    () => {
      throw new Error('no token')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no token'))],
  ['returns nothing', () => undefined],
  ['returns an empty text', () => ''],
  ['returns a line break', async () => 'sk-1\n'],
]

test.for(failing)(
  'F103: a function that %s fails with authentication, nothing is sent, and the next target answers',
  async ([, apiKey], { server }) => {
    const first = await server(answer('never'))
    const second = await server(answer('Hello.'))
    const chain = [
      openaiCompatible('a', { baseURL: first.baseURL, apiKey: apiKey as () => string }),
      openaiCompatible('b', { baseURL: second.baseURL }),
    ]
    await using client = createClient({ chain })
    const { text, attempts } = await client.generate('Hi.')
    expect([text, attempts[0]!.reason, first.requests.length]).toEqual(['Hello.', 'authentication', 0])
    expect(JSON.stringify(attempts)).not.toContain('sk-1')
  },
)

test('F103: a function counts as itself, and its key is in no identity', () => {
  const apiKey = () => 'sk-1'
  const of = (key: () => string) =>
    openaiCompatible('m', { baseURL: 'http://127.0.0.1:1', apiKey: key }).provider.identity!.credential
  expect(of(apiKey)).toBe(of(apiKey))
  expect(of(apiKey)).not.toBe(of(() => 'sk-1'))
})

test('F103: what a server quotes of the key of a function is masked', async ({ server }) => {
  const first = await server(status(401, { error: { message: 'Wrong key: token-without-prefix-1234' } }))
  await using client = createClient({
    chain: [openaiCompatible('m', { baseURL: first.baseURL, apiKey: () => 'token-without-prefix-1234' })],
  })
  const error = await client.generate('Hi.').catch((thrown: unknown) => thrown)
  expect((error as { failures: { said: string }[] }).failures[0]!.said).not.toContain('token-without-prefix')
})

test('F103: Azure reads its variables and takes the address as the portal shows it', async ({ server }) => {
  vi.stubEnv('AZURE_OPENAI_API_KEY', 'azure-key')
  const azure = await server(answer('Hello.'))
  await using client = createClient({ chain: [host('azure', 'd', { baseURL: `${azure.baseURL}/openai/v1` })] })
  await client.generate('Hi.')
  expect(azure.requests[0]!.headers).toMatchObject({ 'api-key': 'azure-key' })
  const { origin } = host('azure', 'd', { baseURL: 'https://my.openai.azure.com/' }).provider.identity!
  expect(origin).toContain('https://my.openai.azure.com')
  vi.stubEnv('AZURE_OPENAI_ENDPOINT', 'https://other.openai.azure.com')
  expect(host('azure', 'd').provider.identity!.origin).toContain('https://other.openai.azure.com')
})

test('F103: a token of Entra goes to Azure as a bearer, a key in its own header', async ({ server }) => {
  const azure = await server(answer('Hello.'))
  const at = (apiKey: () => string) => host('azure', 'd', { baseURL: azure.baseURL, apiKey })
  await using client = createClient({ chain: [at(() => 'eyJhbGciOi.eyJhdWQiOi.c2ln')] })
  await client.generate('Hi.')
  await using other = createClient({ chain: [at(() => 'plain-key')] })
  await other.generate('Hi.')
  expect(azure.requests.map(({ headers }) => [headers['authorization'], headers['api-key']])).toEqual([
    ['Bearer eyJhbGciOi.eyJhdWQiOi.c2ln', undefined],
    [undefined, 'plain-key'],
  ])
})

test('F103: an address without a path gets /openai/v1 at Azure alone', () => {
  const at = (baseURL: string) => createEndpoint({ baseURL, apiKey: 'k' }, { ...hosts.azure, service: 'azure' }).baseURL
  expect(at('https://my.openai.azure.com')).toBe('https://my.openai.azure.com/openai/v1')
  expect(at('https://my.services.ai.azure.com/')).toBe('https://my.services.ai.azure.com/openai/v1')
  const full = 'https://my.openai.azure.com/openai/deployments/d?api-version=2024-10-21'
  expect(at(full)).toBe(full)
  expect(at('https://gateway.internal')).toBe('https://gateway.internal')
})

test('F103: apiKey is a string or a function, and nothing else', () => {
  expect(() => openai({ apiKey: 42 as never })).toThrow(/a string, or a function/)
  expect(() => host('azure', 'd')).toThrow(/AZURE_OPENAI_ENDPOINT/)
})
