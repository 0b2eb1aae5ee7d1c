import type { Call } from '../../contract.ts'
import { harmonyCalls, mistralCalls, tokenCalls } from './tool-markup-json.ts'
import { taggedCalls } from './tool-markup-tags.ts'

/**
 * Looks for tool calls that the server left in the text of an answer (F54). One instance for each answer to a call with tools.
 */
export type ToolMarkup = {
  /** Returns the part of the text that can be emitted. Nothing from a marker onwards is, and neither is a partial marker. */
  write(text: string): string
  /** A marker was found; what follows is no text. */
  hasBegun(): boolean
  /** Ends the answer and parses the markup. */
  end(): MarkupEnd
}

type MarkupEnd = {
  /** The held-back text that is no markup. */
  readonly text: string
  /**
   * Calls in the format of a complete answer. Undefined: there was no markup. `[]`: there was markup, but it could not be parsed.
   */
  readonly toolCalls: readonly MarkupCall[] | undefined
}

type MarkupCall = { readonly function: { readonly name: string; readonly arguments: string } }

/**
 * How the markup of each model family begins, in normalized form: lower case, one bar for every lookalike (`|`, `｜`, `‖`, also
 * doubled), `_` for `▁`, no whitespace beside a bar.
 */
const beginnings = [
  // DeepSeek V3.2 and V4
  '<|dsml|',
  '</|dsml|',
  // DeepSeek R1, V3 and V3.1; Kimi; Granite
  '<|tool_call',
  '<|tool_sep',
  // Qwen, Hermes, GLM; some tokenizers write `<tool▁calls▁begin>`
  '<tool_call>',
  '<tool_calls>',
  '<tool_call ',
  '<tool_calls_begin',
  '<tool_call_begin',
  '<function=',
  '<function_calls>',
  '<invoke name=',
  '<minimax:tool_call',
  '<seed:tool_call>',
  '<longcat_tool_call>',
  '<xai:function_call',
  // Nemotron, Apertus, FunctionGemma; `<ToolCall>` may be a tag of React
  '<toolcall>[',
  '<|tools_prefix|>',
  '<start_function_call>',
  // Phi
  'functools[',
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

/** Returns undefined without tools: then such text is ordinary content. */
export function markupOf(tools: NonNullable<Call['tools']>): ToolMarkup | undefined {
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

/** The index where a marker begins or may be about to begin, else the end of the text. A marker in backticks is only quoted. */
function findMarker(text: string, before: string): { readonly at: number; readonly isMarker: boolean } {
  const isTalk = (at: number) => (at === 0 ? before : text[at - 1]) === '`'
  markers.lastIndex = 0
  for (let found = markers.exec(text); found !== null; found = markers.exec(text)) {
    if (!isTalk(found.index)) return { at: found.index, isMarker: true }
  }
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at += 1) {
    if (!'<[fF'.includes(text[at] as string) || isTalk(at)) continue
    if (mayBegin(plain(text.slice(at)))) return { at, isMarker: false }
  }
  return { at: text.length, isMarker: false }
}

/** Trailing whitespace may turn out to precede a bar. */
function mayBegin(start: string): boolean {
  const beforeBar = /\s$/.test(start) ? `${start.slice(0, -1)}|` : start
  return beginnings.some(beginning => beginning.startsWith(start) || beginning.startsWith(beforeBar))
}

/**
 * All beginnings in one pattern, in every spelling, so that a long text is scanned only once. What cannot follow `<` is told by one
 * look: a text of nothing but `<` would otherwise try every beginning at each of them.
 */
const markers = new RegExp(
  [
    String.raw`<(?=[\s/|｜‖a-z])(?:${spelled('<').join('|')})`,
    ...spelled('[').map(rest => String.raw`\[${rest}`),
    ...spelled('f').map(rest => `f${rest}`),
  ].join('|'),
  'gi',
)

/** The patterns of the beginnings with this first character, without it. */
function spelled(first: string): readonly string[] {
  return beginnings.filter(beginning => beginning.startsWith(first)).map(beginning => patternOf(beginning.slice(1)))
}

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

type Tools = NonNullable<Call['tools']>
/**
 * Parses the tool calls of a text that begins with a model's markup. `toolCalls` is empty when any part cannot be parsed, because
 * a partial call must not run, and undefined when the markup holds an answer and no call. `text` is what surrounds the markup.
 */
function parseToolMarkup(markup: string, tools: Tools): MarkupEnd {
  const read = { text: '', toolCalls: [] }
  const found = callsOf(markup, tools)
  if (found?.calls.length === 0 && isHarmony(markup) && found.text.trim() !== '')
    return { text: found.text, toolCalls: undefined }
  if (found === undefined || found.calls.length === 0) return read
  const toolCalls = found.calls.map(({ name, input }) => ({ function: { name, arguments: input } }))
  return { text: found.text.trim() === '' ? '' : found.text, toolCalls }
}

function callsOf(markup: string, tools: Tools) {
  if (/^\[tool_calls\]/i.test(markup)) return mistralCalls(markup)
  if (/^functools\[/i.test(markup)) return mistralCalls(markup.slice('functools'.length))
  if (isHarmony(markup)) return harmonyCalls(markup)
  return /^<(?:toolcall>|[|｜‖]{1,2}\s?(?:python_tag|start_action|action_start|tools_prefix))/i.test(markup)
    ? tokenCalls(markup)
    : taggedCalls(markup, tools)
}

function isHarmony(markup: string): boolean {
  return /^<[|｜‖]{1,2}\s?(?:channel|start|constrain|message|call)\s?[|｜‖]{1,2}>/i.test(markup)
}
