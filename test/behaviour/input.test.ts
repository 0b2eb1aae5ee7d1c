import {
  createClient,
  type ClientOptions,
  deepseek,
  type GenerateInput,
  openaiCompatible,
  pool,
  runTools,
  textGeneration,
} from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect, test } from 'vitest'

const chain = [fakeTarget('Hello.')]

test.for([
  [{}, 'chain is missing. Write { chain: [deepseek(), openai(), llama()] }.'],
  [{ chain: [] }, 'chain is empty. Write at least one target, for example [deepseek()].'],
  [{ chain: [deepseek] }, 'chain[0] is a function. Call it: deepseek() instead of deepseek.'],
  [{ chain: ['deepseek'] }, 'chain[0] must be a target like deepseek(), or { provider, model }'],
  [{ chain, retries: 2 }, "there is no option 'retries'. Did you mean 'retry'?"],
  [{ chain, timeout: { totalMS: 1 } }, "there is no option 'totalMS'. Did you mean 'totalMs'?"],
  [{ chain, timeout: { totalMs: '5s' } }, 'timeout: totalMs must be a number of milliseconds, 0 or more, not a string.'],
  [{ chain, timeout: { totalMs: Number.NaN } }, 'totalMs must be a number of milliseconds, 0 or more, not NaN.'],
  [{ chain, retry: -1 }, 'retry must be a whole number, 0 or more'],
  [{ chain, breaker: true }, 'breaker must be an object'],
  [{ chain, breaker: { failureRatio: 0 } }, 'failureRatio must be above 0. Write breaker: false to turn the breaker off.'],
  [{ chain, afterFirstToken: 'glue' }, "afterFirstToken must be one of 'fail', 'restart', 'continue'."],
  [{ chain, logger: console.log }, "logger must have pino's methods debug, info and warn"],
  [{ chain, breaker: { windowCalls: 2 ** 40 } }, 'windowCalls must be at most 100000, not 1099511627776.'],
  [{ chain, timeout: Promise.resolve({}) }, 'timeout must be an object, not a promise.'],
  [{ chain, retry: new Map([['maxRetries', 2]]) }, 'retry must be an object, not a Map.'],
  [{ chain, clock: Date }, 'clock must be { now(), setTimeout(listener, delayMs), clearTimeout(handle) }'],
] as const)('createClient(%j) says what to write instead', ([options, message]) => {
  expect(() => createClient(options as unknown as ClientOptions)).toThrow(TypeError)
  expect(() => createClient(options as unknown as ClientOptions)).toThrow(message)
})

test.for([
  ['', 'the prompt is empty. Write what the model should answer.'],
  [{}, 'give either prompt or messages'],
  [{ prompt: 'Hi', messages: [] }, 'messages is empty'],
  [{ prompt: '  ' }, 'prompt is empty. Write what the model should answer.'],
  [{ prompt: 'Hi', extraBody: Promise.resolve({ a: 1 }) }, 'extraBody must be an object, not a promise.'],
  [{ prompt: 'Hi', metadata: new Date() }, 'metadata must be an object, not a Date.'],
  [Promise.resolve('Hi'), "the input must be a string, or an object like { prompt: 'Why is the sky blue?' }, not a promise."],
  [{ promt: 'Hi' }, "there is no option 'promt'. Did you mean 'prompt'?"],
  [{ prompt: 'Hi', temperature: -1 }, 'temperature must be a number, 0 or more, not -1.'],
  [{ prompt: 'Hi', topP: 2 }, 'topP must be a number from 0 to 1, not 2.'],
  [{ prompt: 'Hi', maxOutputTokens: 0 }, 'maxOutputTokens must be a whole number, 1 or more, not 0.'],
  [{ prompt: 'Hi', signal: {} }, 'signal must be an AbortSignal'],
  [{ prompt: 'Hi', reasoning: 'medium' }, "reasoning must be one of 'off', 'low', 'high', 'max'."],
  [{ messages: [{ role: 'bot', content: 'x' }] }, 'messages[0].role must be one of'],
  [{ messages: [{ role: 'assistant', content: null }] }, 'messages[0].content must be a string, not null.'],
  [{ messages: [{ role: 'user', content: [{ type: 'image', url: 'x' }] }] }, "messages[0].content[0] must be { type: 'text'"],
] as const)('generate(%j) says what to write instead, before anything is sent', async ([input, message]) => {
  const target = fakeTarget('Hello.')
  const client = createClient({ chain: [target] })
  await expect(client.generate(input as unknown as GenerateInput)).rejects.toThrow(TypeError)
  await expect(client.generate(input as unknown as GenerateInput)).rejects.toThrow(message)
  await expect(client.stream(input as unknown as GenerateInput)).rejects.toThrow(message)
  expect(target.provider.calls).toHaveLength(0)
})

