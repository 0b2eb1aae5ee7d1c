/**
 * `JSON.parse` for values that are handed to callers: a key that would reach a prototype when somebody merges the value is dropped.
 * Throws a `SyntaxError` like `JSON.parse`.
 */
export function parseJson(text: string): unknown {
  return mayReachPrototype(text) ? JSON.parse(text, withoutPrototypeKeys) : JSON.parse(text)
}

/** Cheap and never wrong in the dangerous direction: a key can also be written with `\u` escapes. */
export function mayReachPrototype(text: string): boolean {
  return text.includes('__proto__') || text.includes('constructor') || text.includes('\\u')
}

/** Whether the text stops in the middle of a JSON value, rather than being no JSON at all. */
export function isCutJson(text: string): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (inString) {
      if (character === '\\') at += 1
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') depth += 1
    else if (character === '}' || character === ']') depth -= 1
  }
  return inString || depth > 0
}

/** The value as an object whose fields may be anything; undefined for null, arrays and everything else. */
export function asObject(value: unknown): { readonly [key: string]: unknown } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: unknown })
    : undefined
}

function withoutPrototypeKeys(key: string, value: unknown): unknown {
  if (key === '__proto__') return undefined
  const object = key === 'constructor' ? asObject(value) : undefined
  return object !== undefined && Object.hasOwn(object, 'prototype') ? undefined : value
}
