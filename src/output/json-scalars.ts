const [quote, backslash, letterU] = [0x22, 0x5c, 0x75]

/** What was read: its text, the code of its last character, and where it ends. */
export type Run = { readonly text: string; readonly last: number; readonly end: number }

export const escaped: Readonly<Record<string, string>> = {
  ...{ '"': '"', '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
}

/** So many characters are put together at once. */
const mostOfRun = 4_096
/** After so many that are written plainly the next escape is looked for: that is faster than to look at each character. */
const mostPlain = 16

/**
 * A text that is full of escapes, as Chinese often is. Reads on to where a quote is, or a long plain text, or an escape that is not whole
 * or is none.
 */
export function readEscapes(piece: string, start: number): Run {
  const codes: number[] = []
  let plain = 0
  let at = start
  while (at < piece.length && codes.length < mostOfRun && plain < mostPlain) {
    const code = piece.charCodeAt(at)
    if (code === quote) break
    if (code !== backslash) {
      codes.push(code)
      plain += 1
      at += 1
      continue
    }
    const escapedCode = codeOfEscape(piece, at)
    if (escapedCode === undefined) break
    codes.push(escapedCode)
    plain = 0
    at += piece.charCodeAt(at + 1) === letterU ? 6 : 2
  }
  return { text: String.fromCharCode(...codes), last: codes.at(-1) ?? 0, end: at }
}

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

/** -1 for what is no hexadecimal digit, and for NaN, which is behind the end. */
function valueOfDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i
const words: Readonly<Record<string, unknown>> = { true: true, false: false, null: null }

/** What a number or a word stands for; undefined: it is neither. */
export function valueOfBare(text: string): unknown {
  // most numbers of a long list are short
  const digit = text.length === 1 ? text.charCodeAt(0) - 0x30 : -1
  if (digit >= 0 && digit <= 9) return digit
  if (number.test(text)) return Number(text)
  return Object.hasOwn(words, text) ? words[text] : undefined
}