const circle: Record<string, unknown> = { a: 1 }
circle['self'] = [circle]
const inputSchema = { type: 'object' }
const callOf = (toolCalls: unknown) => ({ messages: [{ role: 'assistant', content: '', toolCalls }] })
const madeOf = (jsonSchema: object) => ({
  '~standard': { version: 1, vendor: 'v', validate: (value: unknown) => ({ value }), jsonSchema: { input: () => jsonSchema } },
})

test.for<readonly [string, unknown, string]>([
  ['null', null, "the input must be a string, or an object like { prompt: 'Why is the sky blue?' }, not null."],
  ['a number', 5, 'the input must be a string, or an object like'],
  ['a list', [{ role: 'user', content: 'Hi' }], 'the input must be a string, or an object like'],
  ['toolChoice any', { prompt: 'Hi', toolChoice: 'any', tools: { a: { inputSchema } } }, "Did you mean 'required'?"],
  [
    'toolChoice null',
    { prompt: 'Hi', toolChoice: null },
    "must be 'auto', 'none', 'required' or { toolName: 'weather' }, not null.",
  ],
  [
    'toolChoice of OpenAI',
    { prompt: 'Hi', toolChoice: { type: 'function', function: { name: 'a' } } },
    "or { toolName: 'weather' }",
  ],
  ['toolChoice of AI SDK', { prompt: 'Hi', toolChoice: { type: 'tool', toolName: 'a' } }, "there is no option 'type'"],
  [
    'a misspelt choice',
    { prompt: 'Hi', toolChoice: { toolName: 'wether' }, tools: { weather: { inputSchema } } },
    "Did you mean 'weather'?",
  ],
  ['required without tools', { prompt: 'Hi', toolChoice: 'required' }, "toolChoice is 'required', but there are no tools."],
  [
    'tools in a list',
    { prompt: 'Hi', tools: [{ name: 'a', inputSchema }] },
    'tools must be an object like { weather: { inputSchema } }',
  ],
  ['a tool without a schema', { prompt: 'Hi', tools: { a: { parameters: {} } } }, 'tools.a must be { description, inputSchema'],
  ['a description', { prompt: 'Hi', tools: { a: { inputSchema, description: 5 } } }, 'tools.a.description must be a string'],
  ['strict', { prompt: 'Hi', tools: { a: { inputSchema, strict: 'yes' } } }, 'tools.a.strict must be true or false'],
  ['a circle in a tool', { prompt: 'Hi', tools: { a: { inputSchema: circle } } }, 'tools.a.inputSchema cannot be sent as JSON'],
  [
    'a BigInt in a tool',
    { prompt: 'Hi', tools: { a: { inputSchema: { minimum: 1n } } } },
    'tools.a.inputSchema cannot be sent as JSON',
  ],
  [
    'a circle in a schema of a tool',
    { prompt: 'Hi', tools: { a: { inputSchema: madeOf(circle) } } },
    'tools.a.inputSchema cannot be sent as JSON',
  ],
  ['a circle in a schema', { prompt: 'Hi', output: madeOf(circle) }, 'output cannot be sent as JSON'],
  ['a BigInt in a schema', { prompt: 'Hi', output: madeOf({ type: 'object', maximum: 2n }) }, 'output cannot be sent as JSON'],
  [
    'a circle in extraBody',
    { prompt: 'Hi', extraBody: circle },
    'extraBody cannot be sent as JSON: it refers to itself or contains a BigInt.',
  ],
  ['a BigInt in extraBody', { prompt: 'Hi', extraBody: { seed: 1n } }, 'extraBody cannot be sent as JSON'],
  ['toolCalls {}', callOf({}), 'messages[0].toolCalls must be a list like [{ toolCallId:'],
  ['toolCalls null', callOf(null), 'messages[0].toolCalls must be a list'],
  ['toolCalls [null]', callOf([null]), 'messages[0].toolCalls[0] must be { toolCallId, toolName, input }, not null.'],
  ['toolCalls of OpenAI', callOf([{ id: 'a', function: {} }]), 'messages[0].toolCalls[0].toolCallId must be a non-empty string'],
  [
    'tool_calls',
    { messages: [{ role: 'assistant', content: '', tool_calls: [] }] },
    "there is no 'tool_calls'. Write toolCalls:",
  ],
  ['a tool name', callOf([{ toolCallId: 'a', toolName: 5 }]), 'messages[0].toolCalls[0].toolName must be a non-empty string'],
  [
    'a circle in a call',
    callOf([{ toolCallId: 'a', toolName: 'b', input: circle }]),
    'toolCalls[0].input cannot be sent as JSON',
  ],
  ['a BigInt as input', callOf([{ toolCallId: 'a', toolName: 'b', input: 1n }]), 'toolCalls[0].input is a BigInt'],
  [
    'toolCallId {}',
    { messages: [{ role: 'tool', toolCallId: {}, content: '1' }] },
    'messages[0].toolCallId must be a non-empty string',
  ],
  ['no toolCallId', { messages: [{ role: 'tool', content: '1' }] }, 'messages[0].toolCallId must be a non-empty string'],
  [
    'reasoningText',
    { messages: [{ role: 'assistant', content: '', reasoningText: 5 }] },
    'messages[0].reasoningText must be a string',
  ],
  ['prefix', { messages: [{ role: 'assistant', content: '', prefix: 'yes' }] }, 'messages[0].prefix must be true or false'],
  [
    'a default null',
    { prompt: 'Hi', defaultResponse: null },
    'defaultResponse must be a string, a value, or a function that returns one',
  ],
  [
    'a default promise',
    { prompt: 'Hi', defaultResponse: Promise.resolve('x') },
    'defaultResponse is a promise. Write a function',
  ],
])('F89: generate with %s says what to write instead, and nothing is sent', async ([, input, message]) => {
  const target = fakeTarget('Hello.')
  const client = createClient({ chain: [target] })
  for (const asked of [client.generate(input as GenerateInput), client.stream(input as GenerateInput)]) {
    await expect(asked).rejects.toThrow(message)
    await expect(asked).rejects.toBeInstanceOf(TypeError)
  }
  expect(target.provider.calls).toHaveLength(0)
})

