import type { ResponseHeaders } from '../../contract.ts'
import { dataIn, detailsOf, firstDocument, headersIn, namedTime, withoutLitellm } from './error-details.ts'
import { asObject, parseJson } from '../json.ts'
import { textOfHtml } from './safe-text.ts'

/** The contents of an error body, whatever its shape. The texts are the server's own and not yet safe to show. */
export type ServerError = {
  readonly message: string
  readonly type: string
  /** Numeric codes become digits. */
  readonly code: string
  readonly param: string
  /** The upstream's error text, when an aggregator passes it on. */
  readonly upstream: string
  readonly requestId: string | undefined
  /** llama-server reports both numbers of a context overflow in fields. */
  readonly contextTokens: number | undefined
  readonly requestedTokens: number | undefined
  /** The body is an HTML page, so it comes from a proxy or a CDN and not from the service. */
  readonly html: boolean
  /** Names of the exceeded quota or the refusal, apart from the message: Google's quota ids and reasons. */
  readonly details: string
  /** The retry time that a field gives, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** Headers that the body carries: an aggregator's upstream's, or those that this answer should have had. */
  readonly headers: ResponseHeaders
  /** The model's output, when the service could not parse it (Groq). */
  readonly written: string
}

/**
 * Reads an error body by its content, because content types are unreliable (a DeepSeek 400 came as application/octet-stream, see
 * SaladDay/cc-switch-cli#170). Seen in practice: an object in `error`, a string in `error` (vLLM's 401), flat (SGLang,
 * SiliconFlow), a bare JSON string (SiliconFlow's 401 and 404), FastAPI's `detail`, `base_resp` (MiniMax), `ResponseMetadata`
 * (Volcengine), `Response` (Tencent), a list in `errors` (Cloudflare, watsonx), one server-sent event, HTML, XML, plain text, an
 * empty body.
 */
export function readErrorBody(body: string): ServerError {
  const text = body.slice(0, 65_536).trim()
  if (text === '') return noWords
  if (text.startsWith('<')) return { ...noWords, message: textOfHtml(text), html: !isXml.test(text) }
  const data = dataIn(text)
  try {
    return readErrorValue(parseJson(firstDocument(data)))
  } catch {
    return { ...noWords, message: data.slice(0, longestMessage) }
  }
}

/** Like `readErrorBody`, for a value that is already parsed, for example the `error` of a stream event. */
export function readErrorValue(value: unknown): ServerError {
  return withoutLitellm(read(value, 0))
}

/** Whether the object reports an error in an error field. It may also hold part of an answer; that answer is then incomplete. */
export function isNamedError({ error, base_resp: response, x_groq: groq }: Fields): boolean {
  if (error !== undefined && isErrorValue(error)) return true
  return (response !== undefined && isBadBaseResponse(response)) || isErrorValue(asObject(groq)?.['error'])
}

/**
 * Whether an object without an answer is an error although it has no `error` field: SGLang's and SiliconFlow's flat form,
 * FastAPI's `detail`.
 */
export function isFlatError(value: Fields): boolean {
  if (value['object'] === 'error' || value['type'] === 'error') return true
  if (isErrorValue(value['detail']) && Object.keys(value).length === 1) return true
  if (pairs.some(([message, code]) => hasText(value[message]) && ![value[message], value[code]].some(saysSuccess))) return true
  if (isFailedResult(value) || exceptionIn(value) !== undefined) return true
  const name = value['code'] ?? value['type']
  return hasText(value['message']) && hasText(name) && !saysSuccess(name)
}

/** The words and the code of an error, in fields that are only there for it. */
const pairs = [
  ['error_msg', 'error_code'],
  ['error_message', 'error_code'],
  ['errorMessage', 'errorCode'],
  ['errmsg', 'errcode'],
  ['errMsg', 'errCode'],
] as const

/** Tencent's form, and that of Zhipu and others, which put `code` and `msg` beside a result as well as in place of one. */
function isFailedResult({ Response: response, msg, code, errors, status, success, message }: Fields): boolean {
  if (isErrorValue(asObject(response)?.['Error']) || (Array.isArray(errors) && errors.length > 0)) return true
  const hasFailed = success === false || (typeof status === 'string' && /^(?:error|fail(?:ed|ure)?)$/i.test(status))
  if (hasFailed) return hasText(message ?? msg)
  return hasText(msg) && hasText(code) && !saysSuccess(code)
}

/** MiniMax reports an error this way inside a 200 (F17). */
function isBadBaseResponse(value: unknown): boolean {
  const response = asObject(value)
  return response !== undefined && isFailedResponse(response)
}

/**
 * Whether an `error` field reports an error. Good answers may carry `null`, `""`, `{}` or `false` there, an object with nothing in
 * it (new-api), or a success.
 */
export function isErrorValue(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return isPresent(value) && !saysSuccess(value)
  return Object.values(value).some(inner => isPresent(inner) && !saysSuccess(inner))
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false
}

function saysSuccess(value: unknown): boolean {
  return (typeof value === 'string' || typeof value === 'number') && isSuccess.test(String(value))
}

/** In words, or as a code: gateways count from 0, or use the status. */
const isSuccess = /^(?:ok|success(?:ful)?|succeeded|no error|none|null|成功|0+|200|20000)$/i

