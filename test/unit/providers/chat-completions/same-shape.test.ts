import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { readAnswer } from '../../../../src/providers/chat-answer/read-answer.ts'
import { learnShape, noShape, textOfSame } from '../../../../src/providers/chat-answer/read-event.ts'
import { anyText } from '../../../helpers/any-text.ts'

type Delta = Readonly<Record<string, unknown>>

/** Every event, without the fields of a server's own, in which the two streams differ on purpose. */
function eventsOf(frames: readonly string[]): string[] {
  const events: string[] = []
  const emit = (event: ProviderEvent) => events.push(JSON.stringify({ ...event, providerMetadata: undefined })) > 0
  const reader = readAnswer({ status: 200, headers: {}, emit })
  for (const frame of frames) reader.write(`data: ${frame}\n\n`)
  reader.write('data: {"id":"x","choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
  reader.end()
  return events
}

/** Keys in another order in each frame: no frame is like the one before, so each is parsed. */
function unlike(frames: readonly Delta[]): string[] {
  return frames.map((delta, index) => JSON.stringify({ ['_'.repeat(1 + (index % 7) * 3)]: index, ...frameOf(delta) }))
}

function frameOf(delta: Delta): Delta {
  return { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }] }
}

const text = fc.oneof(fc.string(), anyText(), fc.constantFrom('"', '\\', '\n', '","x":"', '"}', '\u2028', '😀', 'Hi'))
const delta = fc.oneof(
  { weight: 6, arbitrary: text.map(content => ({ content })) },
  { weight: 3, arbitrary: text.map(reasoning => ({ content: null, reasoning_content: reasoning })) },
  { weight: 1, arbitrary: fc.record({ content: text, reasoning: text, role: fc.constant('assistant') }) },
)

test('chunks that are alike give the same events as chunks that are parsed one by one', () => {
  const property = fc.property(fc.array(delta, { minLength: 1, maxLength: 30 }), deltas => {
    const first: Delta = { content: 'So' }
    const alike = [first, ...deltas].map(one => JSON.stringify(frameOf(one)))
    expect(eventsOf(alike)).toEqual(eventsOf(unlike([first, ...deltas])))
  })
  fc.assert(property, { numRuns: 2_000 })
})

test.each([
  ['the name stands somewhere else too', '{"note":{"content":"Hi"},"choices":[{"delta":{"content" : "Hi"}}]}'],
  ['the name stands twice in the same object', '{"choices":[{"delta":{"content":"Ho","content":"Hi"}}]}'],
  [
    'the name is escaped, and the text stands somewhere else',
    '{"note":{"content":"Hi"},"choices":[{"delta":{"\\u0063ontent":"Hi"}}]}',
  ],
])('a text is not taken from the wrong place: %s', (_, data) => {
  const shape = noShape()
  learnShape(shape, data, { field: 'content', text: 'Hi' })
  expect(textOfSame(shape, data.replaceAll('"Hi"', '"Ha"'))).toBeUndefined()
})

test('a text is learned from a chunk that holds the name of its field once', () => {
  const shape = noShape()
  learnShape(shape, '{"choices":[{"delta":{"content":"Hi","reasoning_content":null}}]}', { field: 'content', text: 'Hi' })
  expect(textOfSame(shape, '{"choices":[{"delta":{"content":"Ho","reasoning_content":null}}]}')).toBe('Ho')
})

test('a server that puts something new into each chunk is not learned for ever', () => {
  const shape = noShape()
  const learnt: string[] = []
  for (let index = 0; index < 50; index++) {
    learnShape(shape, `{"content":"Hi","n":${index}}`, { field: 'content', text: 'Hi' })
    learnt.push(shape.after)
    expect(textOfSame(shape, `{"content":"Hi","n":${index + 1}}`)).toBeUndefined()
  }
  expect(new Set(learnt).size).toBe(4)
})