const execute = () => 'cold'
const weather = { inputSchema, execute }

test.for<readonly [string, unknown, unknown, string]>([
  [
    'no options',
    'Hi',
    undefined,
    'options must be an object like { tools: { weather: { inputSchema, execute } } }, not undefined.',
  ],
  ['no tools', 'Hi', {}, 'tools are missing. Write { tools: { weather: { inputSchema, execute } } }.'],
  ['a misspelt option', 'Hi', { tools: { weather }, maxStep: 2 }, "there is no option 'maxStep'. Did you mean 'maxSteps'?"],
  ['maxSteps 0', 'Hi', { tools: { weather }, maxSteps: 0 }, 'maxSteps must be a whole number, 1 or more, not 0.'],
  ['maxSteps as text', 'Hi', { tools: { weather }, maxSteps: '3' }, 'maxSteps must be a whole number, 1 or more'],
  ['onToolError', 'Hi', { tools: { weather }, onToolError: 'ignore' }, "onToolError must be one of 'tell', 'throw'."],
  ['onStep', 'Hi', { tools: { weather }, onStep: true }, 'onStep must be a function'],
  ['a list', 'Hi', { tools: [weather] }, 'tools must be an object like { weather: { inputSchema } }'],
  [
    'no execute',
    'Hi',
    { tools: { weather: { inputSchema } } },
    'tools.weather has no function execute. Write { inputSchema, execute: input => ... }',
  ],
  ['tools in the input', { prompt: 'Hi', tools: { weather } }, { tools: { weather } }, 'tools belong in the third argument'],
  ['a choice in the input', { prompt: 'Hi', toolChoice: 'auto' }, { tools: { weather } }, 'There is no toolChoice.'],
  ['null', null, { tools: { weather } }, 'the input must be a string, or an object like'],
])('F89: runTools with %s says what to write instead, and nothing is sent', async ([, input, options, message]) => {
  const target = fakeTarget('Hello.')
  const client = createClient({ chain: [target] })
  const run = runTools(client, input as string, options as { tools: { weather: typeof weather } })
  await expect(run).rejects.toThrow(message)
  await expect(run).rejects.toBeInstanceOf(TypeError)
  await expect(runTools({} as typeof client, 'Hi', { tools: { weather } })).rejects.toThrow('the first argument must be a client')
  expect(target.provider.calls).toHaveLength(0)
})

