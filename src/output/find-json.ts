import { type JsonWork, jsonWork } from '../json-cost.ts'
import { readJson } from '../parse-json.ts'

/**
 * Finds the only JSON object or list in a text, between fences or prose. Returns undefined when there is none, when there are several,
 * and when one is truncated: a part of a truncated value is never taken for the whole. Scans the text once.
 *
 * @param work of all that is parsed in the same step
 */
export function findJson(text: string, work = jsonWork()): { readonly value: unknown } | undefined {
  let found: { readonly value: unknown } | undefined
  let vain = 0
  for (let at = nextOpening(text, 0); at !== -1;) {
    const end = endOf(text, at)
    if (end === -1) return undefined
    if (mayBeJson(text, at, end)) {
      const parsed = parse(text.slice(at, end), work)
      if (parsed === undefined) vain += 1
      if (vain > mostVain || (parsed !== undefined && found !== undefined)) return undefined
      found ??= parsed
    }
    // what is inside the brackets is skipped, even if they hold no JSON: a part is not the answer
    at = nextOpening(text, end)
  }
  return found
}

/** A failed parse takes microseconds, and a text of two megabytes may have a million brackets. */
const mostVain = 100

/** Tells most bracketed prose from JSON, by its first and last characters. */
function mayBeJson(text: string, start: number, end: number): boolean {
  const isObject = text.charCodeAt(start) === openObject
  if (text.charCodeAt(end - 1) !== (isObject ? closeObject : closeArray)) return false
  let at = start + 1
  while (at < end && isBlank(text.charCodeAt(at))) at += 1
  return (isObject ? '"}' : '"{[]-0123456789tfn').includes(text.charAt(at))
}

const [quote, backslash] = [0x22, 0x5c]
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}

// character codes, not patterns: in a text full of brackets, a pattern would match each bracket separately

function nextOpening(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === openObject || code === openArray) return at
  }
  return -1
}

/** Returns where the bracket that opens at `start` is closed; -1 if it never is. */
function endOf(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === openObject || code === openArray) depth += 1
    else if (code === closeObject || code === closeArray) {
      depth -= 1
      if (depth === 0) return at + 1
    } else if (code === quote) {
      at = endOfString(text, at) - 1
      if (at < 0) return -1
    }
  }
  return -1
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) return at + 1
    if (code === backslash) at += 1
  }
  return -1
}

function parse(text: string, work: JsonWork): { readonly value: unknown } | undefined {
  try {
    return { value: readJson(text, work) }
  } catch {
    return undefined
  }
}
