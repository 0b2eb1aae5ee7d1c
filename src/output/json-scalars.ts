import { endOfJsonString } from '../json-cost.ts'

const [quote, backslash, letterU] = [0x22, 0x5c, 0x75]

/** The text that was read, the code of its last character, and its end. */
export type Run = { readonly text: string; readonly last: number; readonly end: number }

export const escaped: Readonly<Record<string, string>> = {
  ...{ '"': '"', '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
}

/**
 * Reads the rest of a string from an escape on, or what this piece holds of it. Ends before an incomplete escape. Undefined: an escape is
 * invalid.
 */
export function readEscapes(piece: string, start: number): Run | undefined {
  const end = endOfRun(piece, start)
  if (end - start >= leastRun) return readAtOnce(piece, start, end)
  const codes: number[] = []
  let at = start
  while (at < piece.length) {
    const code = piece.charCodeAt(at)
    if (code === quote) break
    const meant = code === backslash ? codeOfEscape(piece, at) : code
    if (meant === undefined) break
    codes.push(meant)
    at += code !== backslash ? 1 : piece.charCodeAt(at + 1) === letterU ? 6 : 2
  }
  return { text: String.fromCharCode(...codes), last: codes.at(-1) ?? 0, end: at }
}

/** For fewer characters, reading the escapes one by one is faster than `JSON.parse`. */
const leastRun = 48

function readAtOnce(piece: string, start: number, end: number): Run | undefined {
  try {
    const text = JSON.parse(`"${piece.slice(start, end).replaceAll(controls, escapeOf)}"`) as string
    return { text, last: text.charCodeAt(text.length - 1), end }
  } catch {
    return undefined
  }
}

/** Control characters: a model may leave them as they are, and `JSON.parse` rejects them. */
const controls = /[^\u0020-\uffff]/g
const escapeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** Returns where the string ends in this piece, or else where its last escape begins if that is incomplete. A short piece is not searched. */
function endOfRun(piece: string, start: number): number {
  if (piece.length - start < leastRun) return start
  const after = endOfJsonString(piece, start - 1)
  if (after !== -1) return after - 1
  const length = piece.slice(-5).match(unfinished)?.[0].length ?? 0
  const at = piece.length - length
  let before = at
  while (before > start && piece.charCodeAt(before - 1) === backslash) before -= 1
  // after an odd number of backslashes, this one is escaped itself
  return (at - before) % 2 === 1 ? piece.length : at
}

const unfinished = /\\(?:u[\da-f]{0,3})?$/i

function codeOfEscape(piece: string, at: number): number | undefined {
  if (piece.charCodeAt(at + 1) !== letterU) return escaped[piece.charAt(at + 1)]?.charCodeAt(0)
  let code = 0
  for (let digit = at + 2; digit < at + 6; digit += 1) {
    const value = valueOfDigit(piece.charCodeAt(digit))
    if (value === -1) return undefined
    code = code * 16 + value
  }
  return code
}

/** Returns -1 for anything but a hexadecimal digit, also for NaN, the code beyond the end of the text. */
function valueOfDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i

/** Returns the value of a number, `true`, `false` or `null`; undefined for other text. */
export function valueOfBare(text: string): unknown {
  if (text === 'true') return true
  if (text === 'false') return false
  if (text === 'null') return null
  // fast path: most numbers of a long list have one digit
  const digit = text.length === 1 ? text.charCodeAt(0) - 0x30 : -1
  if (digit >= 0 && digit <= 9) return digit
  return number.test(text) ? Number(text) : undefined
}
