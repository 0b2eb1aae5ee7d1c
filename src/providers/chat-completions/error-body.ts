import type { ResponseHeaders } from '../../contract.ts'
import { detailsOf, headersIn, namedTime } from './error-details.ts'
import { withoutLitellm } from './error-litellm.ts'
import { asObject, parseJson } from './parse-json.ts'
import { textOfHtml } from './safe-text.ts'

/** What an error answer says, whatever its shape. The words are the server's own: not yet safe to be shown. */
export type ServerError = {
  readonly message: string
  readonly type: string
  /** Numbers as digits. */
  readonly code: string
  readonly param: string
  /** What an aggregator's upstream said, where it is passed on. */
  readonly upstream: string
  readonly requestId: string | undefined
  /** llama-server names both numbers of an overflow in fields. */
  readonly contextTokens: number | undefined
  readonly requestedTokens: number | undefined
  /** The text was an HTML page: a proxy's or a CDN's, not the service's. */
  readonly html: boolean
  /** Names of what was used up or refused, which stand beside the message: Google's quota ids and reasons. */
  readonly details: string
  /** A time that a field names, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** Headers of an aggregator's upstream, or of the answer that this one would have been. */
  readonly headers: ResponseHeaders
  /** What the model wrote, where the service could not read it (Groq). */
  readonly written: string
}

/**
 * Reads an error body by its content; the content type lies (a DeepSeek 400 came as application/octet-stream, see
 * SaladDay/cc-switch-cli#170). Seen in the wild: an object in `error`, a string in `error` (vLLM's 401), flat (SGLang, SiliconFlow),
 * a bare JSON string (SiliconFlow's 401 and 404), `detail` of FastAPI, `base_resp` (MiniMax), `ResponseMetadata` (Volcengine), one
 * server-sent event, HTML, XML, plain text, nothing.
 */
export function readErrorBody(body: string): ServerError {
  const text = body.slice(0, 65_536).trim()
  if (text === '') return noWords
  if (text.startsWith('<')) return { ...noWords, message: textOfHtml(text), html: !isXml.test(text) }
  const json = beginsEvent.test(text) ? dataOf(text) : text
  try {
    return readErrorValue(parseJson(json))
  } catch {
    return { ...noWords, message: json.slice(0, longestMessage) }
  }
}

/** The same for a value that is parsed already, for example the `error` of an event in a stream. */
export function readErrorValue(value: unknown): ServerError {
  return withoutLitellm(read(value, 0))
}

/** An object that is an error by what it holds, also beside an answer: that is not whole then. */
export function isNamedError({ error, base_resp: response }: Fields): boolean {
  return (error !== undefined && isErrorValue(error)) || (response !== undefined && isBadBaseResponse(response))
}

/**
 * An object without an answer that stands for an error although nothing in it is called `error`: SGLang's and SiliconFlow's flat form,
 * FastAPI's `detail`.
 */
export function isFlatError(value: Fields): boolean {
  if (value['object'] === 'error' || value['type'] === 'error') return true
  if (isErrorValue(value['detail']) && Object.keys(value).length === 1) return true
  if (typeof value['error_msg'] === 'string' && Number(value['error_code']) !== 0) return true
  return typeof value['message'] === 'string' && value['message'] !== '' && hasText(value['code'] ?? value['type'])
}

/** MiniMax's way to say that something went wrong, in a 200 (F17). */
function isBadBaseResponse(value: unknown): boolean {
  const response = asObject(value)
  return response !== undefined && isFailedResponse(response)
}

