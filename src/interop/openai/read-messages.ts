import { parseJson } from '../../parse-json.ts'
import { deepestJson } from '../../json-cost.ts'
import type { ImagePart, Message, TextPart, ToolCall } from '../../index.ts'
import { type Fields, fieldsOf, flagOf, given, listOf, optionalText, textOf, wrong, wrongText } from './fields.ts'
import { RequestError } from './request-error.ts'
import type { Kept, Memory } from './memory.ts'

export type ReadMessagesOptions = {
  /** The data that clients do not send back. */
  readonly memory: Memory
  /** Collects the paths of fields that are not supported and are dropped. */
  readonly ignored: string[]
}

/** Converts a conversation from OpenAI's format to ours. Throws on content that would be lost. */
export function readMessages(value: unknown, options: ReadMessagesOptions): readonly Message[] {
  const turns = listOf(value, 'messages')
  if (turns.length === 0) {
    throw new RequestError("'messages' is empty. Write at least { role: 'user', content: '...' }.", { param: 'messages' })
  }
  const recall = options.memory.reader(turns)
  return turns.map((turn, index) => {
    const param = `messages[${index}]`
    const fields = fieldsOf(turn, param)
    return readTurn(fields, { ...options, param, recall: id => recall(index, id) })
  })
}

type Place = ReadMessagesOptions & {
  readonly param: string
  recall(toolCallId: string): Kept | undefined
}

function readTurn(fields: Fields, place: Place): Message {
  const { param } = place
  const { role } = fields
  switch (role) {
    case 'system':
    case 'developer':
      ignoreName(fields, place)
      return { role, content: contentText(fields['content'], `${param}.content`) }
    case 'user':
      ignoreName(fields, place)
      return { role, content: readContent(fields['content'], place) }
    case 'assistant':
      ignoreName(fields, place)
      return readAnswer(fields, place)
    case 'tool':
      return {
        role,
        toolCallId: textOf(fields['tool_call_id'], `${param}.tool_call_id`),
        toolName: optionalText(given(fields, 'name'), `${param}.name`),
        content: contentText(fields['content'], `${param}.content`),
      }
    case 'function':
      throw new RequestError("The role 'function' is not supported. Write the role 'tool' with tool_call_id.", { param })
    default:
      throw wrongText(`${param}.role`, "'system', 'developer', 'user', 'assistant' or 'tool'", role)
  }
}

function ignoreName(fields: Fields, { param, ignored }: Place): void {
  if (given(fields, 'name') !== undefined) ignored.push(`${param}.name`)
}

function readContent(value: unknown, place: Place): string | readonly (TextPart | ImagePart)[] {
  const param = `${place.param}.content`
  if (!Array.isArray(value)) return textOf(value, param)
  const parts = value.map((part, index) => readPart(part, `${param}[${index}]`, place))
  return parts.some(({ type }) => type === 'image') ? parts : parts.map(part => (part.type === 'text' ? part.text : '')).join('')
}

function readPart(value: unknown, param: string, { ignored }: Place): TextPart | ImagePart {
  const part = fieldsOf(value, param)
  const { type } = part
  if (type === 'text') return { type, text: textOf(part['text'], `${param}.text`) }
  if (type !== 'image_url') throw noPlace(type, param)
  const image = fieldsOf(part['image_url'], `${param}.image_url`)
  const detail = given(image, 'detail')
  if (detail !== undefined && detail !== 'auto') ignored.push(`${param}.image_url.detail`)
  return { type: 'image', image: textOf(image['url'], `${param}.image_url.url`) }
}

function noPlace(type: unknown, param: string): RequestError {
  const kind = typeof type === 'string' ? `The content type '${type.slice(0, 80)}'` : 'A part without a type'
  return new RequestError(`${kind} is not supported. Parts may be 'text' and 'image_url'.`, { param: `${param}.type` })
}

/** Reads a string, or a list of text parts. */
function contentText(value: unknown, param: string): string {
  if (!Array.isArray(value)) return textOf(value, param)
  const texts = value.map((one, index) => {
    const part = fieldsOf(one, `${param}[${index}]`)
    const { type } = part
    if (type === 'text') return textOf(part['text'], `${param}[${index}].text`)
    if (type === 'refusal') return textOf(part['refusal'], `${param}[${index}].refusal`)
    throw new RequestError("Only parts of the type 'text' are supported here.", { param: `${param}[${index}].type` })
  })
  return texts.join('')
}

function readAnswer(fields: Fields, place: Place): Message {
  const { param } = place
  for (const name of ['function_call', 'audio']) {
    if (given(fields, name) !== undefined)
      throw new RequestError(`'${param}.${name}' is not supported.`, { param: `${param}.${name}` })
  }
  const calls = given(fields, 'tool_calls')
  const list = calls === undefined ? [] : listOf(calls, `${param}.tool_calls`)
  const toolCalls = list.map((call, index) => readCall(call, `${param}.tool_calls[${index}]`, place))
  const kept = toolCalls.map(({ toolCallId }) => place.recall(toolCallId)).find(one => one !== undefined)
  const content = given(fields, 'content') ?? given(fields, 'refusal')
  const reasoning = given(fields, 'reasoning_content') ?? given(fields, 'reasoning')
  return {
    role: 'assistant',
    content: content === undefined ? '' : contentText(content, `${param}.content`),
    reasoningText: reasoning === undefined ? kept?.reasoningText : textOf(reasoning, `${param}.reasoning_content`),
    ...(toolCalls.length === 0 ? undefined : { toolCalls }),
    prefix: flagOf(given(fields, 'prefix'), `${param}.prefix`),
    providerMetadata: extraOf(fields, param) ?? kept?.messageState,
  }
}

function readCall(value: unknown, param: string, { recall }: Place): ToolCall {
  const call = fieldsOf(value, param)
  const type = given(call, 'type') ?? 'function'
  if (type !== 'function') throw new RequestError("Tool calls may only be of the type 'function'.", { param: `${param}.type` })
  const { name, arguments: written } = fieldsOf(call['function'], `${param}.function`)
  const toolCallId = textOf(call['id'], `${param}.id`)
  if (toolCallId === '') throw wrong(`${param}.id`, 'a non-empty string', toolCallId)
  return {
    toolCallId,
    toolName: textOf(name, `${param}.function.name`),
    input: readArguments(written ?? '', `${param}.function.arguments`),
    providerMetadata: extraOf(call, param) ?? recall(toolCallId)?.callState,
  }
}

/** Parses arguments, which are a JSON string. Servers write missing arguments as `''`. */
function readArguments(value: unknown, param: string): unknown {
  const text = textOf(value, param).trim()
  if (text === '') return {}
  try {
    return parseJson(text)
  } catch {
    throw new RequestError(`'${param}' must be a string of JSON that is at most ${deepestJson} levels deep.`, { param })
  }
}

/** Reads the metadata that a service expects back, in the field in which we sent it: `extra_content.unbusy`. */
function extraOf(fields: Fields, param: string): Fields | undefined {
  const extra = given(fields, 'extra_content')
  if (extra === undefined) return undefined
  const ours = given(fieldsOf(extra, `${param}.extra_content`), 'unbusy')
  return ours === undefined ? undefined : fieldsOf(ours, `${param}.extra_content.unbusy`)
}
