import { expect, onTestFinished, test } from 'vitest'
import type { Call, ProviderEvent } from '../../src/contract.ts'
import type { Target } from '../../src/contract-targets.ts'
import { llama } from '../../src/providers/llama.ts'
import type { LlamaOptions } from '../../src/providers/llama.ts'
import { apiKey, baseURL, keyURL, llamaRunning, llamaWithKey } from '../helpers/llama-running.ts'

const skip = { skip: llamaRunning.isMissing }
const { suffix } = llamaRunning

const { suffix: keySuffix } = llamaWithKey
const skipKey = { skip: llamaWithKey.isMissing }

test(`llama.cpp streams an answer, token by token, with its own figures${suffix}`, skip, async () => {
  const events = await ask(target())
  expect(events.filter(event => event.type === 'text-delta').length).toBeGreaterThan(3)
  expect(events.at(-1)).toMatchObject({
    type: 'finish',
    finishReason: 'length',
    usage: { outputTokens: 12 },
    providerMetadata: { timings: { predicted_n: 12 } },
  })
})

test(`llama.cpp answers the same as a stream and as JSON${suffix}`, skip, async () => {
  expect(textOf(await ask(target({ stream: false })))).toBe(textOf(await ask(target())))
})

test(
  `llama.cpp goes on from a beginning, and no text is doubled or lost at the seam, as a stream and as JSON (R32, R134)${suffix}`,
  skip,
  async () => {
    const beginning = 'Once upon a time, there'
    const messages: Call['messages'] = [
      { role: 'user', content: 'Tell me a story.' },
      { role: 'assistant', content: beginning, prefix: true },
    ]
    const whole = beginning + textOf(await ask(target(), { messages, maxOutputTokens: 16 }))
    for (const stream of [true, false]) {
      expect(beginning + textOf(await ask(target({ stream }), { messages, maxOutputTokens: 16 }))).toBe(whole)
      const prefix = { text: whole.slice(beginning.length, -5), reasoningText: '' }
      const rest = textOf(await ask(target({ stream }), { messages, prefix, maxOutputTokens: 16 }))
      expect(rest).not.toContain(beginning)
      expect(rest.startsWith(prefix.text)).toBe(false)
    }
  },
)

test(`llama.cpp is held to a schema${suffix}`, skip, async () => {
  const schema = { type: 'object', properties: { sunny: { type: 'boolean' } }, required: ['sunny'] }
  const text = textOf(await ask(target(), { output: { type: 'json', schema }, maxOutputTokens: 200 }))
  expect(JSON.parse(text)).toEqual({ sunny: expect.any(Boolean) as boolean })
})

test(`llama.cpp takes the conversation of other targets: reasoning, tools, every role${suffix}`, skip, async () => {
  const messages: Call['messages'] = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'The weather?' }] },
    {
      role: 'assistant',
      content: '',
      reasoningText: 'I look.',
      toolCalls: [{ toolCallId: 'a', toolName: 'weather', input: { city: 'Oslo' } }],
    },
    { role: 'tool', toolCallId: 'a', content: 'rain' },
    { role: 'user', content: 'And now?' },
  ]
  const tools: Call['tools'] = { weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } } } } }
  for (const reasoning of ['off', 'low', 'max'] as const) {
    expect((await ask(target(), { messages, tools, reasoning })).at(-1)?.type).toBe('finish')
  }
})

test(`llama.cpp says how much was too much${suffix}`, skip, async () => {
  const long = ask(target(), { messages: [{ role: 'user', content: 'word '.repeat(8000) }] })
  await expect(long).rejects.toMatchObject({
    reason: 'context-length',
    status: 400,
    contextTokens: expect.any(Number) as number,
    requestedTokens: expect.any(Number) as number,
  })
})

test(`llama.cpp without eyes refuses an image for good, although it says 500${suffix}`, skip, async () => {
  const image = 'data:image/png;base64,iVBORw0KGgo='
  const failed = ask(target(), { messages: [{ role: 'user', content: [{ type: 'image', image }] }] })
  await expect(failed).rejects.toMatchObject({ reason: 'invalid-request', status: 500 })
})

test(`an abort frees the slot of llama.cpp${suffix}`, skip, async () => {
  const busy = target()
  const running: Promise<unknown>[] = []
  const controller = new AbortController()
  for (const _ of [1, 2]) {
    const started = Promise.withResolvers<undefined>()
    const onEvent = (event: ProviderEvent) => void (event.type === 'text-delta' && started.resolve(undefined))
    const call = { maxOutputTokens: 1500, extraBody: { ignore_eos: true } }
    running.push(ask(busy, call, { signal: controller.signal, onEvent }).catch((error: unknown) => error))
    await started.promise
  }
  controller.abort('enough')
  expect(await Promise.all(running)).toEqual(['enough', 'enough'])
  // both slots are free again: otherwise this would wait for 3,000 tokens
  expect((await ask(busy)).at(-1)?.type).toBe('finish')
  await expect.poll(() => busy.provider.load?.(new AbortController().signal)).toEqual({ running: 0, waiting: 0 })
})

test(`more requests than llama.cpp has slots wait and are all answered${suffix}`, skip, async () => {
  const shared = target()
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(shared)))
  expect(new Set(answers.map(events => events.at(-1)?.type))).toEqual(new Set(['finish']))
})

test(
  `llama.cpp with a key: the right one answers, a wrong one and none are authentication failures${keySuffix}`,
  skipKey,
  async () => {
    expect((await ask(target({ baseURL: keyURL, apiKey }))).at(-1)?.type).toBe('finish')
    for (const options of [{ apiKey: 'wrong-key' }, {}]) {
      await expect(ask(target({ baseURL: keyURL, ...options }))).rejects.toMatchObject({ reason: 'authentication', status: 401 })
    }
  },
)

function target(options: LlamaOptions = {}): Target {
  const created = llama({ baseURL, ...options })
  onTestFinished(() => created.provider.close?.())
  return created
}

type Asking = { readonly signal?: AbortSignal; onEvent?(event: ProviderEvent): void }

async function ask({ provider, model }: Target, call: Partial<Call> = {}, asking: Asking = {}): Promise<ProviderEvent[]> {
  const { signal = new AbortController().signal, onEvent } = asking
  const events: ProviderEvent[] = []
  const emit = (event: ProviderEvent) => {
    onEvent?.(event)
    return events.push(event) > 0
  }
  const messages: Call['messages'] = [{ role: 'user', content: 'Tell me a story.' }]
  const asked = { model, messages, maxOutputTokens: 12, temperature: 0, seed: 1, metadata: {}, ...call }
  await provider.stream(asked, { signal, emit, onDrain() {} })
  return events
}

function textOf(events: readonly ProviderEvent[]): string {
  return events.flatMap(event => (event.type === 'text-delta' ? event.text : [])).join('')
}