/** Whether an `error` field says that there is an error: `null`, `""`, `{}` and `false` stand in good answers too. */
export function isErrorValue(value: unknown): boolean {
  if (typeof value === 'string') return value !== ''
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

/** Amazon's and its like answer in XML: a service speaks there, not a proxy. */
const isXml = /^<(?:\?xml|error|errorresponse)\b/i
/** DashScope: `id:1`, `event:error`, `:HTTP_STATUS/429`, then `data:` (F63). */
const beginsEvent = /^(?::[^\n]*\n|data:|event:|id:|retry:)/

const longestMessage = 4_000
/** Errors inside errors: a gateway's, around its upstream's. */
const deepest = 3

const noWords: ServerError = {
  message: '',
  type: '',
  code: '',
  param: '',
  upstream: '',
  requestId: undefined,
  contextTokens: undefined,
  requestedTokens: undefined,
  html: false,
  details: '',
  retryAfterMs: undefined,
  headers: {},
  written: '',
}

function dataOf(events: string): string {
  const line = /(?:^|\n)data: ?([^\r\n]*)/.exec(events)
  return line?.[1] ?? events
}

function read(value: unknown, depth: number): ServerError {
  if (typeof value === 'string') return { ...noWords, message: value.slice(0, longestMessage) }
  if (depth > deepest) return noWords
  if (Array.isArray(value)) return readList(value, depth)
  const object = asObject(value)
  return object === undefined ? noWords : readObject(object, depth)
}

/** What stands inside `error` goes before what stands beside it. */
function readObject(object: Fields, depth: number): ServerError {
  const inner = innerOf(object, depth)
  const outer = outerOf(object, depth)
  return {
    message: firstText(inner.message, outer.message),
    type: firstText(inner.type, outer.type),
    code: firstText(inner.code, outer.code),
    param: firstText(inner.param, outer.param),
    upstream: firstText(inner.upstream, outer.upstream),
    requestId: inner.requestId ?? outer.requestId,
    contextTokens: inner.contextTokens ?? outer.contextTokens,
    requestedTokens: inner.requestedTokens ?? outer.requestedTokens,
    html: false,
    details: firstText(inner.details, outer.details),
    retryAfterMs: inner.retryAfterMs ?? outer.retryAfterMs,
    headers: { ...outer.headers, ...inner.headers },
    written: firstText(inner.written, outer.written),
  }
}

/** What the object says itself, without the errors in it. */
function outerOf(object: Fields, depth: number): ServerError {
  const metadata = asObject(object['metadata']) ?? {}
  return {
    ...noWords,
    message: messageOf(object, depth),
    type: firstText(object['type'], object['error_type'], object['__type'], object['status']),
    code: firstText(object['code'], object['error_code'], object['status_code'], object['Code'], object['reason']),
    param: firstText(object['param']),
    upstream: upstreamOf(metadata['raw']),
    requestId: requestIdIn(object) ?? requestIdIn(metadata),
    contextTokens: count(object['n_ctx']),
    requestedTokens: count(object['n_prompt_tokens']),
    details: detailsOf(object['details']),
    retryAfterMs: namedTime(object) ?? namedTime(metadata),
    headers: headersIn(metadata['headers']),
    written: firstText(object['failed_generation']),
  }
}

type Fields = { readonly [key: string]: unknown }

function innerOf(object: Fields, depth: number): ServerError {
  const response = asObject(object['base_resp'])
  if (response !== undefined && isFailedResponse(response)) {
    return { ...noWords, message: firstText(response['status_msg']), type: 'base_resp', code: firstText(response['status_code']) }
  }
  const wrapped = asObject(object['ResponseMetadata'])?.['Error'] ?? object['Error']
  const error = isErrorValue(object['error']) ? object['error'] : wrapped
  return isErrorValue(error) ? read(error, depth + 1) : noWords
}

/** MiniMax says 0 where all is well. */
function isFailedResponse(response: Fields): boolean {
  const code = response['status_code']
  return (typeof code === 'number' || typeof code === 'string') && Number(code) !== 0
}

/** A list of validation errors (`loc`, `msg`), else the first of several errors. */
function readList(list: readonly unknown[], depth: number): ServerError {
  const lines = list.slice(0, 3).flatMap(entry => {
    const { loc, msg } = asObject(entry) ?? {}
    if (typeof msg !== 'string') return []
    return [Array.isArray(loc) ? `${loc.filter(part => typeof part !== 'object').join('.')}: ${msg}` : msg]
  })
  return lines.length === 0 ? read(list[0], depth + 1) : { ...noWords, message: lines.join('; ').slice(0, longestMessage) }
}

const messageFields = [
  ...['message', 'msg', 'error_message', 'error_msg', 'errorMessage', 'error_description', 'Message', 'detail', 'errors'],
  ...['faultstring', 'title'],
] as const

function messageOf(object: { readonly [key: string]: unknown }, depth: number): string {
  for (const name of messageFields) {
    const value = object[name]
    const text = typeof value === 'object' && value !== null ? read(value, depth + 1).message : firstText(value)
    if (text !== '') return name === 'message' ? fromPython(text) : text
  }
  return ''
}

/** vLLM and SGLang write a failed validation in Python, with the whole input in it: only place and complaint are taken. */
function fromPython(text: string): string {
  if (!/^(?:\[|\d+ validation errors?:\s*)\{'/.test(text)) return text.slice(0, longestMessage)
  // a list in older versions, one text since 0.32
  const [, list, path] = /'loc': (?:\(([^)]{0,200})\)|'([^']{0,200})')/.exec(text) ?? []
  const place = path ?? list?.replace(/['\s]/g, '').replaceAll(',', '.')
  const complaint = /'msg': (?:'([^']{0,200})'|"([^"]{0,200})")/.exec(text)
  return `${place ?? ''}: ${complaint?.[1] ?? complaint?.[2] ?? 'not valid'}`
}

/** OpenRouter passes its upstream's answer on as text, which is often JSON again. */
function upstreamOf(raw: unknown): string {
  if (typeof raw !== 'string') return read(raw, 3).message
  try {
    return read(JSON.parse(raw), 2).message
  } catch {
    return raw.slice(0, longestMessage)
  }
}

function requestIdIn(object: { readonly [key: string]: unknown }): string | undefined {
  const id = firstText(object['request_id'], object['requestId'], object['RequestId'], object['trace_id'])
  return id === '' ? undefined : id
}

function firstText(...values: readonly unknown[]): string {
  for (const value of values) {
    if (typeof value === 'string' && value !== '') return value.slice(0, longestMessage)
    if (typeof value === 'number') return String(value)
  }
  return ''
}

function hasText(value: unknown): boolean {
  return firstText(value) !== ''
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
