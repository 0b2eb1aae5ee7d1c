import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import type { Call, ProviderEvent } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import type { EmbeddedOptions } from '../../../src/embedded/embedded.ts'
import { createEmbedded, embedded } from '../../../src/embedded/embedded.ts'
import { createEngine } from '../../../src/embedded/engine.ts'
import type { ChatItem, GenerateOptions, NodeLlamaCpp } from '../../../src/embedded/node-llama-cpp.ts'

type Told = { readonly history: readonly ChatItem[]; readonly options: GenerateOptions }

/** A library that writes what a script says, and tells what it was given. */
function fakeLibrary(script: (told: Told) => Promise<string>, contextSize = 100) {
  const told: Told[] = []
  const counts = { loaded: 0, disposed: 0 }
  const chats = { begun: 0, disposed: 0 }
  const library: NodeLlamaCpp = {
    getLlama: () =>
      Promise.resolve({
        async loadModel() {
          counts.loaded += 1
          const tokenMeter = { getState: () => ({}), diff: () => ({ usedInputTokens: 5, usedOutputTokens: 2 }) }
          return Promise.resolve({
            tokenizer: {},
            createContext: () => Promise.resolve({ contextSize, getSequence: () => ({ tokenMeter }) }),
          })
        },
        getGrammarFor: type => Promise.resolve({ grammar: type }),
        createGrammarForJsonSchema: schema => Promise.resolve({ grammar: JSON.stringify(schema) }),
        async dispose() {
          counts.disposed += 1
          return Promise.resolve()
        },
      }),
    LlamaChat: class {
      chatWrapper = {
        generateContextState: ({ chatHistory }: { chatHistory: readonly ChatItem[] }) => ({
          contextText: { tokenize: () => JSON.stringify(chatHistory).split(' ') },
        }),
      }
      async generateResponse(history: readonly ChatItem[], options: GenerateOptions) {
        chats.begun += 1
        told.push({ history, options })
        return { metadata: { stopReason: await script({ history, options }) } }
      }
      dispose() {
        chats.disposed += 1
      }
    },
  }
  return { library, told, counts, chats }
}

function targetOf(library: NodeLlamaCpp, parallel = 1) {
  const engine = createEngine({ modelPath: import.meta.filename, parallel, gpu: false }, () => Promise.resolve(library))
  return createEmbedded(engine, import.meta.filename)
}

async function ask(provider: Target['provider'], call: Partial<Call> = {}, signal = new AbortController().signal) {
  const events: ProviderEvent[] = []
  const emit = (event: ProviderEvent) => events.push(event) > 0
  await provider.stream(
    { model: 'x', messages: [{ role: 'user', content: 'Hi' }], metadata: {}, ...call },
    { signal, emit, onDrain() {} },
  )
  return events
}

const hello = ({ options }: Told) => {
  options.onResponseChunk({ segmentType: 'thought', text: 'Hm.' })
  options.onResponseChunk({ text: 'Hello' })
  options.onResponseChunk({ text: '' })
  return Promise.resolve('eogToken')
}

test('thoughts, text, finish and tokens', async () => {
  expect(await ask(targetOf(fakeLibrary(hello).library))).toEqual([
    { type: 'reasoning-delta', text: 'Hm.' },
    { type: 'text-delta', text: 'Hello' },
    { type: 'finish', finishReason: 'stop', usage: { inputTokens: 5, outputTokens: 2, totalTokens: 7 } },
  ])
})

test('blanks alone are no content: they wait for their text, and a model that writes nothing else has not answered (R44)', async () => {
  const written = (...texts: readonly string[]) =>
    targetOf(
      fakeLibrary(({ options }) => {
        for (const text of texts) options.onResponseChunk({ text })
        return Promise.resolve('eogToken')
      }).library,
    )
  const [first] = await ask(written('\n', ' Hello', ' '))
  expect(first).toEqual({ type: 'text-delta', text: '\n Hello' })
  const events: ProviderEvent[] = []
  const attempt = { signal: new AbortController().signal, emit: (event: ProviderEvent) => events.push(event) > 0, onDrain() {} }
  const call = { model: 'x', messages: [{ role: 'user', content: 'Hi' }], metadata: {} } as const
  await expect(written('\n', '  ').stream(call, attempt)).rejects.toMatchObject({ reason: 'empty' })
  expect(events).toEqual([])
})

