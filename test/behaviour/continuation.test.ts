import { expect, test } from 'vitest'
import { z } from 'zod'
import { array, createClient, StreamInterruptedError } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

const canPrefix = { prefix: true }

/** What a reader has on the screen: a restart clears it. */
async function screen(stream: AsyncIterable<{ type: string; text?: string }>): Promise<string> {
  let shown = ''
  for await (const event of stream) {
    if (event.type === 'restart') shown = ''
    if (event.type === 'text-delta') shown += event.text
  }
  return shown
}

async function all<Event>(stream: AsyncIterable<Event>): Promise<readonly Event[]> {
  const events: Event[] = []
  for await (const event of stream) events.push(event)
  return events
}

test('a stream that breaks after its first content throws what has come, and glues nothing to it', async () => {
  const broken = fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 }, { name: 'broken' })
  const client = createClient({ chain: [broken, fakeTarget('never')] })
  const stream = await client.stream('Hi')
  const error: unknown = await screen(stream).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StreamInterruptedError)
  expect(error).toMatchObject({ text: 'Hello wor', failure: { reason: 'truncated' } })
})

test('with restart, an event precedes the new attempt and the text holds one answer only', async () => {
  const broken = fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 }, { name: 'broken', retry: 0 })
  const client = createClient({ chain: [broken, fakeTarget('Good day.')], afterFirstToken: 'restart' })
  const stream = await client.stream('Hi')
  expect(await screen(stream)).toBe('Good day.')
  expect(await stream.result()).toMatchObject({ text: 'Good day.', provider: 'fake' })
})

test('with continue, the text goes on where it broke, on a target that can', async () => {
  const broken = fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 }, { name: 'broken', retry: 0 })
  const able = fakeTarget('ld.', { name: 'able', capabilities: canPrefix })
  const client = createClient({ chain: [broken, able], afterFirstToken: 'continue' })
  const stream = await client.stream({ prompt: 'Hi', maxOutputTokens: 10 })
  expect(await screen(stream)).toBe('Hello world.')
  expect(able.provider.calls[0]?.call).toMatchObject({ prefix: { text: 'Hello wor' }, maxOutputTokens: 8 })
  const { attempts } = await stream.result()
  expect(attempts.map(({ continuedFrom }) => continuedFrom)).toEqual([undefined, 9])
})

test('resume() goes on from what an interrupted stream had shown', async () => {
  const target = fakeTarget([{ text: ['Hello', ' wor'], cutAfterChunks: 2 }, 'ld.'], { capabilities: canPrefix })
  const client = createClient({ chain: [target] })
  const error: unknown = await (await client.stream('Hi')).text().catch((thrown: unknown) => thrown)
  if (!(error instanceof StreamInterruptedError)) throw new Error('expected an interrupted stream', { cause: error })
  expect(await (await error.resume()).text()).toBe('Hello world.')
})

test('a broken stream is resumed in the form of its call, and one that is whole is not', async () => {
  const target = fakeTarget([{ text: ['["ti', 'ger'], cutAfterChunks: 2 }, '{"elements":["tiger"]}'], { retry: 0 })
  const stream = await createClient({ chain: [target] }).stream({ prompt: 'Hi', output: array(z.string()) })
  await expect(stream.text()).rejects.toBeInstanceOf(StreamInterruptedError)
  const resumed = await stream.resume()
  const types = (await all(resumed)).map(({ type }) => type)
  expect(types).toEqual(['restart', 'text-delta', 'partial-output', 'element', 'finish'])
  expect((await resumed.result()).output).toEqual(['tiger'])
  await expect(resumed.resume()).rejects.toThrow('this answer is complete')
})

const breaks = [
  ['a cut', { cutAfterChunks: 2 }, 'truncated'],
  ['a lost connection', { error: 'network', errorAfterChunks: 2 }, 'network'],
  ['an error inside the stream', { error: 'overloaded', errorAfterChunks: 2 }, 'overloaded'],
  ['a stall', { hangAfterChunks: 2 }, 'timeout'],
] as const

test.for(breaks)('%s is told as the reason by the error and by the stream that goes on after it', async ([, how, reason]) => {
  const clock = fakeClock()
  const target = fakeTarget([{ text: ['Hello', ' wor'], ...how }, 'ld.'], { capabilities: canPrefix, clock })
  const client = createClient({ chain: [target], clock })
  const error: unknown = await clock.until((await client.stream('Hi')).text().catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ failure: { reason }, attempts: [{ reason }] })
  const events = await all(await (error as StreamInterruptedError).resume())
  expect(events[0]).toMatchObject({ type: 'continue', reason })
})

test('those that bring nothing after a break do not change its reason, neither in events nor in the error', async () => {
  const broken = fakeTarget({ text: ['Hello', ' wor'], error: 'network', errorAfterChunks: 2 }, { name: 'broken', retry: 0 })
  const closed = fakeTarget({ error: 'authentication' }, { name: 'closed' })
  const healed = createClient({ chain: [broken, closed, fakeTarget('Good day.')], afterFirstToken: 'restart' })
  const events = await all(await healed.stream('Hi'))
  expect(events.find(({ type }) => type === 'restart')).toMatchObject({ reason: 'network' })
  const client = createClient({ chain: [broken, closed], afterFirstToken: 'restart' })
  const error: unknown = await (await client.stream('Hi')).text().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ failure: { reason: 'network', provider: 'broken' } })
})

test('a break while the text is held back is healed unseen', async () => {
  const broken = fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 }, { name: 'broken', retry: 0 })
  const client = createClient({ chain: [broken, fakeTarget('Good day to you.')], holdBackChars: 12 })
  const events: string[] = []
  for await (const event of await client.stream('Hi')) events.push(event.type === 'text-delta' ? event.text : event.type)
  expect(events.join('')).toBe('Good day to you.finish')
})

test('generate() goes on with a long answer instead of paying for it twice', async () => {
  const target = fakeTarget([{ text: ['Hello', ' wor'], cutAfterChunks: 2 }, 'ld.'], { capabilities: canPrefix })
  const client = createClient({ chain: [target], afterFirstToken: 'continue', retry: { baseDelayMs: 1 } })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hello world.' })
})

test('a provider that reports no number of tokens breaks no continuation: the deltas count', async () => {
  const script = { text: ['one ', 'two '], finishReason: 'length', usage: { outputTokens: Number.NaN } } as const
  const target = fakeTarget(script, { capabilities: canPrefix })
  const client = createClient({ chain: [target], continueOnLength: 1 })
  await client.generate({ prompt: 'Count.', maxOutputTokens: 5 })
  expect(target.provider.calls.map(({ call }) => call.maxOutputTokens)).toEqual([5, 3])
})

test('an answer that stopped at the output limit of its target is gone on with', async () => {
  const target = fakeTarget([{ text: 'Hello', finishReason: 'length' }, { text: ' world', finishReason: 'length' }, '.'], {
    capabilities: canPrefix,
  })
  const client = createClient({ chain: [target], continueOnLength: 2 })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hello world.', finishReason: 'stop' })
  const short = fakeTarget([{ text: 'Hello', finishReason: 'length' }, { error: 'overloaded' }], { capabilities: canPrefix })
  const answer = await createClient({ chain: [short], continueOnLength: 2 }).generate('Hi')
  expect(answer).toMatchObject({ text: 'Hello', finishReason: 'length' })
})
