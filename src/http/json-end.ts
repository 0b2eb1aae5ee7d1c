/** How far a text of JSON has been looked at. */
export type JsonEnd = { depth: number; inText: boolean; escaped: boolean }

export function startOfJson(): JsonEnd {
  return { depth: 0, inText: false, escaped: false }
}

const quote = 0x22
const backslash = 0x5c

/**
 * Looks at the next piece of a JSON object or list: where its last bracket closes it, the place behind that; else undefined. A document
 * is whole there, whether or not the server ends the body. It checks nothing: that is the parser's work.
 */
export function endOfJson(at: JsonEnd, piece: string): number | undefined {
  for (let index = 0; index < piece.length; index += 1) {
    const code = piece.charCodeAt(index)
    if (at.inText) {
      if (at.escaped) at.escaped = false
      else if (code === backslash) at.escaped = true
      else if (code === quote) at.inText = false
    } else if (code === quote) at.inText = true
    else if (code === 0x7b || code === 0x5b) at.depth += 1
    else if (code === 0x7d || code === 0x5d) {
      at.depth -= 1
      if (at.depth <= 0) return index + 1
    }
  }
  return undefined
}
