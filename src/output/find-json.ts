import { readJson } from '../parse-json.ts'

/**
 * The one JSON object or list that stands in a text, between fences or prose. Undefined when there is none, when there are several,
 * and when one is cut: of half a value no part is ever taken for the whole. Goes through the text once.
 */
export function findJson(text: string): { readonly value: unknown } | undefined {
  let found: { readonly value: unknown } | undefined
  let vain = 0
  for (let at = nextOpening(text, 0); at !== -1;) {
    const end = endOf(text, at)
    if (end === -1) return undefined
    if (mayBeJson(text, at, end)) {
      const parsed = parse(text.slice(at, end))
      if (parsed === undefined) vain += 1
      if (vain > mostVain || (parsed !== undefined && found !== undefined)) return undefined
      found ??= parsed
    }
    // nothing inside of it is looked at, not even when it is no JSON: a part is not the answer
    at = nextOpening(text, end)
  }
  return found
}

/** To find out that something is no JSON takes microseconds, and a text of two megabytes has room for a million brackets. */
const mostVain = 100

const firstOfObject = /\{\s*["}]/y
const firstOfList = /\[\s*["{[\]\d\-tfn]/y

/** Tells most of what is set in brackets in prose from JSON, by how it begins and ends. */
function mayBeJson(text: string, start: number, end: number): boolean {
  const isObject = text[start] === '{'
  const first = isObject ? firstOfObject : firstOfList
  first.lastIndex = start
  return text[end - 1] === (isObject ? '}' : ']') && first.test(text)
}

const opening = /[{[]/g

function nextOpening(text: string, from: number): number {
  opening.lastIndex = from
  return opening.exec(text)?.index ?? -1
}

const bracketOrString = /["{}[\]]/g

/** Where the bracket that opens at `start` is closed; -1 when it never is. */
function endOf(text: string, start: number): number {
  let depth = 0
  bracketOrString.lastIndex = start
  for (;;) {
    const at = bracketOrString.exec(text)?.index
    if (at === undefined) return -1
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      if (end === -1) return -1
      bracketOrString.lastIndex = end
    } else {
      depth += character === '{' || character === '[' ? 1 : -1
      if (depth === 0) return at + 1
    }
  }
}

const quoteOrEscape = /["\\]/g

function endOfString(text: string, start: number): number {
  quoteOrEscape.lastIndex = start + 1
  for (;;) {
    const at = quoteOrEscape.exec(text)?.index
    if (at === undefined) return -1
    if (text[at] === '"') return at + 1
    quoteOrEscape.lastIndex = at + 2
  }
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: readJson(text) }
  } catch {
    return undefined
  }
}
