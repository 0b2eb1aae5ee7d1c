import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeEnd, decodePiece, type TextDecoding } from '../../../src/http/body.ts'
import { anyText } from '../../helpers/any-text.ts'

/** Decodes bytes that were cut at these places. */
function decoded(bytes: Buffer, cuts: readonly number[]): string {
  const decoding: TextDecoding = { carried: undefined }
  const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  const pieces = places.slice(1).map((end, index) => decodePiece(decoding, bytes.subarray(places[index], end)))
  return pieces.join('') + decodeEnd(decoding)
}

const cuts = fc.array(fc.nat({ max: 1000 }), { maxLength: 20 })

test('any text, cut anywhere, is the same text', () => {
  fc.assert(
    fc.property(anyText(60), cuts, (text, places) => {
      return decoded(Buffer.from(text), places) === Buffer.from(text).toString()
    }),
  )
})

test('any bytes, cut anywhere, become what the whole becomes: also those that are not UTF-8', () => {
  const odd = fc.oneof(
    fc.nat({ max: 255 }),
    fc.constantFrom(0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xa0, 0xf0, 0x90, 0xf4, 0xf8, 0xff),
  )
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 40 }), cuts, (bytes, places) => {
      return decoded(Buffer.from(bytes), places) === Buffer.from(bytes).toString()
    }),
    { numRuns: 1000 },
  )
})

test('a character is handed on when its last byte is here, and not before', () => {
  const decoding: TextDecoding = { carried: undefined }
  const pieces = [...Buffer.from('€a😀')].map(byte => decodePiece(decoding, Buffer.of(byte)))
  expect(pieces).toEqual(['', '', '€', 'a', '', '', '', '😀'])
  expect(decodeEnd(decoding)).toBe('')
})

test('a byte order mark is left to who reads the text', () => {
  expect(decoded(Buffer.from('\uFEFF{}'), [1])).toBe('\uFEFF{}')
})
