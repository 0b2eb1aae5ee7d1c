import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import { createLineReader } from '../../../src/http/json-lines.ts'

function read(pieces: readonly string[], maxLineBytes?: number) {
  const seen: (string | undefined)[] = []
  const reader = createLineReader({ onLine: line => seen.push(line), onBlank: () => seen.push(undefined), maxLineBytes })
  for (const piece of pieces) reader.write(piece)
  reader.end()
  return seen
}

test('hands on each line without its end, and the last one without needing one', () => {
  expect(read(['{"a":1}\n{"b":', '2}\r\n', '{"c":3}'])).toEqual(['{"a":1}', '{"b":2}', '{"c":3}'])
})

test('a blank line is a sign of life and no line', () => {
  expect(read(['\n', ' \r\n', '{}\n', '\n'])).toEqual([undefined, undefined, '{}', undefined])
})

test('any text, cut anywhere, gives the same lines', () => {
  const text = fc.array(fc.constantFrom('{"a":1}', '\n', '\r\n', ' ', 'x', '\r'), { maxLength: 40 }).map(parts => parts.join(''))
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 100 }), { maxLength: 8 }), (whole, cuts) => {
      const places = [0, ...cuts.map(cut => cut % (whole.length + 1)).toSorted((a, b) => a - b), whole.length]
      expect(read(places.slice(1).map((end, index) => whole.slice(places[index], end)))).toEqual(read([whole]))
    }),
  )
})

test('a line that grows without end is reason malformed-response', () => {
  expect(() =>
    read(
      Array.from({ length: 20 }, () => 'xxxxxxxxxx'),
      100,
    ),
  ).toThrow(ProviderError)
  expect(
    read(
      Array.from({ length: 20 }, () => 'xxxxxxxxx\n'),
      100,
    ),
  ).toHaveLength(20)
})
