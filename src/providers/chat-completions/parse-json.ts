import { endOfJsonString } from '../../parse-json.ts'

export { parseJson } from '../../parse-json.ts'

/** Whether the text stops in the middle of a JSON value, rather than being no JSON at all. */
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

/** The value as an object whose fields may be anything; undefined for null, arrays and everything else. */
export function asObject(value: unknown): { readonly [key: string]: unknown } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: unknown })
    : undefined
}
