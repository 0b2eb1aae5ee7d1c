import { createClient, deepseek, llama, openai, pool, sglang, type ClientOptions, type GenerateInput, type Logger } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect, test } from 'vitest'

const client = createClient({ chain: [fakeTarget('Hello.')] })

test.each([
  ['schema', {}, "Did you mean 'output'?"],
  ['responseFormat', {}, "Did you mean 'output'?"],
  ['response_format', {}, "Did you mean 'output'?"],
  ['maxTokens', 5, "Did you mean 'maxOutputTokens'?"],
  ['max_tokens', 5, "Did you mean 'maxOutputTokens'?"],
  ['max_completion_tokens', 5, "Did you mean 'maxOutputTokens'?"],
  ['abortSignal', undefined, "Did you mean 'signal'?"],
  ['stop', ['.'], "Did you mean 'stopSequences'?"],
  ['instructions', 'Be short.', "Did you mean 'system'?"],
  ['reasoning_effort', 'low', "Did you mean 'reasoning'?"],
  ['providerOptions', {}, "Did you mean 'extraBody'?"],
  ['timeoutMs', 30_000, 'Did you mean timeout: { totalMs: 30_000 }?'],
  ['json_schema', {}, "Did you mean 'output'?"],
  ['model', 'm', "Did you mean 'targets'?"],
  ['fallBack', false, "Did you mean 'fallback'?"],
  ['budget', 1, "Did you mean 'maxCost'?"],
  ['limits', {}, 'It is an option of a target, for example deepseek({ ... }).'],
  ['prepare', undefined, 'It is an option of a target, for example deepseek({ ... }).'],
  ['health', {}, 'It is an option of the client: createClient({ ... }).'],
])('F102: generate says what %s of other libraries is here', async (name, value, hint) => {
  const input = { prompt: 'Hi', [name]: value } as GenerateInput
  await expect(client.generate(input)).rejects.toThrow(`generate: there is no option '${name}'. ${hint}`)
})

test('F102: an answer given as fallback is told that defaultResponse is meant', async () => {
  const input = { prompt: 'Hi', fallback: 'Busy.' } as unknown as GenerateInput
  await expect(client.generate(input)).rejects.toThrow(
    "generate: fallback must be true or false, not an answer. Did you mean 'defaultResponse'?",
  )
})

test.each([
  ['fallbacks', "Did you mean 'chain'?"],
  ['models', "Did you mean 'chain'?"],
  ['maxRetries', "Did you mean 'retry'?"],
  ['fallback', "Did you mean 'defaultResponse'?"],
  ['circuitBreaker', "Did you mean 'breaker'?"],
  ['sharedHealth', "Did you mean 'health'?"],
  ['maxCost', 'It is an option of a call: generate({ ... }) or stream({ ... }).'],
  ['price', 'It is an option of a target, for example deepseek({ ... }).'],
])('F102: createClient says what %s is here', (name, hint) => {
  expect(() => createClient({ [name]: [] } as unknown as ClientOptions)).toThrow(`there is no option '${name}'. ${hint}`)
})

test.each([deepseek, openai, llama, sglang])('F102: baseUrl, url, fetch and key are named as they are here', make => {
  for (const [name, ours] of [
    ['baseUrl', 'baseURL'],
    ['url', 'baseURL'],
    ['fetch', 'dispatcher'],
    ['key', 'apiKey'],
  ] as const) {
    expect(() => make({ [name]: 'x' })).toThrow(`there is no option '${name}'. Did you mean '${ours}'?`)
  }
  expect(() => make({ rpm: 3 } as object)).toThrow("'rpm'. Did you mean limits: { requestsPerMinute: 60 }?")
  expect(() => make({ limits: { rpm: 3 } } as object)).toThrow("'rpm'. Did you mean 'requestsPerMinute'?")
  expect(() => make({ budget: { usd: 3 } } as object)).toThrow("'usd'. Did you mean 'dollars'?")
  expect(() => make({ price: { cached: 3 } } as object)).toThrow("'cached'. Did you mean 'cachedInput'?")
})

test('options of a target given to a pool, and a result given as a turn, are told where they belong', async () => {
  const pooled = () => createClient({ chain: [pool([fakeTarget('Hi.')], { limits: {} } as object)] })
  expect(pooled).toThrow("chain[0]: there is no option 'limits'. It is an option of a target")
  const result = await client.generate('Hi')
  const messages = [{ role: 'user', content: 'Hi' }, result, { role: 'user', content: 'And?' }] as never
  const told = 'generate: messages[1] is a whole result. Write its message: messages.push(result.message).'
  await expect(client.generate({ messages })).rejects.toThrow(told)
})

test('a word that means nothing here is answered with all that are known', () => {
  expect(() => deepseek({ constructor: 1 } as object)).toThrow(/'constructor'\. Write one of /)
})

test('F102: a timeout that is a number is shown as the object that is meant', async () => {
  const meant = 'must be an object, not 30000. Did you mean { totalMs: 30000 }?'
  const timeout = 30_000 as never
  await expect(client.generate({ prompt: 'Hi', timeout })).rejects.toThrow(`generate: timeout ${meant}`)
  expect(() => createClient({ chain: [deepseek()], timeout })).toThrow(`createClient: timeout ${meant}`)
  expect(() => deepseek({ timeout })).toThrow(`deepseek: timeout ${meant}`)
})

test.each(['"sk-secret"', "'sk-secret'", '"sk-secret', '`sk-secret`'])(
  'F102: a key in quotes is refused, and not shown',
  apiKey => {
    const make = (): unknown => deepseek({ apiKey })
    expect(make).toThrow(/^deepseek: apiKey is in quotes\. Remove them: /)
    expect(make).not.toThrow(/secret/)
  },
)

test('options that are given twice are refused', () => {
  expect(() => deepseek({ retry: 0 }, { retry: 1 })).toThrow(/^deepseek: the options are passed twice/)
})

test('winston, which takes the message first, keeps it', async () => {
  const lines: unknown[][] = []
  const write = (...values: unknown[]): void => void lines.push(values)
  const winston = { debug: write, info: write, warn: write, transports: [], exceptions: {}, profile: () => {} }
  await createClient({ chain: [fakeTarget('Hello.')], logger: winston }).generate('Hi')
  expect(lines).toEqual([['call answered', expect.objectContaining({ outcome: 'answered' })]])
})

test('pino and others take the fields first', async () => {
  const lines: unknown[][] = []
  const write = (...values: unknown[]): void => void lines.push(values)
  const logger: Logger = { debug: write, info: write, warn: write }
  await createClient({ chain: [fakeTarget('Hello.')], logger }).generate('Hi')
  expect(lines).toEqual([[expect.objectContaining({ outcome: 'answered' }), 'call answered']])
})

test('a zod from before the common interface is told that zod 4 is in a later zod 3', async () => {
  const output = { _def: { typeName: 'ZodObject' }, safeParse: () => ({}) } as never
  await expect(client.generate({ prompt: 'Hi', output })).rejects.toThrow(/zod version that is too old.*'zod\/v4'/)
})
