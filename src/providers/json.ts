import { endOfJsonString } from '../json-cost.ts'

export { type JsonWork, jsonWork } from '../json-cost.ts'
export { fitInOneStep, parseJson, readJson } from '../parse-json.ts'

/** Longer texts are not decoded twice: each decoding stops the process for its time. */
export const mostEncoded = 262_144

/** Whether the text was cut in the middle of a JSON value, as opposed to not being JSON. */
export function isCutJson(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfJsonString(text, at) - 1
      if (at < 0) return true
    } else if (code === openObject || code === openArray) depth += 1
    else if (code === closeObject || code === closeArray) depth -= 1
  }
  return depth > 0
}

const [quote, openObject, closeObject, openArray, closeArray] = [0x22, 0x7b, 0x7d, 0x5b, 0x5d]

/** The value as an object with unknown fields; undefined for null, arrays and everything else. */
export function asObject(value: unknown): { readonly [key: string]: unknown } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: unknown })
    : undefined
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Merges the caller's fields into a body: an object merges one level deep with ours of the same name, any other value replaces
 * ours, and `undefined` removes the field (F66).
 */
export function mergeBody(own: Fields, ...extras: readonly (Fields | undefined)[]): Fields {
  const merged: Record<string, unknown> = { ...own }
  for (const extra of extras) {
    for (const [name, value] of Object.entries(extra ?? {})) {
      const before = merged[name]
      merged[name] = isPlain(before) && isPlain(value) && isSameKind(before, value) ? { ...before, ...value } : value
    }
  }
  return merged
}

/** `{ type: 'json_object' }` replaces `{ type: 'json_schema', json_schema }`: it is another kind, so the two are not merged. */
function isSameKind({ type: before }: Fields, { type }: Fields): boolean {
  return before === undefined || type === undefined || before === type
}

function isPlain(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Serializes JSON for a request. A lone surrogate, left when a text is cut inside a character, becomes U+FFFD (F58): many servers
 * crash on one, or answer 400 to the whole request. This includes names and JSON inside strings.
 */
export function wireJson(value: unknown): string {
  const json = JSON.stringify(value)
  // JSON.stringify escapes a lone surrogate, and nothing else, in this form
  return json !== undefined && json.includes('\\ud') ? JSON.stringify(wellFormed(value)) : json
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value !== 'object' || value === null) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return wellFormed(JSON.parse(JSON.stringify(value)))
  if (Array.isArray(value)) return value.map(wellFormed)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toWellFormed(), wellFormed(inner)]))
}