/** The name of the exception that an object of Bedrock's event stream holds: `{ "throttlingException": { "message": "..." } }`. */
function exceptionIn(value: Fields): string | undefined {
  const [name = '', ...others] = Object.keys(value)
  return others.length === 0 && name.endsWith('Exception') && asObject(value[name]) !== undefined ? name : undefined
}

/** Amazon and similar services answer in XML: the service wrote the body, not a proxy. */
const isXml = /^<(?:\?xml|error|errorresponse)\b/i
const longestMessage = 4_000
/** A gateway nests its upstream's error inside its own; this is the deepest nesting that is read. */
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

function read(value: unknown, depth: number): ServerError {
  if (typeof value === 'string') return { ...noWords, message: value.slice(0, longestMessage) }
  if (typeof value === 'number') return { ...noWords, code: String(value) }
  if (depth > deepest) return noWords
  if (Array.isArray(value)) return readList(value, depth)
  const object = asObject(value)
  return object === undefined ? noWords : readObject(object, depth)
}

/** Fields inside `error` take precedence over fields beside it. */
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

/** The error in the object's own fields, without nested errors. */
function outerOf(object: Fields, depth: number): ServerError {
  const metadata = asObject(object['metadata']) ?? {}
  const upstream = upstreamOf(metadata['raw'])
  return {
    ...noWords,
    message: messageOf(object, depth),
    type: firstText(object['type'], object['error_type'], object['__type'], object['status'], upstream.type),
    code: firstText(...codeFields.map(name => object[name])),
    param: firstText(object['param']),
    upstream: upstream.message,
    requestId: requestIdIn(object) ?? requestIdIn(metadata),
    contextTokens: count(object['n_ctx']),
    requestedTokens: count(object['n_prompt_tokens']),
    details: firstText(detailsOf(object['details']), upstream.details),
    retryAfterMs: namedTime(object) ?? namedTime(metadata) ?? upstream.retryAfterMs,
    headers: headersIn(metadata['headers']),
    written: firstText(object['failed_generation']),
  }
}

const codeFields = ['code', 'error_code', 'errorCode', 'errcode', 'errCode', 'status_code', 'Code', 'reason'] as const

type Fields = { readonly [key: string]: unknown }

function innerOf(object: Fields, depth: number): ServerError {
  const response = asObject(object['base_resp'])
  if (response !== undefined && isFailedResponse(response)) {
    return { ...noWords, message: firstText(response['status_msg']), type: 'base_resp', code: firstText(response['status_code']) }
  }
  const exception = exceptionIn(object)
  if (exception !== undefined) return { ...read(object[exception], depth + 1), type: exception }
  const wrapped = [object['ResponseMetadata'], object['Response'], object].map(holder => asObject(holder)?.['Error'])
  const groq = asObject(object['x_groq'])?.['error']
  const error = [object['error'], ...wrapped, object['errors'], groq].find(isErrorValue)
  return error === undefined ? noWords : read(error, depth + 1)
}

/** MiniMax reports success as status code 0. */
function isFailedResponse(response: Fields): boolean {
  const code = response['status_code']
  return (typeof code === 'number' || typeof code === 'string') && !saysSuccess(code)
}

/** Reads a list of validation errors (`loc`, `msg`), otherwise the first of several errors. */
function readList(list: readonly unknown[], depth: number): ServerError {
  const lines = list.slice(0, 3).flatMap(entry => {
    const { loc, msg } = asObject(entry) ?? {}
    if (typeof msg !== 'string') return []
    return [Array.isArray(loc) ? `${loc.filter(part => typeof part !== 'object').join('.')}: ${msg}` : msg]
  })
  return lines.length === 0 ? read(list[0], depth + 1) : { ...noWords, message: lines.join('; ').slice(0, longestMessage) }
}

const messageFields = [
  ...['message', 'msg', 'error_message', 'error_msg', 'errorMessage', 'error_description', 'Message', 'detail'],
  ...['errmsg', 'errMsg', 'faultstring', 'title'],
] as const

function messageOf(object: { readonly [key: string]: unknown }, depth: number): string {
  for (const name of messageFields) {
    const value = object[name]
    const text = typeof value === 'object' && value !== null ? read(value, depth + 1).message : firstText(value)
    if (text !== '') return name === 'message' ? fromPython(text) : text
  }
  return ''
}

/** vLLM and SGLang report a failed validation as Python text with the whole input. Only location and complaint are kept. */
function fromPython(text: string): string {
  if (!/^(?:\[|\d+ validation errors?:\s*)\{'/.test(text)) return text.slice(0, longestMessage)
  // a list in older versions, a single text since 0.32
  const [, list, path] = /'loc': (?:\(([^)]{0,200})\)|'([^']{0,200})')/.exec(text) ?? []
  const place = path ?? list?.replace(/['\s]/g, '').replaceAll(',', '.')
  const complaint = /'msg': (?:'([^']{0,200})'|"([^"]{0,200})")/.exec(text)
  return `${place ?? ''}: ${complaint?.[1] ?? complaint?.[2] ?? 'not valid'}`
}

/** OpenRouter passes its upstream's answer on as text, which is often JSON again. */
function upstreamOf(raw: unknown): ServerError {
  if (typeof raw !== 'string') return read(raw, 2)
  try {
    return read(parseJson(raw), 2)
  } catch {
    return read(raw, 2)
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
