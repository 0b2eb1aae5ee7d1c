import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { afterPrefix } from '../../../../src/providers/chat-completions/prefix-echo.ts'

/** What comes out for an answer that arrives in these pieces. */
function passed(prefix: string, knownEcho: boolean, pieces: readonly string[]): string {
  const events: ProviderEvent[] = []
  const emit = afterPrefix(prefix, knownEcho, event => events.push(event) > 0)
  for (const text of pieces) emit({ type: 'text-delta', text })
  emit({ type: 'finish', finishReason: 'stop' })
  expect(events.at(-1)?.type).toBe('finish')
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

test('reasoning is passed on while the seam is looked at', () => {
  const events: ProviderEvent[] = []
  const emit = afterPrefix(prefix, true, event => events.push(event) > 0)
  emit({ type: 'reasoning-delta', text: 'Hm.' })
  emit({ type: 'text-delta', text: 'Once' })
  expect(events).toEqual([{ type: 'reasoning-delta', text: 'Hm.' }])
})
