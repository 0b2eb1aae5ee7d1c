import { expect, test } from 'vitest'
import { z } from 'zod'
import { createClient, type Message, StreamInterruptedError } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

type Turn = { role: 'user' | 'assistant'; content: string }

/** A chat page: after the call it changes what is there already and adds the place of the answer. */
function chat(): { readonly messages: Turn[]; change(): void } {
  const messages: Turn[] = [{ role: 'user', content: 'Hi' }]
  return {
    messages,
    change() {
      messages[0]!.content = 'changed'
      messages.push({ role: 'assistant', content: '' })
    },
  }
}

const told = (calls: readonly { readonly call: { readonly messages: readonly Message[] } }[]) =>
  calls.map(({ call }) => call.messages)
const asked = [{ role: 'user', content: 'Hi' }]

test('F81: retries and fallbacks ask what was asked, whatever becomes of the conversation', async () => {
  const { messages, change } = chat()
  const first = fakeTarget({ error: 'overloaded' }, { name: 'first', retry: { maxRetries: 1, baseDelayMs: 0, rounds: 1 } })
  const second = fakeTarget('Hello.', { name: 'second' })
  const client = createClient({ chain: [first, second] })
  const answer = client.generate({ messages })
  change()
  await answer
  expect(told([...first.provider.calls, ...second.provider.calls])).toEqual([asked, asked, asked])
  await client.close()
})

test('F81: so do a stream, and what resumes it', async () => {
  const { messages, change } = chat()
  const target = fakeTarget([{ text: ['Hello', ' wor'], cutAfterChunks: 2 }, 'ld.'], { capabilities: { prefix: true } })
  const client = createClient({ chain: [target] })
  const opening = client.stream({ messages })
  change()
  const error: unknown = await (await opening).text().catch((thrown: unknown) => thrown)
  if (!StreamInterruptedError.isInstance(error)) throw new Error('expected an interrupted stream', { cause: error })
  messages.length = 0
  await (await error.resume()).text()
  expect(told(target.provider.calls)).toEqual([asked, asked])
  await client.close()
})

test('F81: so does a call with a schema, whose first words may wait for a converter', async () => {
  const { messages, change } = chat()
  const target = fakeTarget('{"a":1}')
  const client = createClient({ chain: [target] })
  const stopSequences = ['one']
  const extraBody: Record<string, unknown> = { a: 1 }
  const answer = client.generate({ messages, stopSequences, extraBody, output: z.object({ a: z.number() }) })
  change()
  stopSequences.push('two')
  extraBody['b'] = 2n
  await answer
  expect(target.provider.calls[0]?.call.messages.at(-1)).toEqual(asked[0])
  expect(target.provider.calls[0]?.call).toMatchObject({ stopSequences: ['one'], extraBody: { a: 1 } })
  expect(target.provider.calls[0]?.call.extraBody).not.toHaveProperty('b')
  await client.close()
})
