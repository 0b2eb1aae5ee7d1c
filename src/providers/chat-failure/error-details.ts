import type { ResponseHeaders } from '../../contract.ts'
import { endOfJson, startOfJson } from '../../http/json-lines.ts'
import { durationMs, untilMs } from '../../http/retry-after.ts'
import { asObject } from '../json.ts'

type Fields = { readonly [key: string]: unknown }

/** The body of an error, or the data of the event in it. */
export function dataIn(body: string): string {
  return beginsEvent.test(body) ? dataOf(body) : body
}

/** The first of several documents. */
export function firstDocument(data: string): string {
  return data.startsWith('{') ? data.slice(0, endOfJson(startOfJson(), data)) : data
}

/** DashScope: `id:1`, `event:error`, `:HTTP_STATUS/429`, then `data:` (F63). */
const beginsEvent = /^(?::[^\n]*\n|data:|event:|id:|retry:)/

/** The data of the event called error, else of the first one. */
function dataOf(text: string): string {
  const events = text.split(/\r?\n\r?\n/)
  const found = events.find(event => /^event: ?error\s*$/m.test(event)) ?? events.find(event => dataLine.test(event))
  const lines = (found ?? '').split(/\r?\n/).filter(line => dataLine.test(line))
  return lines.length === 0 ? text : lines.map(line => line.replace(dataLine, '')).join('\n')
}

const dataLine = /^data: ?/m

/** Longer lists are cut here; more details help nobody. */
const mostDetails = 8

/** The reasons and quota ids in Google's `details`. Only names are kept, so nothing from the request leaks. */
export function detailsOf(details: unknown): string {
  const names = listOf(details).flatMap(({ reason, violations }) => [reason, ...listOf(violations).map(each => each['quotaId'])])
  return names.filter(name => typeof name === 'string' && /^[\w.-]{1,120}$/.test(name)).join(' ')
}

/**
 * The retry time in a field, in milliseconds: `retry_after: 30`, `retryDelay: "36s"` inside Google's details, or
 * `retry_after_ms`.
 */
export function namedTime(object: Fields): number | undefined {
  const inMs = object['retry_after_ms'] ?? object['retryAfterMs']
  if (typeof inMs === 'number') return durationMs(`${inMs}ms`)
  const times = [object, ...listOf(object['details'])].flatMap(holder => timeFields.map(name => holder[name]))
  const known = times.map(time => (typeof time === 'number' || typeof time === 'string' ? durationMs(String(time)) : undefined))
  return known.find(ms => ms !== undefined) ?? untilNamed(object)
}

const timeFields = [
  ...['retryDelay', 'retry_after', 'retry_after_seconds', 'retryAfter', 'retryAfterSeconds', 'resets_in_seconds'],
  'wait_seconds',
] as const

function untilNamed(object: Fields): number | undefined {
  const moments = momentFields.map(name => object[name]).filter(at => typeof at === 'number' || typeof at === 'string')
  return moments.map(at => untilMs(String(at), Date.now())).find(ms => ms !== undefined)
}

const momentFields = ['resets_at', 'reset_at', 'resetsAt', 'resetAt', 'resetTime', 'reset_time'] as const

/** Response headers that an aggregator copied into the body. */
export function headersIn(headers: unknown): ResponseHeaders {
  const found = Object.entries(asObject(headers) ?? {}).slice(0, 32)
  return Object.fromEntries(
    found
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([name, value]) => [name.toLowerCase(), String(value)]),
  )
}

function listOf(value: unknown): readonly Fields[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value.slice(0, mostDetails) : []
  return entries.map(asObject).filter(each => each !== undefined)
}

type Said = { readonly message: string; readonly type: string; readonly code: string }

/**
 * A LiteLLM proxy wraps its upstream's message in a sentence of its own and derives the error type from the status: "no quota"
 * arrives as `throttling_error`, because both are a 429 (seen with 1.108). Only the upstream's message is used.
 *
 * "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota.\n\nLiteLLM: model group 'x' failed
 * ..."
 */
export function withoutLitellm<Error extends Said>(error: Error): Error {
  const [, kind = ''] = /^litellm\.(\w{1,60})/.exec(error.message) ?? []
  if (kind === '') return error
  const [said = ''] = error.message.replace(frame, '').split(/\n(?=model=|set '|\n?litellm: )/i)
  return { ...error, message: said.trim(), type: '', code: namesCause.test(kind) ? kind : error.code }
}

const frame = /^(?:(?:litellm\.)?\w{1,60}(?:Error|Exception): ){1,4}(?:\w{1,60}Exception - )?/

/** The LiteLLM errors whose kind is not derived from the status alone. */
const namesCause = /^(?:ContextWindowExceeded|ContentPolicyViolation|BudgetExceeded)/

const upstreams = 'llm_provider-'

/** Adds the upstream's rate-limit headers, which LiteLLM passes on under prefixed names. */
export function withUpstreams(headers: ResponseHeaders): ResponseHeaders {
  const names = Object.keys(headers).filter(name => name.startsWith(upstreams) && /retry-after|ratelimit/.test(name))
  if (names.length === 0) return headers
  return { ...Object.fromEntries(names.map(name => [name.slice(upstreams.length), headers[name]])), ...headers }
}
