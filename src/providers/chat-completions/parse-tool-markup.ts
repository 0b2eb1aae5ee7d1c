import type { Call } from '../../contract.ts'
import { llamaCalls, mistralCalls } from './tool-markup-json.ts'
import { taggedCalls } from './tool-markup-tags.ts'

type Tools = NonNullable<Call['tools']>
export type ParsedMarkup = { readonly text: string; readonly toolCalls: readonly unknown[] }

/**
 * Reads tool calls out of a text that begins with the markup of some model. `toolCalls` is empty when a part of it cannot be read: half
 * a call is no call. What stands around the markup is `text`.
 */
export function parseToolMarkup(markup: string, tools: Tools): ParsedMarkup {
  const read = { text: '', toolCalls: [] as readonly unknown[] }
  const found = callsOf(markup, tools)
  if (found === undefined || found.calls.length === 0) return read
  const toolCalls = found.calls.map(({ name, input }) => ({ function: { name, arguments: input } }))
  return { text: found.text.trim() === '' ? '' : found.text, toolCalls }
}

function callsOf(markup: string, tools: Tools) {
  if (/^\[tool_calls\]/i.test(markup)) return mistralCalls(markup)
  return /^<[|｜‖]{1,2}\s?python_tag/i.test(markup) ? llamaCalls(markup) : taggedCalls(markup, tools)
}
