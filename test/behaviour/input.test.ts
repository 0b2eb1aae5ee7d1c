import { createClient, type ClientOptions, deepseek, type GenerateInput } from 'unbusy'
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
  [{ chain, timeout: { totalMs: '5s' } }, 'timeout: totalMs must be milliseconds, 0 or more, not a text.'],
  [{ chain, timeout: { totalMs: Number.NaN } }, 'totalMs must be milliseconds, 0 or more, not NaN.'],
  [{ chain, retry: -1 }, 'retry must be a whole number, 0 or more'],
  [{ chain, breaker: true }, 'breaker must be an object'],
  [{ chain, breaker: { failureRatio: 0 } }, 'failureRatio must be above 0. Write breaker: false to turn the breaker off.'],
  [{ chain, afterFirstToken: 'glue' }, "afterFirstToken must be one of 'fail', 'restart', 'continue'."],
  [{ chain, logger: console.log }, "logger must have pino's methods debug, info and warn"],
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
  [{ promt: 'Hi' }, "there is no option 'promt'. Did you mean 'prompt'?"],
  [{ prompt: 'Hi', temperature: -1 }, 'temperature must be a number, 0 or more, not -1.'],
  [{ prompt: 'Hi', topP: 2 }, 'topP must be a number from 0 to 1, not 2.'],
  [{ prompt: 'Hi', maxOutputTokens: 0 }, 'maxOutputTokens must be a whole number, 1 or more, not 0.'],
  [{ prompt: 'Hi', signal: {} }, 'signal must be an AbortSignal'],
  [{ prompt: 'Hi', reasoning: 'medium' }, "reasoning must be one of 'off', 'low', 'high', 'max'."],
  [{ messages: [{ role: 'bot', content: 'x' }] }, 'messages[0].role must be one of'],
  [{ messages: [{ role: 'assistant', content: null }] }, 'messages[0].content must be a text, not null.'],
  [{ messages: [{ role: 'user', content: [{ type: 'image', url: 'x' }] }] }, "messages[0].content[0] must be { type: 'text'"],
] as const)('generate(%j) says what to write instead, before anything is sent', async ([input, message]) => {
  const target = fakeTarget('Hello.')
  const client = createClient({ chain: [target] })
  await expect(client.generate(input as unknown as GenerateInput)).rejects.toThrow(TypeError)
  await expect(client.generate(input as unknown as GenerateInput)).rejects.toThrow(message)
  await expect(client.stream(input as unknown as GenerateInput)).rejects.toThrow(message)
  expect(target.provider.calls).toHaveLength(0)
})

test('no value that was given is in a message: it may be a key', () => {
  const secret = 'sk-very-secret-0123456789'
  for (const wrong of [{ chain, timeout: secret }, { chain: [secret] }, { chain, profile: secret }, { chain, clock: secret }]) {
    expect(() => createClient(wrong as unknown as ClientOptions)).toThrow(expect.not.stringContaining(secret))
  }
})
