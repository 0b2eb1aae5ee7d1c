import { expect } from 'vitest'
import { createClient, deepseek, StreamInterruptedError } from '../../src/index.ts'
import type { AnswerStream } from '../../src/index.ts'
import { answer, fakeTarget } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const thoughts = ['Let ', 'me ', 'think.']

async function read(stream: AnswerStream) {
  const seen: { shown: string; thought: string; events: string[]; restarts: unknown[]; error: unknown } = {
    ...{ shown: '', thought: '', events: [], restarts: [], error: undefined },
  }
  try {
    for await (const event of stream) {
      if (event.type === 'text-delta') seen.shown += event.text
      if (event.type === 'reasoning-delta') seen.thought += event.text
      if (event.type === 'restart') {
        seen.restarts.push(event)
        seen.thought = ''
        seen.shown = ''
      }
      if (seen.events.at(-1) !== event.type) seen.events.push(event.type)
    }
  } catch (error) {
    seen.error = error
  }
  return seen
}

for (const afterFirstToken of ['fail', 'restart', 'continue'] as const) {
  test(`a break while the model thinks is healed with '${afterFirstToken}', and told as reasoning that is lost (F8)`, async ({
    clock,
    events,
  }) => {
    const broken = fakeTarget({ reasoning: thoughts, cutAfterChunks: 2 }, { clock, name: 'broken', retry: 0 })
    const whole = fakeTarget({ reasoning: ['Well.'], text: 'Blue.' }, { clock, name: 'whole' })
    const client = createClient({ chain: [broken, whole], clock, afterFirstToken, onEvent: events.listener })
    const stream = await clock.until(client.stream('Hi'))
    const seen = await clock.until(read(stream))
    expect(seen).toMatchObject({ shown: 'Blue.', thought: 'Well.', error: undefined })
    expect(seen.events).toEqual(['reasoning-delta', 'restart', 'reasoning-delta', 'text-delta', 'finish'])
    expect(seen.restarts).toEqual([
      {
        ...{ type: 'restart', provider: 'whole', model: 'fake-1', targetIndex: 1, attempt: 1, reason: 'truncated' },
        ...{ discardedCharacters: 'Let me '.length, lost: 'reasoning' },
      },
    ])
    expect(await stream.result()).toMatchObject({ text: 'Blue.', reasoningText: 'Well.', provider: 'whole' })
  })
}

test('a reset over a real socket while DeepSeek thinks is healed by the same target (F8)', async ({ server }) => {
  const { baseURL } = await server([
    answer('Never.', { reasoning: thoughts, cutAfterChunks: 2, cutBy: 'rst' }),
    answer('Blue.', { reasoning: ['Well.'] }),
  ])
  await using client = createClient({
    chain: [deepseek({ baseURL, apiKey: 'sk-test-0123456789abcdef' })],
    retry: { baseDelayMs: 1 },
  })
  expect(await read(await client.stream('Hi'))).toMatchObject({
    ...{ shown: 'Blue.', thought: 'Well.', error: undefined },
    restarts: [{ lost: 'reasoning', provider: 'deepseek', attempt: 2 }],
  })
})

test("from the first text or piece of a tool call on a break is the reader's with 'fail' (F8)", async ({ clock }) => {
  const toolCalls = [{ toolName: 'weather', input: { city: 'Oslo' } }]
  const tools = { weather: { inputSchema: { type: 'object' } } } as const
  for (const broken of [
    { reasoning: thoughts, text: ['One ', 'two'], cutAfterChunks: 4 },
    { reasoning: thoughts, toolCalls, cutAfterChunks: 4 },
  ]) {
    const chain = [fakeTarget(broken, { clock, retry: 0 }), fakeTarget('Blue.', { clock })]
    const client = createClient({ chain, clock })
    const seen = await clock.until(
      client.stream({ prompt: 'Hi', tools }).then(read as (stream: unknown) => ReturnType<typeof read>),
    )
    expect(seen.error).toBeInstanceOf(StreamInterruptedError)
    expect(seen.restarts).toEqual([])
    expect(chain[1]?.provider.calls).toHaveLength(0)
  }
})

test('a restart that takes a text back says nothing of reasoning', async ({ clock }) => {
  const broken = { reasoning: thoughts, text: ['One ', 'two'], cutAfterChunks: 4 }
  const chain = [fakeTarget(broken, { clock, retry: 0 }), fakeTarget('Blue.', { clock })]
  const client = createClient({ chain, clock, afterFirstToken: 'restart' })
  const seen = await clock.until(client.stream('Hi').then(read))
  expect(seen).toMatchObject({ shown: 'Blue.', error: undefined })
  expect(seen.restarts).toHaveLength(1)
  expect(seen.restarts[0]).not.toHaveProperty('lost')
})

test('where nobody is left the thoughts are what broke off, and every failure is told (F8)', async ({ clock }) => {
  const chain = ['one', 'two'].map(name => fakeTarget({ reasoning: thoughts, cutAfterChunks: 2 }, { clock, name, retry: 0 }))
  const client = createClient({ chain, clock })
  const seen = await clock.until(client.stream('Hi').then(read))
  expect(seen.error).toBeInstanceOf(StreamInterruptedError)
  expect(seen.error).toMatchObject({ text: '', reasoningText: 'Let me ' })
  expect(seen.restarts).toHaveLength(1)
})
