import type { JsonSchema } from '../../contract.ts'
import { asObject, parseJson } from './parse-json.ts'

/** Whether a thought is the JSON that was asked for, as far as its outline tells: the whole schema is checked later, as for any answer. */
export function isGuidedAnswer(thought: string, schema: JsonSchema | undefined): boolean {
  const text = thought.trim()
  if (!/^[{[]/.test(text)) return false
  try {
    return fitsOutline(parseJson(text), schema ?? {})
  } catch {
    return false
  }
}

function fitsOutline(value: unknown, { type, required }: JsonSchema): boolean {
  if (type === 'array') return Array.isArray(value)
  const object = asObject(value)
  if (type === 'object' && object === undefined) return false
  if (!Array.isArray(required) || object === undefined) return true
  return required.every(name => typeof name !== 'string' || Object.hasOwn(object, name))
}
