import type { Attributes } from '@opentelemetry/api'
import type { Call, Message } from '../contract.ts'
import type { TelemetryAnswer } from '../telemetry/part.ts'
import { attributes } from './names.ts'

/** The request, verbatim. Only with `content: true`. */
export function askedAttributes({ messages = [], tools }: Partial<Call>): Attributes {
  const system = messages.flatMap(({ role, content }) => (role === 'system' || role === 'developer' ? [textPart(content)] : []))
  const turns = messages.filter(({ role }) => role !== 'system' && role !== 'developer')
  return {
    [attributes.inputMessages]: jsonOf(turns.map(turnOf)),
    ...(system.length === 0 ? {} : { [attributes.systemInstructions]: jsonOf(system) }),
    ...(tools === undefined ? {} : { [attributes.toolDefinitions]: jsonOf(definitionsOf(tools)) }),
  }
}

/** The answer, verbatim. Only with `content: true`. */
export function answeredAttributes({ text, reasoningText, toolCalls, finishReason }: TelemetryAnswer): Attributes {
  const parts = [
    ...(reasoningText === '' ? [] : [{ type: 'reasoning', content: reasoningText }]),
    ...(text === '' ? [] : [textPart(text)]),
    ...toolCalls.map(toolCallPart),
  ]
  return { [attributes.outputMessages]: jsonOf([{ role: 'assistant', parts, finish_reason: finishReason }]) }
}

function turnOf(message: Message): object {
  if (message.role === 'tool') {
    return { role: 'tool', parts: [{ type: 'tool_call_response', id: message.toolCallId, response: message.content }] }
  }
  if (message.role === 'assistant') {
    return { role: 'assistant', parts: [textPart(message.content), ...(message.toolCalls ?? []).map(toolCallPart)] }
  }
  const { role, content } = message
  if (typeof content === 'string') return { role, parts: [textPart(content)] }
  return { role, parts: content.map(part => (part.type === 'text' ? textPart(part.text) : imagePart(part.image))) }
}

function textPart(content: unknown): object {
  return { type: 'text', content }
}

/** Omits the bytes of an image, which nobody can read in a span. */
function imagePart(image: string): object {
  return image.startsWith('data:')
    ? { type: 'blob', modality: 'image', length: image.length }
    : { type: 'uri', modality: 'image', uri: image }
}

function toolCallPart({ toolCallId, toolName, input }: TelemetryAnswer['toolCalls'][number]): object {
  return { type: 'tool_call', id: toolCallId, name: toolName, arguments: input }
}

function definitionsOf(tools: NonNullable<Call['tools']>): readonly object[] {
  return Object.entries(tools).map(([name, { description, inputSchema }]) => ({
    ...{ type: 'function', name, description, parameters: inputSchema },
  }))
}

/** Returns a value as JSON; a BigInt as a string. What JSON cannot represent is `null`: it must not keep its span from ending. */
export function jsonOf(value: unknown): string {
  try {
    const text: string | undefined = JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))
    return text ?? 'null'
  } catch {
    return 'null'
  }
}
