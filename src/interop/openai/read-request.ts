import type { GenerateInput, Reasoning } from '../../index.ts'
import type { CheckedSchema } from '../json-schemas.ts'
import { type Fields, fieldsOf, flagOf, given, listOf, numberOf, textOf, wrongText } from './fields.ts'
import type { Memory } from './memory.ts'
import { readMessages } from './read-messages.ts'
import { readResponseFormat, readToolChoice, readTools, schemaSpace } from './read-tools.ts'
import { RequestError } from './request-error.ts'

/** A parsed request to `/chat/completions`. */
export type ChatRequest = {
  readonly model: string
  readonly stream: boolean
  /** Whether a stream reports its usage at the end. */
  readonly includeUsage: boolean
  readonly input: GenerateInput
  readonly output: CheckedSchema | undefined
  /** The turns as they were received, which are part of the key of `Memory`. */
  readonly turns: readonly unknown[]
  /** Paths of fields that are not supported and were dropped. */
  readonly ignored: readonly string[]
}

/** Fields without a counterpart that change the answer, so that silently dropping them would give a wrong answer. */
const refused: Readonly<Record<string, string>> = {
  functions: "Write 'tools' instead.",
  function_call: "Write 'tool_choice' instead.",
  audio: 'Audio is not supported.',
  web_search_options: 'Web search is not supported.',
}

/** Fields that are passed to the service unchanged. */
const handedOn: ReadonlySet<string> = new Set([
  ...['frequency_penalty', 'presence_penalty', 'logit_bias', 'logprobs', 'top_logprobs', 'parallel_tool_calls', 'user'],
  ...['service_tier', 'verbosity', 'prompt_cache_key', 'safety_identifier'],
  // of self-hosted servers
  ...['top_k', 'min_p', 'repetition_penalty', 'chat_template_kwargs'],
])

const read: ReadonlySet<string> = new Set([
  ...[
    'model',
    'messages',
    'stream',
    'stream_options',
    'max_completion_tokens',
    'max_tokens',
    'temperature',
    'top_p',
    'stop',
    'seed',
  ],
  ...['response_format', 'tools', 'tool_choice', 'reasoning_effort', 'thinking', 'metadata', 'n', 'modalities'],
])

const efforts: Readonly<Record<string, Reasoning>> = {
  ...{ none: 'off', minimal: 'low', low: 'low', medium: 'high', high: 'high', xhigh: 'max', max: 'max' },
}

/**
 * Parses a request of OpenAI's API. `null` counts as missing.
 *
 * @throws {RequestError} The request is invalid or contains something that would be lost.
 */
export function readRequest(body: unknown, memory: Memory): ChatRequest {
  const fields = fieldsOf(body, 'the body')
  refuse(fields)
  const ignored: string[] = []
  const space = schemaSpace()
  const messages = readMessages(fields['messages'], { memory, ignored })
  const tools = readTools(given(fields, 'tools'), space)
  const output = readResponseFormat(given(fields, 'response_format'), space)
  const input: GenerateInput = {
    messages,
    output,
    tools,
    toolChoice: readToolChoice(given(fields, 'tool_choice'), tools),
    ...readLimits(fields),
    reasoning: readReasoning(fields),
    metadata: readMetadata(given(fields, 'metadata')),
    extraBody: handOn(fields),
  }
  const isUnknown = (name: string): boolean => !read.has(name) && !handedOn.has(name) && given(fields, name) !== undefined
  // field names are untrusted too, and end up in a header
  const unknown = Object.keys(fields).filter(isUnknown)
  return {
    model: readModel(fields),
    stream: flagOf(fields['stream'], 'stream') ?? false,
    includeUsage: readStreamOptions(given(fields, 'stream_options')),
    ...{ input, output, turns: listOf(fields['messages'], 'messages'), ignored: [...unknown, ...ignored] },
  }
}

function refuse(fields: Fields): void {
  for (const [param, instead] of Object.entries(refused)) {
    if (given(fields, param) !== undefined) throw new RequestError(`'${param}' is not supported. ${instead}`, { param })
  }
  const n = given(fields, 'n')
  if (n !== undefined && n !== 1) throw new RequestError("'n' may only be 1. Send one request for each answer.", { param: 'n' })
  const modalities = given(fields, 'modalities')
  if (modalities !== undefined && listOf(modalities, 'modalities').some(one => one !== 'text'))
    throw new RequestError("'modalities' may only be ['text'].", { param: 'modalities' })
}

function readModel(fields: Fields): string {
  const model = textOf(fields['model'] ?? '', 'model')
  if (model !== '') return model
  throw new RequestError("'model' is missing.", { param: 'model', code: 'missing_model' })
}

function readLimits(fields: Fields) {
  const [param, most] = ['max_completion_tokens', 'max_tokens']
    .map(name => [name, given(fields, name)] as const)
    .find(([, value]) => value !== undefined) ?? ['max_tokens', undefined]
  return {
    maxOutputTokens: numberOf(most, param, { from: 1, isWhole: true }),
    temperature: numberOf(fields['temperature'], 'temperature', { from: 0, to: 2 }),
    topP: numberOf(fields['top_p'], 'top_p', { from: 0, to: 1 }),
    seed: readSeed(fields['seed']),
    stopSequences: readStop(given(fields, 'stop')),
  }
}

/** OpenAI also accepts negative seeds, so they are mapped to positive ones. */
function readSeed(value: unknown): number | undefined {
  const seed = numberOf(value, 'seed', { from: Number.MIN_SAFE_INTEGER, isWhole: true })
  return seed === undefined ? undefined : Math.abs(seed)
}

function readStop(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined
  const list = typeof value === 'string' ? [value] : listOf(value, 'stop')
  const texts = list.map((one, index) => textOf(one, `stop[${index}]`)).filter(text => text !== '')
  return texts.length === 0 ? undefined : texts
}

function readReasoning(fields: Fields): Reasoning | undefined {
  const effort = given(fields, 'reasoning_effort')
  const thinking = given(fields, 'thinking')
  const type = thinking === undefined ? undefined : fieldsOf(thinking, 'thinking')['type']
  if (type === 'disabled') return 'off'
  if (thinking !== undefined && type !== 'enabled' && type !== 'adaptive')
    throw wrongText('thinking.type', "'enabled' or 'disabled'", type)
  if (effort === undefined) return thinking === undefined ? undefined : 'high'
  if (typeof effort === 'string' && Object.hasOwn(efforts, effort)) return efforts[effort]
  throw wrongText(
    'reasoning_effort',
    Object.keys(efforts)
      .map(one => `'${one}'`)
      .join(', '),
    effort,
  )
}

function readMetadata(value: unknown): GenerateInput['metadata'] {
  return value === undefined ? undefined : fieldsOf(value, 'metadata')
}

function readStreamOptions(value: unknown): boolean {
  if (value === undefined) return false
  return flagOf(fieldsOf(value, 'stream_options')['include_usage'], 'stream_options.include_usage') ?? false
}

function handOn(fields: Fields): GenerateInput['extraBody'] {
  const names = Object.keys(fields).filter(name => handedOn.has(name) && given(fields, name) !== undefined)
  return names.length === 0 ? undefined : Object.fromEntries(names.map(name => [name, fields[name]]))
}
