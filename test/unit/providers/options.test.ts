import { inspect } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Target } from '../../../src/contract-targets.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { host } from '../../../src/providers/host.ts'
import type { HostName } from '../../../src/providers/hosts.ts'
import { llama } from '../../../src/providers/llama.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { openai } from '../../../src/providers/openai.ts'
import { textGeneration } from '../../../src/providers/text-generation.ts'
import { vllm } from '../../../src/providers/vllm.ts'

/** Options as a person without types may write them. */
type Wrong = never

const baseURL = 'http://127.0.0.1:9/v1'

const mistakes: Readonly<Record<string, () => Target>> = {
  'an option that does not exist': () => deepseek({ apikey: 'x' } as Wrong),
  'one that resembles none': () => llama({ colour: 'red' } as Wrong),
  'a nested one': () => openai('gpt-6-luna', { timeout: { firstChunk: 1 } } as Wrong),
  'a time of the wrong type': () => openai('gpt-6-luna', { timeout: { firstChunkMs: '1' } } as Wrong),
  'a negative number of retries': () => deepseek({ retry: -1 }),
  'a wrong setting of retries': () => deepseek({ retry: { maxRetries: 1.5 } }),
  'options that are a list': () => vllm('x', [] as Wrong),
  'an empty model': () => openai(''),
  'a model that is a number': () => vllm(7 as Wrong),
  'no base URL': () => openaiCompatible('x', {} as Wrong),
  'a base URL without a scheme': () => llama({ baseURL: 'localhost:8080' }),
  'a base URL of another scheme': () => llama({ baseURL: 'ftp://example.com' }),
  'a base URL that is none': () => llama({ baseURL: 'http//x' }),
  'a password in the base URL': () => llama({ baseURL: 'http://me:secret@example.com' }),
  'a key with a newline': () => deepseek({ apiKey: 'sk-secret\n' }),
  'a header with a line break': () => deepseek({ apiKey: 'x', headers: { 'x-team': 'a\r\nb: c' } }),
  'a header name with a space': () => deepseek({ apiKey: 'x', headers: { 'x team': 'a' } }),
  'a model that is gone': () => deepseek('deepseek-chat'),
  'a reasoner that is gone': () => deepseek('deepseek-reasoner'),
  'a host that is not in the table': () => host('silicon-flow' as Wrong, 'x'),
  'a host without an address': () => host('azure', 'x', { apiKey: 'x' }),
  'a price below zero': () => llama({ price: { input: -1, output: 0 } }),
  'a when that is no function': () => llama({ when: true as Wrong }),
  'a dispatcher that is none': () => llama({ dispatcher: {} as Wrong }),
  'a body for a GET': () => textGeneration({ baseURL, method: 'GET', promptIn: 'body' }),
  'a style that nobody speaks': () => openaiCompatible('x', { baseURL, reasoningStyle: 'loud' as Wrong }),
  'a keepAlive that is no time': () => ollama('x', { keepAlive: true as Wrong }),
  'too many alternatives': () => deepseek({ topLogprobs: 21 }),
}

function messageOf(create: () => Target): string {
  try {
    create()
  } catch (error) {
    // what is known grows with every option
    return error instanceof TypeError
      ? error.message.replace(/(Write one of name, retry,).*/, '$1 …')
      : `not a TypeError: ${String(error)}`
  }
  return 'nothing is wrong'
}

