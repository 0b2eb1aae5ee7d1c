import type { Call } from '../../contract.ts'
import { harmonyCalls } from './tool-markup-harmony.ts'
import { mistralCalls, tokenCalls } from './tool-markup-json.ts'
import { taggedCalls } from './tool-markup-tags.ts'

type Tools = NonNullable<Call['tools']>
export type ParsedMarkup = { readonly text: string; readonly toolCalls: readonly unknown[] | undefined }

/**
 * Reads tool calls out of a text that begins with the markup of some model. `toolCalls` is empty when a part of it cannot be read: half
 * a call is no call; undefined where the markup holds an answer and no call. What stands around the markup is `text`.
 */
export function parseToolMarkup(markup: string, tools: Tools): ParsedMarkup {
  const read = { text: '', toolCalls: [] as readonly unknown[] }
  const found = callsOf(markup, tools)
  if (found?.calls.length === 0 && isHarmony(markup) && found.text.trim() !== '')
    return { text: found.text, toolCalls: undefined }
  if (found === undefined || found.calls.length === 0) return read
  const toolCalls = found.calls.map(({ name, input }) => ({ function: { name, arguments: input } }))
  return { text: found.text.trim() === '' ? '' : found.text, toolCalls }
}

function callsOf(markup: string, tools: Tools) {
  if (/^\[tool_calls\]/i.test(markup)) return mistralCalls(markup)
  if (isHarmony(markup)) return harmonyCalls(markup)
  return /^<[|｜‖]{1,2}\s?(?:python_tag|start_action|action_start)/i.test(markup)
    ? tokenCalls(markup)
    : taggedCalls(markup, tools)
}

function isHarmony(markup: string): boolean {
  return /^<[|｜‖]{1,2}\s?(?:channel|start|constrain|message|call)\s?[|｜‖]{1,2}>/i.test(markup)
}
