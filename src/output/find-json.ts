/**
 * The one JSON object or list that stands in a text, between fences or prose. Undefined when there is none, when there are several,
 * and when one is cut: of half a value no part is ever taken for the whole. Goes through the text once.
 */
export function findJson(text: string): { readonly value: unknown } | undefined {
  let found: { readonly value: unknown } | undefined
  for (let at = nextOpening(text, 0); at !== -1;) {
    const end = endOf(text, at)
    if (end === -1) return undefined
    const parsed = parse(text.slice(at, end))
    if (parsed !== undefined && found !== undefined) return undefined
    found ??= parsed
    // nothing inside of it is looked at, not even when it is no JSON: a part is not the answer
    at = nextOpening(text, end)
  }
  return found
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
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}
