/** The text of a typed answer for a reader that parses it strictly. */
export type TypedText = {
  /** Returns the text that may be sent now. */
  push(text: string): string
  /** Starts again. Returns false if text has already been sent. */
  restart(): boolean
  /** Returns the remaining text once the value is known; undefined if the text that was sent is not valid JSON. */
  end(output: unknown): string | undefined
}

type State = 'unknown' | 'passes' | 'closed' | 'waits'

/**
 * The library tolerates what strict readers do not: code fences, prose, a wrapped value, null for an omitted property. So text is streamed
 * only from the first `{` to the end of that object. Everything else waits for the complete value.
 *
 * @param mayStream whether text that begins with `{` is already the value
 */
export function createTypedText(mayStream: boolean): TypedText {
  let state: State = mayStream ? 'unknown' : 'waits'
  let out = ''
  const scan = createScan()
  return {
    push(text) {
      if (state === 'unknown') {
        const start = text.trimStart()
        if (start === '') return ''
        state = start.startsWith('{') ? 'passes' : 'waits'
      }
      if (state !== 'passes') return ''
      const end = scan(text)
      const passed = end === undefined ? text : text.slice(0, end)
      if (end !== undefined) state = 'closed'
      out += passed
      return passed
    },
    restart() {
      if (out !== '') return false
      state = mayStream ? 'unknown' : 'waits'
      return true
    },
    end: output => (out === '' ? JSON.stringify(output) : isJson(out) ? '' : undefined),
  }
}

/** Whether the text is one JSON value. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const [quote, backslash, open, close, openList, closeList] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]

/** Scans pieces of JSON. Returns the end of the first value, as an index in the piece that contains it. */
function createScan(): (text: string) => number | undefined {
  let [depth, inString, escaped] = [0, false, false]
  return text => {
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at)
      if (inString) {
        if (escaped) escaped = false
        else if (code === backslash) escaped = true
        else if (code === quote) inString = false
      } else if (code === quote) inString = true
      else if (code === open || code === openList) depth += 1
      else if (code === close || code === closeList) {
        depth -= 1
        if (depth === 0) return at + 1
      }
    }
    return undefined
  }
}
