import type { GenerateResult, StreamEvent, ToolCall, ToolSet } from '../../index.ts'
import { createTypedText, type TypedText } from '../typed-text.ts'
import type { CheckedSchema } from '../json-schemas.ts'
import { type Envelope, extraContent, finishReasonOf, toolCallBody, usageOf } from './answer-body.ts'
import { CannotTakeBack } from '../cannot-take-back.ts'
import type { CutAnswer } from './cut-answer.ts'

export type ChunkOptions = {
  readonly envelope: Envelope
  readonly model: string
  readonly includeUsage: boolean
  readonly output: CheckedSchema | undefined
  readonly tools: ToolSet | undefined
}

/** Converts one answer to server-sent events. */
export type Chunks = {
  encode(event: StreamEvent): string
  /** Returns the last chunks when the answer is complete. */
  end(result: GenerateResult): string
  /** Returns the last chunks of an answer that was cut at the output limit. */
  endCut(cut: CutAnswer): string
}

type Writing = ChunkOptions & {
  readonly typed: TypedText | undefined
  /** The part of each tool call's input that was written, in the order of the calls. */
  readonly inputs: Map<string, { readonly index: number; text: string }>
  frame: Frame
  isOpen: boolean
  hasText: boolean
}

/**
 * Writes chunks in the format of OpenAI's API. The constant parts are serialised once, so a token costs one `JSON.stringify` of its text.
 *
 * @throws {CannotTakeBack} from `encode()` and `end()`: content that was already sent has become void or turned out to be wrong
 */
export function createChunks(options: ChunkOptions): Chunks {
  const { envelope, model, output } = options
  const typed = output === undefined ? undefined : createTypedText(output.mayStream)
  const writing: Writing = {
    ...options,
    ...{ typed, inputs: new Map(), frame: frameOf(envelope, model), isOpen: false, hasText: false },
  }
  return {
    encode: event => encode(writing, event),
    end: result => end(writing, result),
    endCut: cut => endCut(writing, cut),
  }
}

function encode(writing: Writing, event: StreamEvent): string {
  switch (event.type) {
    case 'text-delta':
      return textChunk(writing, writing.typed === undefined ? event.text : writing.typed.push(event.text))
    case 'reasoning-delta':
      return event.text === '' ? '' : chunk(writing, `{"reasoning_content":${JSON.stringify(event.text)}}`)
    case 'tool-call-delta':
      return mayStreamInput(writing.tools, event.toolName) ? inputChunk(writing, event) : ''
    case 'tool-call':
      return callChunk(writing, event)
    case 'restart':
      if (!mayRestart(writing, event)) throw new CannotTakeBack(event.reason)
      writing.frame = frameOf(writing.envelope, event.model)
      return ''
    case 'continue':
      writing.frame = frameOf(writing.envelope, event.model)
      return ''
    default:
      return ''
  }
}

/** Only reasoning may be lost: readers accept new reasoning after void reasoning. */
function mayRestart({ hasText, inputs, typed }: Writing, { lost }: StreamEvent & { type: 'restart' }): boolean {
  return typed?.restart() !== false && (lost === 'reasoning' || (!hasText && inputs.size === 0))
}

/** Returns the last chunks when the answer is complete. */
function end(writing: Writing, result: GenerateResult): string {
  const { usage, finishReason, toolCalls, response } = result
  const { typed } = writing
  const rest = typed === undefined || toolCalls.length > 0 ? '' : typed.end(result.output)
  if (rest === undefined) throw new CannotTakeBack('malformed-response')
  const state = extraContent(result.message.providerMetadata)
  const logprobs = response.providerMetadata?.['logprobs'] ?? null
  return [
    textChunk(writing, rest),
    writing.isOpen ? '' : chunk(writing, '{"content":""}'),
    state === undefined ? '' : chunk(writing, JSON.stringify(state)),
    last(writing, { logprobs, reason: finishReasonOf(finishReason), usage }),
  ].join('')
}