test('every mistake is a TypeError that says what to write instead', () => {
  const messages = Object.fromEntries(Object.entries(mistakes).map(([name, create]) => [name, messageOf(create)]))
  expect(messages).toMatchInlineSnapshot(`
    {
      "a base URL of another scheme": "llama: baseURL must begin with http:// or https://, for example 'http://127.0.0.1:8000/v1'.",
      "a base URL that is none": "llama: baseURL must begin with http:// or https://, for example 'http://127.0.0.1:8000/v1'.",
      "a base URL without a scheme": "llama: baseURL must begin with http:// or https://, for example 'http://127.0.0.1:8000/v1'.",
      "a body for a GET": "textGeneration: a GET request has no body. Write promptIn: 'query'.",
      "a dispatcher that is none": "llama: dispatcher must be an undici Dispatcher, for example new Agent().",
      "a header name with a space": "deepseek: headers: a name is empty or contains a character that is not allowed. Write letters, digits and hyphens.",
      "a header with a line break": "deepseek: headers: the value of 'x-team' must be a string of one line in Latin letters.",
      "a host that is not in the table": "host: there is no host 'silicon-flow'. Did you mean 'siliconflow'? For any other server, write openaiCompatible(model, { baseURL }).",
      "a host without an address": "azure: baseURL is missing. Write the address of the server, for example { baseURL: 'http://host:8000/v1' }, or set AZURE_OPENAI_ENDPOINT.",
      "a keepAlive that is no time": "ollama: keepAlive must be a number of seconds, or a string like '10m'.",
      "a key with a newline": "deepseek: apiKey contains a space, a line break or another character that a key cannot have. Remove it: a key read from a file often ends with a line break, which .trim() removes.",
      "a model that is a number": "vllm: the model must be a non-empty string, for example vllm('name-of-the-model').",
      "a model that is gone": "deepseek: the model 'deepseek-chat' was removed on 2026-07-24. Write deepseek('deepseek-flash') and call it with reasoning: 'off'.",
      "a negative number of retries": "deepseek: retry must be a whole number, 0 or more, or { maxRetries }.",
      "a nested one": "openai: timeout: there is no option 'firstChunk'. Did you mean 'firstChunkMs'?",
      "a password in the base URL": "llama: baseURL contains a user or a password. Put them in the option headers or apiKey instead.",
      "a price below zero": "llama: price: input must be a number of US dollars per million tokens, 0 or more, not -1.",
      "a reasoner that is gone": "deepseek: the model 'deepseek-reasoner' was removed on 2026-07-24. Write deepseek('deepseek-flash') and call it with reasoning: 'high', which is its default.",
      "a style that nobody speaks": "openaiCompatible: reasoningStyle must be one of 'deepseek', 'effort', 'gemini', 'nvidia', 'thinkingType', 'siliconflow', 'dashscope', 'template', 'llama', 'openrouter'.",
      "a time of the wrong type": "openai: timeout: firstChunkMs must be a number of milliseconds, 0 or more, not a string.",
      "a when that is no function": "llama: when must be a function, not a boolean.",
      "a wrong setting of retries": "deepseek: retry: maxRetries must be a whole number, 0 or more, not 1.5.",
      "an empty model": "openai: the model must be a non-empty string, for example openai('name-of-the-model').",
      "an option that does not exist": "deepseek: there is no option 'apikey'. Did you mean 'apiKey'?",
      "no base URL": "openai-compatible: baseURL is missing. Write the address of the server, for example { baseURL: 'http://host:8000/v1' }.",
      "one that resembles none": "llama: there is no option 'colour'. Write one of name, retry, …",
      "options that are a list": "vllm: options must be an object like { baseURL: '...' }, not a list.",
      "too many alternatives": "deepseek: topLogprobs must be a whole number from 0 to 20.",
    }
  `)
})

test('a key is never shown: not in a message, not in the target', () => {
  const secret = 'sk-very-secret'
  vi.stubEnv('DEEPSEEK_API_KEY', `${secret}\n`)
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(messageOf(() => deepseek())).toMatch(
    /^deepseek: the environment variable DEEPSEEK_API_KEY contains a space, a line break/,
  )
  expect(messageOf(() => deepseek())).not.toContain(secret)
  expect(inspect(openai({ apiKey: secret }), { depth: 10, showHidden: true })).not.toContain(secret)
})

test('what is undefined is not given', () => {
  const target = openaiCompatible('x', { baseURL, retry: undefined, timeout: undefined, name: undefined, thinkTags: undefined })
  expect(target).toEqual({ provider: target.provider, model: 'x' })
})

test('a target carries its own limits, and prices where they are known', () => {
  const when = () => true
  expect(deepseek('deepseek-v4-pro', { retry: 0, timeout: { totalMs: 1 }, when })).toMatchObject({
    model: 'deepseek-v4-pro',
    retry: 0,
    timeout: { totalMs: 1 },
    when,
    // off-peak; the rules of the price double it at peak hours
    price: { input: 0.66, cachedInput: 0.022, output: 1.98 },
  })
  expect(deepseek({ price: { input: 0.15, output: 0.6 } }).price).toEqual({ input: 0.15, output: 0.6 })
  expect(openai('some-model-of-tomorrow').price).toBeUndefined()
  expect(llama().price).toEqual({ input: 0, cachedInput: 0, output: 0 })
})

test('targets at one place with one key share an identity, and it does not hold the key', () => {
  const identityOf = (target: Target) => target.provider.identity
  const one = identityOf(deepseek('deepseek-flash', { apiKey: 'sk-a' }))
  expect(one).toEqual(identityOf(deepseek('deepseek-v4-pro', { apiKey: 'sk-a' })))
  expect(one).toEqual({
    origin: 'https://api.deepseek.com',
    path: '',
    credential: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
  })
  expect(one).not.toEqual(identityOf(deepseek('deepseek-flash', { apiKey: 'sk-b' })))
})

test("servers on hardware of one's own have time, and the defaults hold for the others (R69, R89)", () => {
  expect(llama().provider.timeout).toEqual({ headersMs: 120_000, firstChunkMs: 120_000, chunkMs: 120_000 })
  expect(ollama('x').provider.timeout).toEqual({ headersMs: 300_000, firstChunkMs: 300_000, chunkMs: 120_000 })
  expect(host('lm-studio', 'x').provider.timeout).toEqual(llama().provider.timeout)
  expect(deepseek().provider.timeout).toBeUndefined()
  // nothing comes before the answer is whole
  expect(openai({ stream: false }).provider.timeout).toEqual({ headersMs: 300_000, firstChunkMs: 300_000 })
  expect(llama({ stream: false }).provider.timeout).toEqual({ headersMs: 300_000, firstChunkMs: 300_000, chunkMs: 120_000 })
})

test("a host takes an address of one's own", () => {
  const names: HostName[] = ['azure', 'siliconflow', 'openrouter', 'ollama-cloud']
  const origins = names.map(name => host(name, 'x', { baseURL: 'https://example.com/v1' }).provider.identity?.origin)
  expect(origins).toEqual(names.map(() => 'https://example.com'))
})
