import { type Answer, type Conduct, halvesOf, type Reply } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { WireFormat } from '../wire/wire-format.ts'

/** A reply encoded in a wire format: its bytes without their timing. */
export type ReplyPlan = {
  readonly status: number
  readonly headers: { [name: string]: string | string[] }
  readonly isStream: boolean
  readonly opening: readonly string[]
  readonly chunks: Iterable<string | Uint8Array>
  readonly finish: readonly string[]
  readonly done: string | undefined
  readonly error: { readonly text: string; readonly done: boolean }
  readonly keepAlive: string
}

type Body = Pick<ReplyPlan, 'isStream' | 'opening' | 'chunks' | 'finish' | 'done'> & { readonly headers: ReplyPlan['headers'] }

export function planOf(reply: Reply, request: ReceivedRequest, format: WireFormat): ReplyPlan {
  const body = damaged(bodyOf(reply, request, format), reply)
  const inBand = format.inBandError(reply.error, body.isStream, request)
  const whole =
    body.isStream || reply.errorAfterChunks === undefined ? body : { ...plainBody([inBand.text]), headers: body.headers }
  return {
    ...whole,
    status: reply.status ?? 200,
    headers: headersOf(whole, reply),
    error: { text: inBand.text, done: reply.errorThen === undefined ? inBand.done : reply.errorThen === 'done' },
    keepAlive: reply.keepAlive ?? format.keepAlive(body.isStream, request),
  }
}

function bodyOf(reply: Reply, request: ReceivedRequest, format: WireFormat): Body {
  switch (reply.type) {
    case 'answer':
      return answerBody(reply.answer, { request, format, reply })
    case 'error':
      return errorBody(reply, request, format)
    case 'body':
      return { ...plainBody(reply.body), isStream: reply.isStream }
    default:
      return plainBody([])
  }
}

function answerBody(answer: Answer, context: { request: ReceivedRequest; format: WireFormat; reply: Conduct }): Body {
  const { request, format, reply } = context
  if (format.wantsStream(request)) {
    return { ...format.stream(answer, request), isStream: true, headers: format.headers('stream', request) }
  }
  const said = reply.noFinish === true ? { ...answer, finishReason: null, usage: null } : answer
  const text = JSON.stringify(format.json(said, request))
  return { ...plainBody(halvesOf(text)), headers: format.headers('json', request) }
}

function errorBody({ status = 500, retryAfterMs }: Conduct, request: ReceivedRequest, format: WireFormat): Body {
  const error = format.error(status, request, retryAfterMs)
  const text = typeof error === 'string' ? error : JSON.stringify(error)
  const isInHeader = retryAfterMs !== undefined && format.retryAfterIn !== 'body'
  const time = isInHeader ? { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) } : {}
  return { ...plainBody(halvesOf(text)), headers: { ...format.headers('error', request), ...time } }
}

function plainBody(chunks: Body['chunks']): Body {
  return { isStream: false, opening: [], chunks, finish: [], done: undefined, headers: {} }
}

/** Returns the body with the omissions and defects that the reply asks for. */
function damaged(body: Body, reply: Reply): Body {
  if (reply.emptyBody === true) return { ...body, opening: [], chunks: [], finish: [], done: undefined }
  if (reply.blankBody === true) return { ...body, opening: [], chunks: ['\n\n', '\n\n'], finish: [], done: undefined }
  if (reply.truncatedJson === true) return { ...body, chunks: withBrokenEnd(body.chunks), finish: [], done: undefined }
  const chunks = reply.malformedChunk === undefined ? body.chunks : withBrokenChunk(body.chunks, reply.malformedChunk)
  return {
    ...body,
    chunks,
    finish: reply.noFinish === true ? [] : body.finish,
    done: reply.noDone === true ? undefined : body.done,
  }
}

function withBrokenEnd(chunks: Body['chunks']): readonly (string | Uint8Array)[] {
  const all = [...chunks]
  const last = Buffer.from(all.pop() ?? '')
  return [...all, last.subarray(0, Math.floor(last.length / 2))]
}

/** Keeps the line ends, so that the event ends in the right place and only its JSON is broken. */
function* withBrokenChunk(chunks: Body['chunks'], broken: number): Iterable<string | Uint8Array> {
  let index = 0
  for (const chunk of chunks) {
    if (index !== broken) yield chunk
    else {
      const text = Buffer.from(chunk).toString()
      const content = text.trimEnd()
      yield content.slice(0, Math.floor(content.length * 0.6)) + text.slice(content.length)
    }
    index += 1
  }
}

function headersOf(body: Body, reply: Reply): ReplyPlan['headers'] {
  const { contentType, contentEncoding } = reply
  const length = hasLength(body, reply) ? lengthOf(body.chunks) : undefined
  const merged: Conduct['headers'] & object = {
    ...body.headers,
    ...(length === undefined ? {} : { 'content-length': String(length) }),
    ...(contentEncoding === undefined ? {} : { 'content-encoding': contentEncoding }),
    ...(contentType === undefined ? {} : { 'content-type': contentType === '' ? undefined : contentType }),
    ...reply.headers,
  }
  const headers: ReplyPlan['headers'] = {}
  for (const [name, value] of Object.entries(merged)) {
    if (value === undefined) delete headers[name.toLowerCase()]
    else headers[name.toLowerCase()] = typeof value === 'string' ? value : [...value]
  }
  return headers
}

/** Returns whether the length is known in advance. A body that ends early but correctly must not announce its full length. */
function hasLength(body: Body, reply: Reply): boolean {
  const endsEarly = reply.cutBy === 'end' && reply.cutAfterChunks !== undefined
  return !body.isStream && reply.contentEncoding === undefined && !sendsKeepAlives(reply) && !endsEarly
}

export function sendsKeepAlives(reply: Conduct): boolean {
  return (reply.keepAlives ?? 0) > 0 || (reply.keepAliveForMs ?? 0) > 0 || reply.keepAliveUntil !== undefined
}

/** Returns undefined for a body that is generated while it is sent. */
function lengthOf(chunks: Body['chunks']): number | undefined {
  if (!isList(chunks)) return undefined
  let sum = 0
  for (const chunk of chunks) sum += Buffer.byteLength(chunk)
  return sum
}

function isList(chunks: Body['chunks']): chunks is readonly (string | Uint8Array)[] {
  return Array.isArray(chunks)
}