function endCut(writing: Writing, { text, usage }: CutAnswer): string {
  const rest = writing.hasText ? '' : textChunk(writing, text)
  return `${rest}${last(writing, { logprobs: null, reason: 'length', usage })}`
}

type Last = { readonly logprobs: unknown; readonly reason: string; readonly usage: GenerateResult['usage'] }

function last({ frame, includeUsage }: Writing, { logprobs, reason, usage }: Last): string {
  const finish = `${frame.choice}{},"logprobs":${JSON.stringify(logprobs)},"finish_reason":${JSON.stringify(reason)}}]}\n\n`
  const figures = includeUsage ? `${frame.before}[],"usage":${JSON.stringify(usageOf(usage) ?? null)}}\n\n` : ''
  return `${finish}${figures}data: [DONE]\n\n`
}

/** @param first what the first chunk says is the text so far: null where tool calls begin the answer, as in whole answers */
function chunk(writing: Writing, delta: string, first = '""'): string {
  const { isOpen, frame } = writing
  writing.isOpen = true
  const role = isOpen ? '' : `${frame.choice}{"role":"assistant","content":${first}}${after}`
  return `${role}${frame.choice}${delta}${after}`
}

function textChunk(writing: Writing, text: string): string {
  if (text === '') return ''
  writing.hasText = true
  return chunk(writing, `{"content":${JSON.stringify(text)}}`)
}

function inputChunk(writing: Writing, { toolCallId, toolName, inputText }: StreamEvent & { type: 'tool-call-delta' }): string {
  const { inputs } = writing
  const known = inputs.get(toolCallId)
  if (known !== undefined) {
    known.text += inputText
    return chunk(writing, `{"tool_calls":[{"index":${known.index},"function":{"arguments":${JSON.stringify(inputText)}}}]}`)
  }
  const index = inputs.size
  inputs.set(toolCallId, { index, text: inputText })
  const call = { index, id: toolCallId, type: 'function', function: { name: toolName, arguments: inputText } }
  return chunk(writing, JSON.stringify({ tool_calls: [call] }), 'null')
}

function callChunk(writing: Writing, call: ToolCall): string {
  const { inputs } = writing
  const written = inputs.get(call.toolCallId)
  if (written === undefined) {
    const index = inputs.size
    inputs.set(call.toolCallId, { index, text: '' })
    return chunk(writing, JSON.stringify({ tool_calls: [{ index, ...toolCallBody(call) }] }), 'null')
  }
  const rest = restOf(written.text)
  const state = extraContent(call.providerMetadata)
  if (rest === '' && state === undefined) return ''
  return chunk(writing, JSON.stringify({ tool_calls: [{ index: written.index, function: { arguments: rest }, ...state }] }))
}

type Frame = { readonly before: string; readonly choice: string }

const after = ',"logprobs":null,"finish_reason":null}]}\n\n'

function frameOf({ id, created }: Envelope, model: string): Frame {
  const fields = JSON.stringify({ id, object: 'chat.completion.chunk', created, model })
  const before = `data: ${fields.slice(0, -1)},"choices":`
  return { before, choice: `${before}[{"index":0,"delta":` }
}

/** Returns whether the input can be streamed. It cannot if null may stand for an omitted property, which is only removed from the complete input. */
function mayStreamInput(tools: ToolSet | undefined, toolName: string): boolean {
  const schema = tools !== undefined && Object.hasOwn(tools, toolName) ? tools[toolName]?.inputSchema : undefined
  return schema !== undefined && (schema as CheckedSchema).mayStream
}

/** Returns the closing bracket that a server forgot at the end of an input which the library could still parse. */
function restOf(inputText: string): string {
  for (const rest of ['', '}', '"}', ']}']) {
    try {
      JSON.parse(inputText + rest)
      return rest
    } catch {}
  }
  if (inputText.trim() === '') return '{}'
  throw new CannotTakeBack('malformed-response')
}
