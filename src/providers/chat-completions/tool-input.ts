import { asObject, parseJson } from './parse-json.ts'

/** The JSON text of one call's input, as far as it has come. */
export type Input = {
  text: string
  /** The end of `text` that was not handed on. */
  held: string
  readonly scan: Scan
  /** `text` in one way of writing, once it was needed. */
  compact: string | undefined
}

export function startInput(): Input {
  return { text: '', held: '', scan: startScan(), compact: undefined }
}

/** An object that was opened and closed, and nothing behind it. */
export function isWhole({ scan }: Input): boolean {
  return scan.isWhole
}

export function isEmptyInput(text: string): boolean {
  return empty.test(text)
}

/** How far the JSON of an input has come, character by character: no piece is read twice, however many come. */
type Scan = { depth: number; inString: boolean; escaped: boolean; isWhole: boolean }

function startScan(): Scan {
  return { depth: 0, inString: false, escaped: false, isWhole: false }
}

/** What some servers send before the input that the model then writes (F50). */
const placeholder = /^\s*(?:\{\s*\}|null|"")\s*(?=\{)/
const placeholderSoFar = /^\s*(?:\{\s*\}?|nu?l?l?|""?)?\s*$/
const empty = /^\s*(?:\{\s*\}|null|"")\s*$/
/** No placeholder is longer, so nothing longer is looked at for one. */
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

/** It may be thrown away yet, so it waits for what follows. */
export function isPlaceholder(text: string): boolean {
  return text.length <= longestPlaceholder && placeholderSoFar.test(text)
}

function scanOn(scan: Scan, text: string): void {
  for (let at = 0; at < text.length; at += 1) {
    if (scan.inString) at = skipString(scan, text, at)
    else stepOutside(scan, text.charCodeAt(at))
  }
}

/** Answers where the string, or what there is of it, ends. Most of an input are long strings: they are not looked at one by one. */
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

/** Another whole input behind a whole one: the same call sent again has the same. */
export function isOther(text: string, input: Input): boolean {
  if (!input.scan.isWhole || isPlaceholder(input.text) || empty.test(text)) return false
  const scan = startScan()
  scanOn(scan, text)
  return scan.isWhole && compact(text) !== (input.compact ??= compact(input.text))
}

function compact(text: string): string {
  const value = inputOf(text)
  return value === undefined ? text : JSON.stringify(value)
}

/**
 * The input of a call: an object, or none at all, which servers write as `""` or `null`. Anything else is undefined: half an input
 * never becomes `{}` (R126).
 */
export function inputOf(text: string): { readonly [key: string]: unknown } | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed === 'null') return {}
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return undefined
  try {
    return asObject(parseJson(trimmed))
  } catch {
    return undefined
  }
}
