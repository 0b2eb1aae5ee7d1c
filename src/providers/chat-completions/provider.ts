import type { Attempt, Call, Provider, ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import { post, type PostRequest, requestIdIn } from '../../http/post.ts'
import { guarded } from '../answer-guard.ts'
import { type Endpoint, urlOf, withKey } from '../endpoint.ts'
import { wireJson } from '../json.ts'
import type { Dialect } from './dialect.ts'
import { encode, type Encoded, type EncodeSettings, refusal } from '../chat-request/encode.ts'
import { prefixOf, tagsAfter } from '../chat-request/history.ts'
import { fromOutputTool } from '../chat-request/structured-output.ts'
import { afterPrefix } from '../chat-answer/prefix-echo.ts'
import { type AnswerOptions, type AnswerReader, readAnswer } from '../chat-answer/read-answer.ts'
import { type Asked, type RequestFix, tokenLimitOf } from '../chat-request/fix-row.ts'
import { keepFixes, fixFor, type FixMemory, withFixes } from '../chat-request/request-fix.ts'
import { toolCallIdsAt } from '../tool-call-ids.ts'

export type ChatCompletionsSettings = EncodeSettings & {
  readonly endpoint: Endpoint
  readonly load?: Provider['load'] | undefined
}

/** A provider for any server that speaks chat completions; the dialect describes how this one differs. */
export function chatCompletions(given: Dialect, settings: ChatCompletionsSettings): Provider {
  const { endpoint, stream } = settings
  const dialect = { ...given, toolCallIds: given.toolCallIds ?? toolCallIdsAt(endpoint.baseURL) }
  const capabilities = { ...dialect.capabilities, stream }
  const service: Service = { settings, dialect, url: urlOf(endpoint.baseURL, dialect.path), memory: { fixes: [] } }
  return {
    name: dialect.service,
    capabilities,
    identity: endpoint.identity,
    timeout: stream ? dialect.timeout : { ...dialect.timeout, ...wholeAnswer },
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => ask(startAsking(call, attempt, service)),
    check: () => endpoint.connections.check(),
    close: () => endpoint.connections.close(),
    ...(settings.load === undefined ? undefined : { load: settings.load }),
  }
}

/**
 * Without a stream nothing arrives while the answer is generated, often not even headers, so both clocks cover the whole answer
 * (`totalMs` still applies). DeepSeek sends blank lines, but only while the request is queued.
 */
const wholeAnswer = { headersMs: 300_000, firstChunkMs: 300_000 }

type Emit = (event: ProviderEvent) => boolean

/** `url`: the address of most calls, built once. */
type Service = {
  readonly settings: ChatCompletionsSettings
  readonly dialect: Dialect
  readonly url: string
  readonly memory: FixMemory
}

type Asking = {
  readonly attempt: Attempt
  readonly service: Service
  /** The call before any fix. */
  readonly call: Call
  /** All fixes for this call: those known of the server, and those found by this call. */
  fixes: readonly RequestFix[]
  /** The fixes that this call has found. */
  fresh: readonly RequestFix[]
  /** An earlier request of this call emitted reasoning. */
  reasoned: boolean
  reader: AnswerReader | undefined
  /** Warnings that were emitted already. */
  told: readonly string[]
}

/** One shared list for all calls without entries. */
const none: readonly never[] = []

function startAsking(call: Call, attempt: Attempt, service: Service): Asking {
  const { fixes } = service.memory
  // no spread: an object built field by field grows, and keeps its spare capacity while it lives
  return { attempt, service, call, fixes, fresh: none, reasoned: false, reader: undefined, told: none }
}

function askedOf({ call, service: { dialect, settings } }: Asking): Asked {
  return { call, dialect, stream: settings.stream }
}

/**
 * Sends one request, and another if the server's answer names a fix (see `request-fix.ts`). Neither `ask` nor `send` is `async`:
 * a suspended frame would keep its variables alive as long as the answer, including the request body.
 */
function ask(asking: Asking): Promise<void> {
  return send(asking).then(
    () => {
      if (asking.fresh.length > 0) keepFixes(asking.service.memory, asking.fresh)
    },
    (error: unknown) => {
      const { attempt, fixes, fresh, reader } = asking
      const brought = reader?.brought()
      asking.reasoned ||= brought === 'reasoning'
      // content that the reader has cannot be requested again
      const mayGoOn = !attempt.signal.aborted && brought !== 'content'
      const cure = mayGoOn ? cureFor(error, asking) : undefined
      if (cure === undefined) throw error
      attempt.emit({ type: 'asked-again', failure: error as ProviderError })
      asking.fixes = [...fixes, cure]
      asking.fresh = [...fresh, cure]
      return ask(asking)
    },
  )
}

/** Encodes the request again instead of keeping it, because every successful call would keep it alive too. */
function cureFor(error: unknown, asking: Asking): RequestFix | undefined {
  if (!ProviderError.isInstance(error)) return undefined
  const { asked } = withFixes(askedOf(asking), asking.fixes)
  const { body } = encodeAsked(asked, asking.service)
  const limit = tokenLimitOf(body)
  return fixFor(error, { asked, fixes: asking.fresh, fields: Object.keys(body), limit, reasoned: asking.reasoned })
}

function encodeAsked({ call, dialect, stream }: Asked, { settings }: Service): Encoded {
  return encode(call, dialect, { ...settings, stream })
}

/** Warns once for each call, however many requests it takes. */
function warn(asking: Asking, { setting, message }: Pick<RequestFix, 'setting' | 'message'>): void {
  const what = `${setting}: ${message}`
  if (asking.told.includes(what)) return
  asking.told = [...asking.told, what]
  asking.attempt.emit({ type: 'warning', setting, message })
}

/**
 * Once the reader has received reasoning, later requests do not report the steps before the headers. The first chunk has arrived,
 * and the clocks for connecting and waiting must not start again.
 */
export function withoutTransport(attempt: Attempt): Attempt {
  return { ...attempt, emit: event => isTransport(event) || attempt.emit(event) }
}

function isTransport({ type }: ProviderEvent): boolean {
  return type === 'connecting' || type === 'sent'
}

function send(asking: Asking): Promise<void> {
  return withKey(asking.service.settings.endpoint, endpoint => sendTo(asking, endpoint))
}

function sendTo(asking: Asking, endpoint: Endpoint): Promise<void> {
  const { service } = asking
  const attempt = asking.reasoned ? withoutTransport(asking.attempt) : asking.attempt
  // cancels the wait that the finish of an earlier answer may have started
  attempt.linger?.(undefined, 0)
  const { fixes } = asking
  const { asked, applied } = fixes.length === 0 ? { asked: askedOf(asking), applied: none } : withFixes(askedOf(asking), fixes)
  const { dialect, stream } = asked
  const { body, call, outputTool, warnings } = encodeAsked(asked, service)
  for (const warning of applied) warn(asking, warning)
  for (const warning of warnings) warn(asking, warning)
  if (!stream && service.settings.stream) attempt.emit({ type: 'patience', timeout: wholeAnswer })
  const elsewhere = dialect.reroute?.(endpoint.baseURL, call)
  // this object lives as long as the answer, so it does not include the body
  const sent: Sent = { asking, attempt, call, outputTool, dialect, stream, secrets: endpoint.secrets }
  return post({
    url: elsewhere === undefined ? service.url : urlOf(elsewhere, dialect.path),
    headers: endpoint.headers,
    body: wireJson(body),
    attempt,
    connections: endpoint.connections,
    requestIdOf: requestIdIn,
    respond: responder(sent),
  })
}

type Sent = Asked &
  Pick<Encoded, 'outputTool'> & {
    readonly asking: Asking
    readonly attempt: Attempt
    readonly secrets: Endpoint['secrets']
  }

/** Outside `sendTo` on purpose: an inner closure would keep all of its variables alive. */
function responder(sent: Sent): PostRequest['respond'] {
  return (status, headers) => guarded(sent.attempt, status, ways => open(sent, { status, headers, ...ways }))
}

function open(sent: Sent, given: Pick<AnswerOptions, 'status' | 'headers' | 'emit' | 'linger'>): AnswerReader {
  const { asking, call, dialect, secrets } = sent
  const { status, headers, emit, linger } = given
  const prefix = prefixOf(call)
  const reader = readAnswer({
    status,
    headers,
    emit: readerOf(sent, emit),
    linger,
    rules: dialect.failureRules,
    secrets,
    thinkTags: tagsAfter(prefix, dialect.thinkTags),
    // the continued text may have been complete already
    allowEmpty: prefix !== undefined,
    isAllText: dialect.prefix?.restLooksThought === true && prefix !== undefined && prefix.text !== '',
    call,
  })
  asking.reader = reader
  return reader
}

/** The receiver of the answer's events: the attempt, or a filter in front of it that removes the prefix or the output tool. */
function readerOf({ call, outputTool, dialect, stream }: Sent, heard: Emit): Emit {
  const emit = outputTool === undefined ? heard : fromOutputTool(outputTool, heard)
  const prefix = prefixOf(call)
  return prefix === undefined ? emit : afterPrefix(prefix.text, !stream && dialect.prefix?.jsonRepeats === true, emit)
}