test.for<readonly [string, () => unknown, string]>([
  [
    'createClient()',
    () => createClient(undefined as unknown as ClientOptions),
    'options must be an object like { chain: [deepseek(), openai()] }',
  ],
  [
    'a default null',
    () => createClient({ chain, defaultResponse: null as unknown as string }),
    'defaultResponse must be a string',
  ],
  ['a circle in extraBody', () => deepseek({ extraBody: circle }), 'extraBody cannot be sent as JSON'],
  [
    'a BigInt in extraBody',
    () => textGeneration({ baseURL: 'http://h', extraBody: { n: 1n } }),
    'extraBody cannot be sent as JSON',
  ],
  [
    'a circle in a prefix',
    () => openaiCompatible('m', { baseURL: 'http://h', prefix: { body: circle } }),
    'body cannot be sent as JSON',
  ],
  ['a text for pool options', () => pool(chain, 'latency' as never), "options must be an object like { strategy: 'least-busy' }"],
])('F89: %s says what to write instead', ([, make, message]) => {
  expect(make).toThrow(TypeError)
  expect(make).toThrow(message)
})

test.for<readonly [string, ClientOptions, string]>([
  [
    'decide',
    { chain: [fakeTarget({ error: 'network' })], decide: (async () => 'stop') as never },
    "decide must return 'retry', 'next'",
  ],
  [
    'affinity',
    { chain: [pool([fakeTarget('x'), fakeTarget('y')], { affinity: (async () => 'a') as never })] },
    'affinity must return a string',
  ],
  [
    'toPrompt',
    { chain: [textGeneration({ baseURL: 'http://127.0.0.1:1', toPrompt: (async () => 'a') as never })] },
    'toPrompt must return a string, not a promise.',
  ],
])('F89: a promise from %s is a TypeError, not an answer', async ([, options, message]) => {
  const client = createClient({ ...options, defaultResponse: 'Busy.' })
  await expect(client.generate('Hi')).rejects.toThrow(message)
  await client.close()
})

test('a conversation that comes back from this library is taken', async () => {
  const client = createClient({ chain: [fakeTarget('Hello.')] })
  const messages = [
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    { role: 'assistant', content: '', reasoningText: '', toolCalls: [] },
    { role: 'assistant', content: '', toolCalls: [{ toolCallId: 'a', toolName: 'b', input: undefined }] },
    { role: 'tool', toolCallId: 'a', toolName: undefined, content: '' },
    { role: 'assistant', content: 'x', toolCalls: undefined, prefix: true },
  ] as const
  expect(await client.generate({ messages })).toMatchObject({ text: 'Hello.' })
})

test('no value that was given is in a message: it may be a key', () => {
  const secret = 'sk-very-secret-0123456789'
  for (const wrong of [{ chain, timeout: secret }, { chain: [secret] }, { chain, profile: secret }, { chain, clock: secret }]) {
    const make = () => createClient(wrong as unknown as ClientOptions)
    expect(make).toThrow(TypeError)
    expect(make).not.toThrow(secret)
  }
})
