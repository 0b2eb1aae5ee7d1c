import type { Call } from '../../contract.ts'
import { parseToolMarkup } from './parse-tool-markup.ts'

/** Watches the text of an answer for tool calls that the server left in it (F54). One for each answer to which tools were offered. */
export type ToolMarkup = {
  /** The part of the text that may be handed on. From a marker on nothing is, and never half a marker. */
  write(text: string): string
  /** A marker came: what follows is no text. */
  hasBegun(): boolean
  /** The answer is over. */
  end(): MarkupEnd
}

export type MarkupEnd = {
  /** What was held back and is no markup. */
  readonly text: string
  /** Calls in the form of a whole answer; undefined: there was no markup. `[]`: there was, and it cannot be read. */
  readonly toolCalls: readonly unknown[] | undefined
}

/**
 * How the markup of each family begins, in one way of writing: lower case, one bar for all that look like one (`|`, `｜`, `‖`, doubled
 * too), `_` for `▁`, no blanks beside a bar.
 */
const beginnings = [
  // DeepSeek V3.2 and V4
  '<|dsml|',
  '</|dsml|',
  // DeepSeek R1, V3 and V3.1; Kimi; Granite
  '<|tool_call',
  '<|tool_sep',
  // Qwen, Hermes, GLM; `<tool▁calls▁begin>` as some tokenizers write it
  '<tool_call>',
  '<tool_calls>',
  '<tool_call ',
  '<tool_calls_begin',
  '<tool_call_begin',
  '<function=',
  '<function_calls>',
  '<invoke name=',
  '<minimax:tool_call',
  // Mistral
  '[tool_calls]',
  // Llama
  '<|python_tag|>',
  // gpt-oss
  '<|channel|>',
  '<|start|>assistant',
  '<|constrain|>',
  '<|message|>',
  '<|call|>',
  // Cohere, InternLM
  '<|start_action|>',
  '<|action_start|>',
]
const longest = 48

/** Only where tools were offered: else such a text is what was asked for. */
export function markupOf(call: Call | undefined): ToolMarkup | undefined {
  const tools = call?.tools ?? {}
  return Object.keys(tools).length === 0 ? undefined : createToolMarkup(tools)
}

export function createToolMarkup(tools: NonNullable<Call['tools']>): ToolMarkup {
  let held = ''
  let markup: string[] | undefined
  let before = ''
  return {
    write(text) {
      if (markup !== undefined) {
        markup.push(text)
        return ''
      }
      const all = held + text
      const found = findMarker(all, before)
      const shown = all.slice(0, found.at)
      held = all.slice(found.at)
      if (shown !== '') before = shown.slice(-1)
      if (found.isMarker) {
        markup = [held]
        held = ''
      }
      return shown
    },
    hasBegun: () => markup !== undefined,
    end() {
      if (markup === undefined) return { text: held, toolCalls: undefined }
      const { text, toolCalls } = parseToolMarkup(markup.join(''), tools)
      return { text, toolCalls }
    },
  }
}

/** Where a marker begins, or may begin with what comes next; else the end. What stands in code marks is talked about, not called. */
function findMarker(text: string, before: string): { readonly at: number; readonly isMarker: boolean } {
  const isTalk = (at: number) => (at === 0 ? before : text[at - 1]) === '`'
  markers.lastIndex = 0
  for (let found = markers.exec(text); found !== null; found = markers.exec(text)) {
    if (!isTalk(found.index)) return { at: found.index, isMarker: true }
  }
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at += 1) {
    if ((text[at] !== '<' && text[at] !== '[') || isTalk(at)) continue
    if (mayBegin(plain(text.slice(at)))) return { at, isMarker: false }
  }
  return { at: text.length, isMarker: false }
}

/** A blank at the end may stand before a bar that comes next. */
function mayBegin(start: string): boolean {
  const beforeBar = /\s$/.test(start) ? `${start.slice(0, -1)}|` : start
  return beginnings.some(beginning => beginning.startsWith(start) || beginning.startsWith(beforeBar))
}

/** All beginnings in one pattern, in every way of writing: the engine goes through a long text once, whatever it is made of. */
const markers = new RegExp(beginnings.map(patternOf).join('|'), 'gi')

function patternOf(beginning: string): string {
  return beginning
    .replaceAll('[', String.raw`\[`)
    .replaceAll(']', String.raw`\]`)
    .replaceAll('_', '[_▁]')
    .replaceAll('|', String.raw`\s?[|｜‖]{1,2}\s?`)
}

function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/▁/g, '_')
    .replace(/\s?[|｜‖]{1,2}\s?/g, '|')
}
