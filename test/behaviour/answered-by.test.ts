import { expect } from 'vitest'
import { createClient, openaiCompatible, pool, type Provider, ProviderError, StreamInterruptedError } from '../../src/index.ts'
import { answer, fakeClock, fakeTarget, json, recordEvents } from '../../src/testing/index.ts'
import { requestsOf } from '../../src/answer/answer-stream.ts'
import { test } from '../helpers/vitest.ts'

const canPrefix = { prefix: true }
const named = (name: string, place: { targetIndex: number; step: number; attempt: number }) => ({
  ...{ provider: name, model: 'fake-1', name: undefined },
  ...place,
})

test('a stream says from the beginning who answers, by the place among targets and steps and by the request', async () => {
  const clock = fakeClock()
  const events = recordEvents()
  const first = fakeTarget({ error: 'overloaded' }, { name: 'first', retry: 0 })
  const second = fakeTarget([{ error: 'server-error' }, { text: ['a', 'b'] }], { name: 'second', retry: 1 })
  const client = createClient({
    chain: [pool([first, { ...first, name: 'twin' }]), { ...second, name: 'mine' }],
    ...{ clock, onEvent: events.listener, hedge: false },
  })
  const stream = await clock.until(client.stream('Hi'))
  const expected = { provider: 'second', model: 'fake-1', name: 'mine', targetIndex: 2, step: 1, attempt: 2 }
  expect(stream.answeredBy).toEqual(expected)
  expect(await stream.text()).toBe('ab')
  expect(stream.answeredBy).toEqual(expected)
  expect(events.of('commit')).toMatchObject([expected])
})

test.for(['restart', 'continue'] as const)('after a %s it is the one who made what came then', async kind => {
  const clock = fakeClock()
  const broken = fakeTarget({ text: ['one', 'two'], chunkEveryMs: 100, cutAfterChunks: 1 }, { name: 'broken', retry: 0 })
  const able = fakeTarget('rest', { name: 'able', capabilities: canPrefix })
  const client = createClient({ chain: [broken, able], clock, afterFirstToken: kind })
  const stream = await clock.until(client.stream('Hi'))
  const seen = [stream.answeredBy.provider]
  const read = async () => {
    for await (const event of stream) seen.push(`${event.type} ${stream.answeredBy.provider}`)
  }
  await clock.until(read())
  expect(seen).toEqual(['broken', 'text-delta broken', `${kind} able`, 'text-delta able', 'finish able'])
  expect(stream.answeredBy).toEqual(named('able', { targetIndex: 1, step: 1, attempt: 1 }))
})

test('one who was asked and brought nothing has answered nothing', async () => {
  const clock = fakeClock()
  const broken = fakeTarget({ text: ['one', 'two'], cutAfterChunks: 1 }, { name: 'broken', retry: 0 })
  const dead = fakeTarget({ error: 'authentication' }, { name: 'dead' })
  const client = createClient({ chain: [broken, dead], clock, afterFirstToken: 'restart' })
  const stream = await clock.until(client.stream('Hi'))
  await expect(clock.until(stream.text())).rejects.toThrow(StreamInterruptedError)
  expect(stream.answeredBy).toEqual(named('broken', { targetIndex: 0, step: 0, attempt: 1 }))
})

test('what is held back and lost is nobody: the stream opens with the one who makes the first shown text', async () => {
  const clock = fakeClock()
  const broken = fakeTarget({ text: ['one', 'two'], cutAfterChunks: 1 }, { name: 'broken', retry: 0 })
  const client = createClient({ chain: [broken, fakeTarget('whole', { name: 'good' })], clock, holdBackChars: 100 })
  const stream = await clock.until(client.stream('Hi'))
  expect(stream.answeredBy).toEqual(named('good', { targetIndex: 1, step: 1, attempt: 1 }))
  expect(await stream.text()).toBe('whole')
})

test('the default response is nobody’s: default and -1', async () => {
  const clock = fakeClock()
  const client = createClient({ chain: [fakeTarget({ error: 'quota' })], clock, defaultResponse: 'Later.' })
  const stream = await clock.until(client.stream('Hi'))
  const nobody = { provider: 'default', model: 'default', name: undefined, targetIndex: -1, step: -1, attempt: 0 }
  expect(stream.answeredBy).toEqual(nobody)
  expect(await stream.result()).toMatchObject({ text: 'Later.', provider: 'default', targetIndex: -1, step: -1 })
})