test('what the library is given', async () => {
  const { library, told } = fakeLibrary(hello)
  await ask(targetOf(library), {
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'One?' }] },
      { role: 'assistant', content: 'One.', reasoningText: 'I count.' },
      { role: 'user', content: 'Two?' },
    ],
    temperature: 0.5,
    topP: 0.9,
    seed: 0,
    maxOutputTokens: 1000,
    stopSequences: ['END'],
    reasoning: 'off',
    output: { type: 'json', schema: { type: 'object' } },
  })
  const [{ history, options } = { history: [], options: undefined }] = told
  const { signal: _, onResponseChunk: __, ...settings } = options ?? {}
  expect({ history, settings }).toMatchInlineSnapshot(`
    {
      "history": [
        {
          "text": "Be brief.

    Answer in JSON that conforms to this JSON Schema: {"type":"object"}",
          "type": "system",
        },
        {
          "text": "One?",
          "type": "user",
        },
        {
          "response": [
            "One.",
          ],
          "type": "model",
        },
        {
          "text": "Two?",
          "type": "user",
        },
        {
          "response": [],
          "type": "model",
        },
      ],
      "settings": {
        "budgets": {
          "thoughtTokens": 0,
        },
        "customStopTriggers": [
          "END",
        ],
        "grammar": {
          "grammar": "{"type":"object"}",
        },
        "maxTokens": 89,
        "seed": 0,
        "temperature": 0.5,
        "topP": 0.9,
      },
    }
  `)
})

test('the model is loaded once, by the first call', async () => {
  const { library, counts } = fakeLibrary(hello)
  const provider = targetOf(library)
  expect(counts.loaded).toBe(0)
  await Promise.all([ask(provider), ask(provider), ask(provider)])
  expect(counts.loaded).toBe(1)
})

test('close lets go of the memory, and the next call loads again', async () => {
  const { library, counts } = fakeLibrary(hello)
  const provider = targetOf(library)
  await provider.close?.()
  await ask(provider)
  await provider.close?.()
  await ask(provider)
  expect(counts).toEqual({ loaded: 2, disposed: 1 })
})

/** Writes when it is let. */
function gated() {
  const gates: (() => void)[] = []
  const script = async ({ options }: Told) => {
    await new Promise<void>(resolve => gates.push(resolve))
    options.onResponseChunk({ text: 'Hello' })
    return 'eogToken'
  }
  return { gates, ...fakeLibrary(script) }
}

const settled = () => new Promise(resolve => setImmediate(resolve))

test('answers wait in line for a free context, and say so; who leaves the line is not missed', async () => {
  const { gates, library, counts } = gated()
  const provider = targetOf(library)
  const leaving = new AbortController()
  const first = ask(provider)
  await settled()
  const second = ask(provider, {}, leaving.signal)
  const third = ask(provider)
  await settled()
  expect(await provider.load?.(leaving.signal)).toEqual({ running: 1, waiting: 2 })
  leaving.abort('enough')
  await expect(second).rejects.toBe('enough')
  const closed = provider.close?.()
  gates.shift()?.()
  await first
  await settled()
  gates.shift()?.()
  expect((await third)[0]).toEqual({ type: 'queued' })
  await closed
  expect(counts.disposed).toBe(1)
  expect(await provider.load?.(leaving.signal)).toEqual({ running: 0, waiting: 0 })
})

test('who had to wait and then got its turn leaves no listener, and its later abort throws nobody out of the line (R114)', async () => {
  const { gates, library } = gated()
  const provider = targetOf(library)
  const seated = new AbortController()
  const first = ask(provider)
  await settled()
  const second = ask(provider, {}, seated.signal)
  await settled()
  gates.shift()?.()
  await first
  await settled()
  expect(getEventListeners(seated.signal, 'abort')).toHaveLength(0)
  const third = ask(provider)
  await settled()
  seated.abort('enough')
  expect(await provider.load?.(new AbortController().signal)).toEqual({ running: 1, waiting: 1 })
  gates.shift()?.()
  await expect(second).rejects.toBe('enough')
  await settled()
  gates.shift()?.()
  expect((await third).at(-1)).toMatchObject({ type: 'finish' })
})

test('every chat is disposed of, also when its answer failed or was aborted', async () => {
  const whole = fakeLibrary(hello)
  await ask(targetOf(whole.library))
  expect(whole.chats).toEqual({ begun: 1, disposed: 1 })
  const controller = new AbortController()
  const broken = fakeLibrary(({ options }) => {
    if (options.signal.aborted) return Promise.reject(options.signal.reason as Error)
    return Promise.reject(new Error('Object is disposed'))
  })
  const provider = targetOf(broken.library)
  await expect(ask(provider)).rejects.toMatchObject({ reason: 'server-error' })
  const left = ask(provider, {}, controller.signal)
  controller.abort('enough')
  await expect(left).rejects.toBe('enough')
  expect(broken.chats.disposed).toBe(broken.chats.begun)
})

