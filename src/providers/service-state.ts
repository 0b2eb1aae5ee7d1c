import type { ProviderMetadata } from '../contract.ts'
import { asObject } from './json.ts'

/**
 * State that services attach to a call or a turn and want back with it (F57): Gemini's signatures in `extra_content`,
 * OpenRouter's `reasoning_details`, LiteLLM's `thinking_blocks`. It is stored and sent back unchanged, and never interpreted.
 */
const ofCall = ['extra_content', 'provider_specific_fields', 'thought_signature'] as const
const ofTurn = [...ofCall, 'reasoning_details', 'thinking_blocks'] as const

/** These fields also hold data that no service wants back; only a signature in them counts as state. */
const mixed: ReadonlySet<string> = new Set(['extra_content', 'provider_specific_fields'])

type Fields = { readonly [field: string]: unknown }

/** The state in one fragment of a tool call. Undefined if there is none, as in nearly all fragments. */
export function callState(fragment: Fields): ProviderMetadata | undefined {
  return picked(fragment, ofCall)
}

/** The state of a turn after one more fragment: lists are extended, any other value is replaced. */
export function addTurnState(earlier: ProviderMetadata | undefined, part: Fields): ProviderMetadata | undefined {
  const more = picked(part, ofTurn)
  if (more === undefined) return earlier
  const all: { [field: string]: unknown } = { ...earlier, ...more }
  for (const [name, value] of Object.entries(more)) if (Array.isArray(value)) all[name] = joined(earlier?.[name], value)
  return all
}

/** The state fields of a call or a turn. The state may come from a database, so its shape is not trusted. */
export function stateFields(state: Fields | undefined, of: 'call' | 'turn'): Fields | undefined {
  return state === undefined ? undefined : picked(state, of === 'call' ? ofCall : ofTurn)
}

/** Whether a rejection names one of these fields. */
export function namesState(said: string): boolean {
  return ofTurn.some(name => said.includes(name))
}

function picked(fields: Fields, names: readonly string[]): ProviderMetadata | undefined {
  let state: { [field: string]: unknown } | undefined
  for (const name of names) {
    const value = fields[name]
    if (!isState(name, value)) continue
    state ??= {}
    state[name] = value
  }
  return state
}

function isState(name: string, value: unknown): boolean {
  if (name === 'thought_signature') return typeof value === 'string' && value !== ''
  if (mixed.has(name)) return asObject(value) !== undefined && isSigned(value, 3)
  return Array.isArray(value) && value.length > 0
}

function isSigned(value: unknown, depth: number): boolean {
  return Object.entries(asObject(value) ?? {}).some(
    ([name, inner]) => (/signature/i.test(name) && inner !== null && inner !== '') || (depth > 0 && isSigned(inner, depth - 1)),
  )
}

/** The text fields of list entries, which arrive in pieces. */
const texts = ['text', 'thinking', 'summary'] as const

/** A list of entries after one more fragment. The pieces of one text are merged into one entry, with the latest signature. */
function joined(earlier: unknown, more: readonly unknown[]): readonly unknown[] {
  const parts: unknown[] = Array.isArray(earlier) ? (earlier as unknown[]) : []
  for (const part of more) {
    const last = asObject(parts.at(-1))
    const next = asObject(part)
    if (last !== undefined && next !== undefined && continues(last, next)) parts[parts.length - 1] = together(last, next)
    else parts.push(part)
  }
  return parts
}

function continues(last: Fields, next: Fields): boolean {
  const isText = texts.some(name => typeof next[name] === 'string') || 'signature' in next
  return isText && last['type'] === next['type'] && last['index'] === next['index'] && last['data'] === undefined
}

function together(last: Fields, next: Fields): Fields {
  const known = Object.entries(next).filter(([, value]) => value !== undefined && value !== null)
  const whole: { [field: string]: unknown } = { ...last, ...Object.fromEntries(known) }
  for (const name of texts) {
    const [before, after] = [last[name], next[name]]
    if (typeof before === 'string' && typeof after === 'string') whole[name] = before + after
  }
  return whole
}