test('a resumed stream is its own', async () => {
  const clock = fakeClock()
  const target = fakeTarget([{ text: ['Hello', ' wor'], cutAfterChunks: 2 }, 'ld.'], { capabilities: canPrefix })
  const client = createClient({ chain: [target], clock })
  const broken = await clock.until(client.stream('Hi'))
  await expect(clock.until(broken.text())).rejects.toThrow(StreamInterruptedError)
  const resumed = await clock.until(broken.resume())
  expect(resumed.answeredBy).toEqual(named('fake', { targetIndex: 0, step: 0, attempt: 1 }))
  expect(await resumed.text()).toBe('Hello world.')
})

test('who wants the whole only has the last one, also without reading an event', async () => {
  const clock = fakeClock()
  const broken = fakeTarget({ text: ['one', 'two'], cutAfterChunks: 1 }, { name: 'broken', retry: 0 })
  const client = createClient({ chain: [broken, fakeTarget('whole', { name: 'good' })], clock, afterFirstToken: 'restart' })
  const stream = await clock.until(client.stream('Hi'))
  expect(stream.answeredBy.provider).toBe('broken')
  expect(await clock.until(stream.text())).toBe('whole')
  expect(stream.answeredBy.provider).toBe('good')
})

test('a request that its provider changed and sent again is the next one, also behind a restart', async ({ server }) => {
  const message = "Unsupported parameter: 'temperature' is not supported with this model."
  const refusal = json({ error: { message } }, { status: 400 })
  const cut = answer('one two', { cutAfterChunks: 1 })
  const of = async (name: string, reply: typeof cut) => {
    const { baseURL } = await server([refusal, reply], { format: 'openai' })
    return openaiCompatible('m', { name, baseURL, apiKey: 'key', retry: 0 })
  }
  const chain = [await of('one', cut), await of('two', answer('whole'))]
  const client = createClient({ chain, afterFirstToken: 'restart' })
  const stream = await client.stream({ prompt: 'Hi', temperature: 0.5 })
  const seen = [[stream.answeredBy.provider, stream.answeredBy.attempt]]
  for await (const event of stream) if (event.type === 'restart') seen.push([event.provider, event.attempt])
  seen.push([stream.answeredBy.provider, stream.answeredBy.attempt])
  expect(seen).toEqual([
    ['one', 2],
    ['two', 2],
    ['two', 2],
  ])
  await client.close()
})

test('the commit names the request whose answer it is, also where its continuation failed', async () => {
  for (const ask of ['generate', 'stream'] as const) {
    const target = fakeTarget([{ text: 'one ', finishReason: 'length' }, { error: 'server-error' }], {
      ...{ capabilities: canPrefix, retry: 0 },
    })
    const events = recordEvents()
    const client = createClient({ chain: [target], onEvent: events.listener })
    const input = { prompt: 'Count.', continueOnLength: 1 }
    const { text, attempts } = await (ask === 'generate' ? client.generate(input) : (await client.stream(input)).result())
    expect([text, attempts.map(({ outcome }) => outcome)]).toEqual(['one ', ['answered', 'failed']])
    expect(events.of('commit')).toMatchObject([{ attempt: 1 }])
  }
})

test('a stream counts the requests that were made for it, and no target that was skipped', async ({ clock }) => {
  const chain = [
    fakeTarget('never', { clock, when: () => false }),
    fakeTarget({ error: 'overloaded' }, { clock, retry: 0 }),
    fakeTarget('Hello.', { clock }),
  ]
  const client = createClient({ chain, clock })
  expect(requestsOf(await clock.until(client.stream('Hi')))).toBe(2)
  const alone = createClient({ chain: chain.slice(2), clock })
  expect(requestsOf(await clock.until(alone.stream('Hi')))).toBe(1)
})

test.for([false, true])(
  'a stream counts the hedge too; its provider changes the request meanwhile: %s',
  async (isChanged, { clock }) => {
    const failure = new ProviderError('Not so.', { reason: 'invalid-request' })
    const provider: Provider = {
      name: 'changing',
      async stream(_, { emit }) {
        emit({ type: 'queued' })
        await new Promise<void>(resolve => clock.setTimeout(resolve, 9_000))
        if (isChanged) emit({ type: 'asked-again', failure })
        emit({ type: 'text-delta', text: 'Hello.' })
        emit({ type: 'finish', finishReason: 'stop' })
      },
    }
    const hedge = { budget: 1, queuedMs: 8_000 }
    const client = createClient({ chain: [{ provider, model: 'm' }, fakeTarget({ hang: true }, { clock })], clock, hedge })
    const stream = await clock.until(client.stream('Hi'))
    expect(requestsOf(stream)).toBe(isChanged ? 3 : 2)
    expect((await stream.result()).attempts).toHaveLength(isChanged ? 3 : 2)
  },
)