test('an abort ends the answer with its own reason', async () => {
  const controller = new AbortController()
  const { library } = fakeLibrary(({ options }) => {
    controller.abort('enough')
    return Promise.reject(options.signal.reason as Error)
  })
  await expect(ask(targetOf(library), {}, controller.signal)).rejects.toBe('enough')
  await expect(ask(targetOf(library), {}, AbortSignal.abort('before'))).rejects.toBe('before')
})

test('a conversation that does not fit is a failure, not a shorter conversation', async () => {
  const { library, told } = fakeLibrary(hello, 10)
  const long = ask(targetOf(library), { messages: [{ role: 'user', content: 'word '.repeat(20) }] })
  await expect(long).rejects.toMatchObject({ reason: 'context-length', contextTokens: 10, requestedTokens: 21 })
  expect(told).toEqual([])
})

test('an answer never gets more tokens than the context has room for', async () => {
  const { library, told } = fakeLibrary(hello, 50)
  await ask(targetOf(library), { messages: [{ role: 'user', content: 'one two three' }] })
  expect(told[0]?.options.maxTokens).toBe(47)
})

test.each([
  ['nothing said', () => Promise.resolve('eogToken'), 'empty'],
  ['the library failed', () => Promise.reject(new Error('Object is disposed')), 'server-error'],
])('%s is a failure (%#)', async (_, script, reason) => {
  await expect(ask(targetOf(fakeLibrary(script).library))).rejects.toMatchObject({ name: 'ProviderError', reason })
})

test('the token limit is a finish', async () => {
  const { library } = fakeLibrary(() => Promise.resolve('maxTokens'))
  expect((await ask(targetOf(library))).at(-1)).toMatchObject({ type: 'finish', finishReason: 'length' })
})

test('without the package the failure says how to get it, and the next call tries again', async () => {
  let tries = 0
  const engine = createEngine({ modelPath: 'x', parallel: 1, gpu: false }, () => {
    tries += 1
    return Promise.reject(new Error('Cannot find package'))
  })
  const provider = createEmbedded(engine, 'x')
  await expect(ask(provider)).rejects.toMatchObject({
    reason: 'not-found',
    message: expect.stringContaining('npm install node-llama-cpp') as string,
  })
  await expect(ask(provider)).rejects.toMatchObject({ reason: 'not-found' })
  expect(tries).toBe(2)
})

test('what it cannot do is told without loading anything', () => {
  const { provider } = embedded({ modelPath: import.meta.filename })
  const refusalOf = (call: Partial<Call>) =>
    provider.refuse?.({ model: 'x', messages: [{ role: 'user', content: 'Hi' }], metadata: {}, ...call })?.message
  expect(refusalOf({})).toBeUndefined()
  expect(refusalOf({ tools: { now: { inputSchema: {} } } })).toMatch(/cannot call tools/)
  expect(refusalOf({ prefix: { text: 'a', reasoningText: '' } })).toMatch(/cannot continue/)
  expect(refusalOf({ messages: [{ role: 'user', content: [{ type: 'image', image: 'data:,' }] }] })).toMatch(/cannot see images/)
  const missing = embedded({ modelPath: '/no/such/model.gguf' }).provider
  expect(missing.refuse?.({ model: 'x', messages: [], metadata: {} })).toMatchObject({ reason: 'not-found' })
})

test('options: the model is called after its file, and mistakes are a TypeError', () => {
  expect(embedded({ modelPath: 'models/qwen3-1.7b-q4.gguf' })).toMatchObject({
    model: 'qwen3-1.7b-q4',
    price: { input: 0, output: 0 },
  })
  const wrong = (options: unknown) => () => embedded(options as EmbeddedOptions)
  expect(wrong(undefined)).toThrow(/options must be an object/)
  expect(wrong({})).toThrow(/modelPath must be the path of a GGUF file/)
  expect(wrong({ modelPath: 'x', parallel: 0 })).toThrow(/parallel must be a whole number above 0/)
  expect(wrong({ modelPath: 'x', gpu: true })).toThrow(/gpu must be 'auto' or false/)
  expect(wrong({ modelPath: 'x', path: 'y' })).toThrow(/there is no option 'path'/)
})

test('F58: half a character in a turn is replaced, as on the wire', async () => {
  const { library, told } = fakeLibrary(hello)
  await ask(targetOf(library), {
    messages: [
      { role: 'system', content: 'S\ud83d' },
      { role: 'user', content: 'U\ude00' },
      { role: 'assistant', content: 'A\ud83d', toolCalls: [{ toolCallId: 'a', toolName: 't', input: {} }] },
      { role: 'tool', toolCallId: 'a', content: 'T\ud83d\ude00\ud83d' },
    ],
  })
  const texts = told[0]?.history.map(item => (item.type === 'model' ? item.response[0] : item.text))
  expect(texts).toEqual(['S\ufffd', 'U\ufffd', 'A\ufffd', 'T\ud83d\ude00\ufffd', undefined])
})
