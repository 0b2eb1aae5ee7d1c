import { asObject, type JsonWork, mostEncoded, parseJson } from '../json.ts'

/** The JSON text of one call's input, as far as it has arrived. */
export type Input = {
  text: string
  /** The end of `text` that has not been emitted yet. */
  held: string
  readonly scan: Scan
  /** `text` in normalized form, once it has been needed. */
  compact: string | undefined
}

export function startInput(): Input {
  return { text: '', held: '', scan: startScan(), compact: undefined }
}

/** The input is an object that was opened and closed, with nothing after it. */
export function isWhole({ scan }: Input): boolean {
  return scan.isWhole
}

export function isEmptyInput(text: string): boolean {
  return empty.test(text)
}

/** The state of an incremental JSON scan: no fragment is scanned twice, however many arrive. */
type Scan = { depth: number; inString: boolean; escaped: boolean; isWhole: boolean }

function startScan(): Scan {
  return { depth: 0, inString: false, escaped: false, isWhole: false }
}

/** Placeholders that some servers send before the model's actual input (F50). */
const placeholder = /^\s*(?:\{\s*\}|\[\s*\]|null|"")\s*(?=\{)/
const placeholderSoFar = /^\s*(?:\{\s*\}?|\[\s*\]?|nu?l?l?|""?)?\s*$/
const empty = /^\s*(?:\{\s*\}|\[\s*\]|null|"")\s*$/
/** No placeholder is longer, so longer texts are not checked. */
const longestPlaceholder = 16

export function write(input: Input, text: string): void {
  input.compact = undefined
  if (input.text.length > longestPlaceholder) {
    input.text += text
    input.held += text
    return scanOn(input.scan, text)
  }
  const wasHeld = isPlaceholder(input.text)
  input.text = (input.text + text).replace(placeholder, '')
  input.held = wasHeld ? input.text : input.held + text
  Object.assign(input.scan, startScan())
  scanOn(input.scan, input.text)
}

/** The text may be a placeholder, so it is held until more arrives. */
export function isPlaceholder(text: string): boolean {
  return text.length <= longestPlaceholder && placeholderSoFar.test(text)
}

function scanOn(scan: Scan, text: string): void {
  for (let at = 0; at < text.length; at += 1) {
    if (scan.inString) at = skipString(scan, text, at)
    else stepOutside(scan, text.charCodeAt(at))
  }
}

/**
 * Returns the index at which the string, or the part received, ends. Inputs are mostly long strings, so their characters are
 * skipped by a pattern and not one by one.
 */
function skipString(scan: Scan, text: string, start: number): number {
  let at = start
  if (scan.escaped) {
    scan.escaped = false
    at += 1
  }
  quoteOrEscape.lastIndex = at
  const found = quoteOrEscape.exec(text)
  if (found === null) return text.length
  if (found[0] === '"') scan.inString = false
  else scan.escaped = true
  return found.index
}

const quoteOrEscape = /["\\]/g

function stepOutside(scan: Scan, code: number): void {
  if (code <= space) return
  const wasWhole = scan.isWhole
  if (code === openObject || code === openArray) scan.depth += 1
  else if (code === closeObject || code === closeArray) scan.depth -= 1
  else if (code === quote) scan.inString = true
  scan.isWhole = !wasWhole && code === closeObject && scan.depth === 0
}

const [space, quote, openObject, closeObject, openArray, closeArray] = [0x20, 0x22, 0x7b, 0x7d, 0x5b, 0x5d]

/**
 * Whether a complete input differs from the one already complete. A repeated call has the same input.
 *
 * @param work of all such comparisons in an answer
 */
export function isOther(text: string, input: Input, work: JsonWork): boolean {
  if (!input.scan.isWhole || text === input.text || isPlaceholder(input.text) || empty.test(text)) return false
  return isWholeText(text) && compact(text, work) !== (input.compact ??= compact(input.text, work))
}

/** Whether a complete input is the one already complete. */
export function isSame(text: string, input: Input, work: JsonWork): boolean {
  return input.scan.isWhole && isWholeText(text) && compact(text, work) === (input.compact ??= compact(input.text, work))
}

function isWholeText(text: string): boolean {
  const scan = startScan()
  scanOn(scan, text)
  return scan.isWhole
}

function compact(text: string, work: JsonWork): string {
  const value = inputOf(text, work)
  return value === undefined ? text : JSON.stringify(value)
}

/**
 * The input of a call: an object, or no input, which servers write as `""` or `null`, and gateways in PHP as `[]`. Returns undefined
 * for anything else: partial input never becomes `{}` (R126).
 */
export function inputOf(text: string, work: JsonWork): { readonly [key: string]: unknown } | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed === 'null' || trimmed === '[]') return {}
  const isObject = trimmed.startsWith('{') && trimmed.endsWith('}')
  if (!isObject && (trimmed.length > mostEncoded || !encodedTwice.test(trimmed))) return undefined
  try {
    const value = parseJson(trimmed, work)
    return asObject(typeof value === 'string' && isObjectText.test(value) ? parseJson(value, work) : value)
  } catch {
    return undefined
  }
}

/** Some servers write the object as a JSON string. An empty one may be a placeholder. */
const encodedTwice = /^"\s*\{\s*\\"/
const isObjectText = /^\s*\{/
