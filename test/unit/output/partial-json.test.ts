import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPartialJson } from '../../../src/output/partial-json.ts'

/** Any JSON text, with blanks and with escapes, also of keys like `__proto__`. */
const jsonText = fc
  .tuple(
    fc.oneof(
      fc.jsonValue({ depthSize: 'medium', stringUnit: 'binary' }),
      fc.jsonValue({ stringUnit: 'grapheme' }),
      fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'a', 'ü'), fc.jsonValue()),
    ),
    fc.constantFrom(undefined, 1, '\t'),
    fc.boolean(),
  )
  .map(([value, indent, escape]) => {
    const text = JSON.stringify(value, undefined, indent)
    return escape ? text.replaceAll(/[\u0080-\uFFFF]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : text
  })

const withSplits = jsonText.chain(text =>
  fc.record({
    text: fc.constant(text),
    cuts: fc.array(fc.nat({ max: text.length }), { maxLength: 40 }).map(cuts => [...new Set(cuts)].toSorted((a, b) => a - b)),
  }),
)

function* piecesOf(text: string, cuts: readonly number[]): Generator<string> {
  let from = 0
  for (const cut of [...cuts, text.length]) {
    yield text.slice(from, cut)
    from = cut
  }
}

/** Whether the first is what one can know of the second before it is whole. */
function isBeginningOf(part: unknown, whole: unknown): boolean {
  if (part === undefined) return true
  if (typeof part === 'string') return typeof whole === 'string' && whole.startsWith(part)
  if (Array.isArray(part))
    return Array.isArray(whole) && part.length <= whole.length && part.every((item, at) => isBeginningOf(item, whole[at]))
  if (typeof part !== 'object' || part === null) return Object.is(part, whole)
  if (typeof whole !== 'object' || whole === null) return false
  const keys = Object.keys(whole)
  return Object.entries(part).every(
    ([key, value]) => keys.includes(key) && isBeginningOf(value, Object.getOwnPropertyDescriptor(whole, key)?.value),
  )
}

test('any JSON, however it is cut in pieces, is the exact value in the end, and a beginning of it before', () => {
  fc.assert(
    fc.property(withSplits, ({ text, cuts }) => {
      const whole: unknown = JSON.parse(text)
      const json = createPartialJson()
      for (const piece of piecesOf(text, cuts)) {
        json.feed(piece)
        expect(isBeginningOf(json.value(), whole)).toBe(true)
      }
      expect(json.end()).toBe(true)
      expect(isDeepStrictEqual(json.value(), whole)).toBe(true)
      expect(JSON.stringify(json.value())).toBe(JSON.stringify(whole))
    }),
    { numRuns: 1_000 },
  )
})

/** What a string of JSON may hold between its quotes, and what it means. Models also write line breaks and tabs as they are. */
const partsOfString = fc.array(
  fc.oneof(
    fc.constantFrom(['\\n', '\n'], ['\\"', '"'], ['\\\\', '\\'], ['\\/', '/'], ['\\u00e9', 'é'], ['\\ud83d\\ude00', '😀']),
    fc.constantFrom(['\n', '\n'], ['\t', '\t'], ['\u0000', '\u0000'], ['😀', '😀'], ['一', '一']),
    fc.string({ minLength: 1, maxLength: 60, unit: fc.constantFrom('a', ' ', 'u', '0') }).map(text => [text, text]),
  ),
  { minLength: 1, maxLength: 200 },
)

test('a long string full of escapes is its exact text, wherever it is cut', () => {
  fc.assert(
    fc.property(partsOfString, fc.array(fc.nat(), { maxLength: 6 }), (parts, at) => {
      const text = `{"a":"${parts.map(([written]) => written).join('')}","b":1}`
      const meaning = parts.map(([, meant]) => meant).join('')
      const cuts = [...new Set(at.map(cut => cut % text.length))].toSorted((a, b) => a - b)
      const json = createPartialJson()
      for (const piece of piecesOf(text, cuts)) {
        json.feed(piece)
        expect(isBeginningOf(json.value(), { a: meaning, b: 1 })).toBe(true)
      }
      expect(json.end()).toBe(true)
      expect(json.value()).toEqual({ a: meaning, b: 1 })
    }),
  )
})

test('an invalid escape in a long string stops it there, wherever it is cut', () => {
  const invalid = fc.constantFrom('\\x', '\\u00g0', '\\u', '\\')
  fc.assert(
    fc.property(partsOfString, partsOfString, invalid, fc.array(fc.nat(), { maxLength: 6 }), (before, after, escape, at) => {
      const [first, second] = [before, after].map(parts => parts.map(([written]) => written).join(''))
      const text = `["${first}${escape}-${second}"]`
      const cuts = [...new Set(at.map(cut => cut % text.length))].toSorted((a, b) => a - b)
      const meaning = before.map(([, meant]) => meant).join('')
      const json = createPartialJson()
      for (const piece of piecesOf(text, cuts)) json.feed(piece)
      expect(json.end()).toBe(false)
      expect(isBeginningOf(json.value(), [meaning])).toBe(true)
    }),
  )
})

test('any JSON that is cut off anywhere is not whole, unless what is there is JSON by itself', () => {
  fc.assert(
    fc.property(jsonText, fc.nat(), (text, at) => {
      const cut = text.slice(0, at % (text.length + 1))
      const json = createPartialJson()
      for (const character of cut) json.feed(character)
      const isWhole = json.end()
      expect(isWhole).toBe(isJson(cut))
      if (isWhole) expect(isDeepStrictEqual(json.value(), JSON.parse(cut))).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test.for([
  '{,}',
  '[1,]',
  '{"a":1,}',
  '{"a" 1}',
  '[01]',
  '[+1]',
  '[.5]',
  '[1.]',
  '[nul]',
  '[tru]',
  '"\\x"',
  '"\\u00g0"',
  '{a:1}',
  '[1}',
  '{"a":1]',
  '[] []',
  '1 2',
  "['a']",
  '[1\u000B]',
  '{"a":1,,}',
])('%s is no JSON', text => {
  const json = createPartialJson()
  json.feed(text)
  expect(json.end()).toBe(false)
})

test('half a character is not shown', () => {
  const json = createPartialJson()
  json.feed('"a')
  json.feed('\\ud83d')
  expect(json.value()).toBe('a')
  json.feed('\\ude00')
  expect(json.value()).toBe('a\u{1F600}')
})

test('a key named __proto__ is a field like any other', () => {
  const json = createPartialJson()
  json.feed('{"__proto__":{"polluted":true},"a":{"__proto__":"x"}}')
  expect(json.end()).toBe(true)
  expect(Object.keys(json.value() as object)).toEqual(['__proto__', 'a'])
  expect(Object.getPrototypeOf(json.value())).toBe(Object.prototype)
  expect({}).not.toHaveProperty('polluted')
})

test('an item of a list is whole when nothing can be added to it', () => {
  const json = createPartialJson()
  const wholeAfter = (piece: string) => {
    json.feed(piece)
    return json.wholeItems(json.value() as unknown[])
  }
  expect(['[', '"a', 'b"', ',', '12', ',', '{"a":', '{}', '}', ']'].map(wholeAfter)).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
})

test('the value stays the same object', () => {
  const json = createPartialJson()
  json.feed('{"a":[')
  const value = json.value()
  json.feed('1,2]}')
  expect(json.value()).toBe(value)
  expect(value).toEqual({ a: [1, 2] })
})

test('what is nested too deep or too much to build stops it, and what was seen before stays (F70)', () => {
  const deep = createPartialJson()
  deep.feed('{"a":1,"b":')
  deep.feed('['.repeat(100_000))
  expect(deep.end()).toBe(false)
  expect(deep.value()).toMatchObject({ a: 1 })
  const much = createPartialJson()
  for (let piece = 0; piece < 400; piece += 1) much.feed(piece === 0 ? '[{}' : ',{}'.repeat(1_000))
  much.feed(']')
  expect(much.end()).toBe(false)
  expect((much.value() as unknown[]).length).toBeLessThan(100_000)
})

test('one event with more values than any model writes at once stops it; so much in many events does not', () => {
  const ones = (count: number) => ',1'.repeat(count)
  const atOnce = createPartialJson()
  atOnce.feed(`[1${ones(200_000)}]`)
  expect(atOnce.end()).toBe(false)
  const inPieces = createPartialJson()
  inPieces.feed('[1')
  for (let piece = 0; piece < 200; piece += 1) inPieces.feed(ones(1_000))
  inPieces.feed(']')
  expect(inPieces.end()).toBe(true)
  expect(inPieces.value()).toHaveLength(200_001)
})

test('names of keys that vary without end stop it sooner than the same few', () => {
  const objects = (names: number) => `[${Array.from({ length: 9_000 }, (_, at) => `{"k${at % names}":1}`).join()}]`
  const isWhole = (names: number) => {
    const json = createPartialJson()
    json.feed(objects(names))
    return json.end()
  }
  expect([isWhole(400), isWhole(8_000)]).toEqual([true, false])
})
