import type { Usage } from '../contract.ts'
import { usageOf } from './chat-answer/usage.ts'
import { isFlatError } from './chat-failure/error-body.ts'
import { asObject, mostEncoded, parseJson } from './json.ts'

export type Fields = { readonly [key: string]: unknown }

/**
 * The text in one object, from the named field, else from where servers of this kind put it: TGI, SGLang, vLLM's demo server,
 * Triton, llama.cpp, KoboldCpp, SageMaker, or a completion of OpenAI's form (F64, F65).
 */
export function textIn(fields: Fields, responseField: string): string | undefined {
  const named = fields[responseField]
  if (typeof named === 'string') return named
  // gateways in PHP write a text of digits as a number
  if (Number.isFinite(named)) return String(named)
  const { text, generated_text: generated, meta_info: meta } = fields
  if (typeof generated === 'string') return generated
  // SGLang's native format
  if (typeof text === 'string' && asObject(meta) !== undefined) return text
  if (Array.isArray(text) && typeof text[0] === 'string') return text[0]
  return isFlatError(fields) ? undefined : otherText(fields, responseField)
}

const otherFields = ['text_output', 'content', 'token', 'output', 'result', 'answer', 'completion', 'data'] as const
const lists = ['choices', 'results', 'outputs', 'predictions', 'generations'] as const
/** What gateways wrap around the object with the text, beside a status (`result` of Cloudflare). */
const envelopes = ['data', 'result', 'output', 'response'] as const

function otherText(fields: Fields, responseField: string): string | undefined {
  for (const name of otherFields) if (typeof fields[name] === 'string') return fields[name]
  const first = firstOf(fields)
  if (typeof first === 'string') return first
  const inner = asObject(first) ?? envelopedIn(fields) ?? {}
  const message = asObject(inner['message']) ?? asObject(inner['delta']) ?? asObject(fields['message']) ?? {}
  const found = [inner[responseField], inner['text'], inner['generated_text'], message['content']]
  return found.find(text => typeof text === 'string')
}

function envelopedIn(fields: Fields): Fields | undefined {
  return envelopes.map(name => asObject(fields[name])).find(inner => inner !== undefined)
}

/** The object of a document, out of lists of one and out of the `body` of a function on AWS; or its text, if it is nothing else. */
export function fieldsOrText(value: unknown): Fields | string {
  const inner: unknown = Array.isArray(value) ? value.flat()[0] : value
  if (typeof inner === 'string') return inner
  const fields = asObject(inner) ?? {}
  const { body } = fields
  if (typeof body !== 'string' || !body.startsWith('{') || body.length > mostEncoded) return fields
  try {
    return { ...asObject(parseJson(body)), ...fields }
  } catch {
    return fields
  }
}

function firstOf(fields: Fields): unknown {
  const list = lists.map(name => fields[name]).find(Array.isArray) as readonly unknown[] | undefined
  return list?.[0]
}

/** The word for how the answer ended, from any field where servers of this kind put it (F106). */
export function endIn(fields: Fields): string | undefined {
  const inner = innerOf(fields)
  if (fields['stopped_limit'] === true) return 'length'
  const said =
    endFields.map(name => fields[name]).find(isSaid) ?? inner['finish_reason'] ?? asObject(firstOf(fields))?.['finish_reason']
  const word = asObject(said)?.['type'] ?? said ?? stopTypes.get(fields['stop_type'])
  return typeof word === 'string' ? word : undefined
}

const endFields = ['finish_reason', 'done_reason', 'stop_reason'] as const

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** Of llama.cpp. */
const stopTypes: ReadonlyMap<unknown, string> = new Map([
  ['eos', 'stop'],
  ['word', 'stop'],
  ['limit', 'length'],
])

export function usageIn(fields: Fields): Usage | undefined {
  const inner = innerOf(fields)
  const counts = { ...fields, ...inner }
  const counted = {
    completion_tokens: counts['generated_tokens'] ?? counts['eval_count'] ?? counts['tokens_predicted'],
    prompt_tokens: counts['prompt_eval_count'] ?? counts['tokens_evaluated'],
  }
  return usageOf(fields['usage']) ?? usageOf(inner['usage']) ?? usageOf(inner) ?? usageOf(fields) ?? usageOf(counted)
}

function innerOf(fields: Fields): Fields {
  return asObject(fields['details']) ?? asObject(fields['meta_info']) ?? envelopedIn(fields) ?? {}
}

/** Whether this object says that it is the last of an answer. */
export function isLast(fields: Fields): boolean {
  return fields['done'] === true || fields['stop'] === true
}

/** One piece of an answer is not longer, and a longer document is not parsed twice. */
const longestFirst = 65_536

/** Whether a complete document is only the first of several: without this a slow stream of lines would end with its first line. */
export function isFirstOfMany(json: string): boolean {
  if (json.length > longestFirst) return false
  try {
    const fields = asObject(parseJson(json))
    return fields?.['done'] === false || fields?.['stop'] === false
  } catch {
    return false
  }
}
