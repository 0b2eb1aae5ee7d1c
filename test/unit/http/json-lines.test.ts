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

test.each([
  ['one behind the other', '{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']],
  ['spread over lines', '{\n"a": [1,\n2]\n}\n', ['{\n"a": [1,\n2]\n}']],
  ['text in brackets', '[Errno 111] refused\n{oops} busy\n[DONE] x', ['[Errno 111] refused', '{oops} busy', '[DONE]', 'x']],
  ['in a list', '[{"a":1},[2]]\n', ['[{"a":1},[2]]']],
  ['with brackets in a text', '{"a":"}]{["}\n', ['{"a":"}]{["}']],
  ['with quotes in a text', '{"a":"\\"}\\\\"}{"b":"x"}', ['{"a":"\\"}\\\\"}', '{"b":"x"}']],
  ['behind a record separator and a byte order mark', '\uFEFF\u001e{}\n\u001e{}\n', ['{}', '{}']],
  ['beside other text', 'data\r\n"x"}\n\r{}', ['data', '"x"}', '{}']],
  ['with a CR in it', '\r{"a":\r1}\r\n', ['{"a":\r1}']],
  ['closed once too often', '{}}\n', ['{}', '}']],
])('documents end with their last bracket, %s, however they are cut', (_, text, expected) => {
  expect(read([text])).toEqual(expected)
  expect(read(Array.from(text))).toEqual(expected)
})

test('a document is handed on with its last bracket, and not with its line end; the end hands on what is there', () => {
  const seen: string[] = []
  // nobody has to listen to blank lines
  const reader = createLineReader({ onLine: line => seen.push(line) })
  expect(reader.isOpen()).toBe(false)
  reader.write('\n{"a":')
  expect([seen, reader.isOpen()]).toEqual([[], true])
  reader.write('1}')
  expect([seen, reader.isOpen()]).toEqual([['{"a":1}'], false])
  reader.write('text')
  expect(reader.isOpen()).toBe(false)
  reader.end()
  reader.write('{"b":')
  reader.end()
  reader.end()
  expect(seen).toEqual(['{"a":1}', 'text', '{"b":'])
})

test('only a line without anything is blank: the end of a line that was handed on is none', () => {
  expect(read(['{}', '\n', '\n'])).toEqual(['{}', undefined])
  expect(read(['\n', 'x\n', '\n', '\n'])).toEqual([undefined, 'x', undefined, undefined])
})

test('a document may be as long as the limit, and not longer', () => {
  expect(read(['{"a":', '1}'], 7)).toEqual(['{"a":1}'])
  const refusal = expect.objectContaining({ reason: 'malformed-response' })
  expect(() => read(['{"a":', '12}'], 7)).toThrow(refusal)
  expect(() => read(['text', '1234'], 7)).toThrow(refusal)
})
