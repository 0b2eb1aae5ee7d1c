import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { afterPrefix } from '../../../../src/providers/chat-answer/prefix-echo.ts'

/** What comes out for an answer that arrives in these pieces. */
function passed(prefix: string, knownEcho: boolean, pieces: readonly string[]): string {
  const events: ProviderEvent[] = []
  const emit = afterPrefix(prefix, knownEcho, event => events.push(event) > 0)
  for (const text of pieces) emit({ type: 'text-delta', text })
  emit({ type: 'finish', finishReason: 'stop' })
  expect(events.at(-1)?.type).toBe('finish')
  if (!pieces.includes('')) expect(events).not.toContainEqual({ type: 'text-delta', text: '' })
  return events.map(event => (event.type === 'text-delta' ? event.text : '')).join('')
}

const prefix = 'Once upon a time, there was a dragon'

const cases: readonly { name: string; prefix: string; knownEcho: boolean; answer: string; expected: string }[] = [
  { name: 'a continuation is passed on', prefix, knownEcho: false, answer: ' that slept.', expected: ' that slept.' },
  { name: 'a known repetition is cut off', prefix, knownEcho: true, answer: `${prefix} that slept.`, expected: ' that slept.' },
  { name: 'a known repetition of any length is', prefix: 'la', knownEcho: true, answer: 'la la', expected: ' la' },
  { name: 'a server known to repeat that did not', prefix, knownEcho: true, answer: ' that slept.', expected: ' that slept.' },
  {
    name: 'a long text that comes back whole is a repetition',
    prefix,
    knownEcho: false,
    answer: `${prefix} asleep.`,
    expected: ' asleep.',
  },
  {
    name: 'a short one that comes back whole is a repetition too',
    prefix: 'Hello wor',
    knownEcho: false,
    answer: 'Hello world.',
    expected: 'ld.',
  },
  {
    name: 'one that repeats itself may be meant (R134)',
    prefix: 'la la la la ',
    knownEcho: false,
    answer: 'la la la la la!',
    expected: 'la la la la la!',
  },
  { name: 'a short one may be meant (R134)', prefix: 'la ', knownEcho: false, answer: 'la la', expected: 'la la' },
  {
    name: 'an overlap of its end is never trimmed (R134)',
    prefix,
    knownEcho: false,
    answer: ' a dragon slept.',
    expected: ' a dragon slept.',
  },
  { name: 'nothing is an answer too', prefix, knownEcho: false, answer: '', expected: '' },
  { name: 'the repetition and nothing else', prefix, knownEcho: true, answer: prefix, expected: '' },
  {
    name: 'a short beginning that happens to be the same',
    prefix,
    knownEcho: false,
    answer: 'Once more.',
    expected: 'Once more.',
  },
  {
    name: 'seven letters that come back whole may be meant',
    prefix: 'Hello w',
    knownEcho: false,
    answer: 'Hello world.',
    expected: 'Hello world.',
  },
  {
    name: 'eight letters that come back whole are a repetition',
    prefix: 'Hello wo',
    knownEcho: false,
    answer: 'Hello world.',
    expected: 'rld.',
  },
  {
    name: 'one of 24 letters is a repetition, however it repeats itself',
    prefix: 'la '.repeat(8),
    knownEcho: false,
    answer: `${'la '.repeat(8)}la!`,
    expected: 'la!',
  },
  {
    name: 'one of 23 letters that repeats itself may be meant (R134)',
    prefix: 'a'.repeat(23),
    knownEcho: false,
    answer: 'a'.repeat(25),
    expected: 'a'.repeat(25),
  },
  {
    name: 'one that ends as it begins does not repeat itself',
    prefix: 'do you know do',
    knownEcho: false,
    answer: 'do you know do tell.',
    expected: ' tell.',
  },
  {
    name: 'an answer that shares its first 23 letters goes another way',
    prefix,
    knownEcho: false,
    answer: `${prefix.slice(0, 23)}?`,
    expected: `${prefix.slice(0, 23)}?`,
  },
  {
    name: 'an answer that ends after the first 23 letters is one',
    prefix,
    knownEcho: false,
    answer: prefix.slice(0, 23),
    expected: prefix.slice(0, 23),
  },
  { name: 'without a prefix nothing is looked at', prefix: '', knownEcho: true, answer: 'Once', expected: 'Once' },
  { name: 'an answer that ends inside the beginning', prefix, knownEcho: false, answer: 'Once', expected: 'Once' },
]

test.each(cases)('$name', ({ prefix: text, knownEcho, answer, expected }) => {
  fc.assert(
    fc.property(fc.array(fc.nat(answer.length), { maxLength: 5 }), cuts => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), answer.length]
      const pieces = places.slice(1).map((place, index) => answer.slice(places[index], place))
      expect(passed(text, knownEcho, pieces)).toBe(expected)
    }),
  )
})

test('an answer that began again is no continuation (R32)', () => {
  expect(() => passed(prefix, false, ['Once upon a time, there', ' was a princess.'])).toThrow(/began the answer again/)
  expect(() => passed(prefix, false, ['Once upon a time, there was'])).toThrow(/began the answer again/)
})

test('24 letters of a common beginning are no coincidence, whether the answer ends there or goes another way (R32)', () => {
  const begun = prefix.slice(0, 24)
  expect(() => passed(prefix, false, [begun])).toThrow(/began the answer again/)
  expect(() => passed(prefix, false, [`${begun}?`])).toThrow(/began the answer again/)
  expect(() => passed(prefix, true, [`${begun}?`])).toThrow(/began the answer again/)
})

test('a piece that is held back goes on as one, tells whether the reader is behind, and what follows is not looked at', () => {
  const events: ProviderEvent[] = []
  let isFlowing = false
  const emit = afterPrefix(prefix, false, event => {
    events.push(event)
    return isFlowing
  })
  expect(emit({ type: 'text-delta', text: 'Once upon' })).toBe(true)
  expect(emit({ type: 'text-delta', text: ' midnight, ' })).toBe(false)
  isFlowing = true
  expect(emit({ type: 'text-delta', text: prefix })).toBe(true)
  expect(emit({ type: 'finish', finishReason: 'stop' })).toBe(true)
  expect(events).toEqual([
    { type: 'text-delta', text: 'Once upon midnight, ' },
    { type: 'text-delta', text: prefix },
    { type: 'finish', finishReason: 'stop' },
  ])
})

test('when the repetition alone has come the reader is not behind', () => {
  const emit = afterPrefix(prefix, true, () => false)
  expect(emit({ type: 'text-delta', text: prefix })).toBe(true)
  expect(emit({ type: 'text-delta', text: ' asleep.' })).toBe(false)
})

test('reasoning is passed on while the seam is looked at', () => {
  const events: ProviderEvent[] = []
  const emit = afterPrefix(prefix, true, event => events.push(event) > 0)
  emit({ type: 'reasoning-delta', text: 'Hm.' })
  emit({ type: 'text-delta', text: 'Once' })
  expect(events).toEqual([{ type: 'reasoning-delta', text: 'Hm.' }])
})
