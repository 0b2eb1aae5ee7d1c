import type { Attempt, Call, Provider, ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { PostRequest } from '../../http/post.ts'
import { post } from '../../http/post.ts'
import { guarded } from '../answer-guard.ts'
import type { Endpoint } from '../endpoint.ts'
import { wireJson } from '../wire-json.ts'
import { urlOf, withKey } from '../endpoint.ts'
import type { Dialect } from './dialect.ts'
import type { Encoded, EncodeSettings } from './encode.ts'
import { encode } from './encode.ts'
import { requestIdOf } from './failure.ts'
import { prefixOf, tagsAfter } from './history.ts'
import { fromOutputTool } from './output-tool.ts'
import { afterPrefix } from './prefix-echo.ts'
import type { AnswerOptions, AnswerReader } from './read-answer.ts'
import { readAnswer } from './read-answer.ts'
import { refusal } from './refusal.ts'
import type { Asked, Repair } from './repair-row.ts'
import { tokenLimitOf } from './repair-row.ts'
import type { RepairMemory } from './repair.ts'
import { keepRepairs, repairFor, withRepairs } from './repair.ts'
import { toolCallIdsAt } from './tool-call-ids.ts'

export type ChatCompletionsSettings = EncodeSettings & {
  readonly endpoint: Endpoint
  readonly load?: Provider['load'] | undefined
}

/** A provider for any server that speaks chat completions; the dialect says what is special about this one. */
export function chatCompletions(given: Dialect, settings: ChatCompletionsSettings): Provider {
  const { endpoint, stream } = settings
  const dialect = { ...given, toolCallIds: given.toolCallIds ?? toolCallIdsAt(endpoint.baseURL) }
  const capabilities = { ...dialect.capabilities, stream }
  const service: Service = { settings, dialect, url: urlOf(endpoint.baseURL, dialect.path), memory: { repairs: [] } }
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
 * Without a stream nothing comes while the answer is made, often not even headers, so both clocks are those of the whole answer
 * (`totalMs` still holds). DeepSeek sends blank lines, but only while the request is in its queue.
 */
const wholeAnswer = { headersMs: 300_000, firstChunkMs: 300_000 }

type Emit = (event: ProviderEvent) => boolean

/** `url`: the address of most calls, put together once. */
type Service = {
  readonly settings: ChatCompletionsSettings
  readonly dialect: Dialect
  readonly url: string
  readonly memory: RepairMemory
}

type Asking = {
  readonly attempt: Attempt
  readonly service: Service
  /** Before any repair. */
  readonly call: Call
  /** What this call is changed by: what is known of the server, and what it says to this call. */
  repairs: readonly Repair[]
  /** Of them, what this call has brought. */
  fresh: readonly Repair[]
  /** An earlier request has brought reasoning. */
  reasoned: boolean
  reader: AnswerReader | undefined
  /** Warnings that were emitted. */
  told: readonly string[]
}

/** One list for all calls that have none. */
const none: readonly never[] = []

function startAsking(call: Call, attempt: Attempt, service: Service): Asking {
  const { repairs } = service.memory
  // no spread: what is put together grows field by field, and is held with all its spare room
  return { attempt, service, call, repairs, fresh: none, reasoned: false, reader: undefined, told: none }
}

function askedOf({ call, service: { dialect, settings } }: Asking): Asked {
  return { call, dialect, stream: settings.stream }
}

/**
 * One request; and another where the server's answer names a cure for it (see `repair.ts`). Not `async`, nor is `send`: a frame that
 * waits holds all that it knows, the body of the request too, as long as the answer lasts.
 */
function ask(asking: Asking): Promise<void> {
  return send(asking).then(
    () => keepRepairs(asking.service.memory, asking.fresh),
    (error: unknown) => {
      const { attempt, repairs, fresh, reader } = asking
      const brought = reader?.brought()
      asking.reasoned ||= brought === 'reasoning'
      // what the reader has cannot be asked for again
      const mayGoOn = !attempt.signal.aborted && brought !== 'content'
      const cure = mayGoOn ? cureFor(error, asking) : undefined
      if (cure === undefined) throw error
      attempt.emit({ type: 'asked-again', failure: error as ProviderError })
      asking.repairs = [...repairs, cure]
      asking.fresh = [...fresh, cure]
      return ask(asking)
    },
  )
}

/** What was sent is put together again here: kept, it would be held by every call that goes well. */
function cureFor(error: unknown, asking: Asking): Repair | undefined {
  if (!ProviderError.isInstance(error)) return undefined
  const { asked } = withRepairs(askedOf(asking), asking.repairs)
  const { body } = encodeAsked(asked, asking.service)
  const limit = tokenLimitOf(body)
  return repairFor(error, { asked, repairs: asking.fresh, fields: Object.keys(body), limit, reasoned: asking.reasoned })
}

function encodeAsked({ call, dialect, stream }: Asked, { settings }: Service): Encoded {
  return encode(call, dialect, { ...settings, stream })
}

/** Once a call, however often it is asked. */
function warn(asking: Asking, { setting, message }: Pick<Repair, 'setting' | 'message'>): void {
  const what = `${setting}: ${message}`
  if (asking.told.includes(what)) return
  asking.told = [...asking.told, what]
  asking.attempt.emit({ type: 'warning', setting, message })
}

/**
 * Once the reader has got reasoning, the steps before the headers are not told any more: the first chunk is there, and the clocks for
 * connecting and waiting must not start again.
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
  // an answer before this one may have seemed to be over
  attempt.linger?.(undefined, 0)
  const { asked, applied } = withRepairs(askedOf(asking), asking.repairs)
  const { dialect, stream } = asked
  const { body, call, outputTool, warnings } = encodeAsked(asked, service)
  for (const warning of applied) warn(asking, warning)
  for (const warning of warnings) warn(asking, warning)
  if (!stream && service.settings.stream) attempt.emit({ type: 'patience', timeout: wholeAnswer })
  const elsewhere = dialect.reroute?.(endpoint.baseURL, call)
  // what this holds is held as long as the answer lasts: the body is not among it
  const sent: Sent = { asking, attempt, call, outputTool, dialect, stream, secrets: endpoint.secrets }
  return post({
    url: elsewhere === undefined ? service.url : urlOf(elsewhere, dialect.path),
    headers: endpoint.headers,
    body: wireJson(body),
    attempt,
    connections: endpoint.connections,
    requestIdOf,
    respond: responder(sent),
  })
}

type Sent = Asked &
  Pick<Encoded, 'outputTool'> & {
    readonly asking: Asking
    readonly attempt: Attempt
    readonly secrets: Endpoint['secrets']
  }

/** Outside of `sendTo` on purpose: as an inner closure it would hold all that is known there. */
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
    // the text that is continued may have been whole
    allowEmpty: prefix !== undefined,
    isAllText: dialect.prefix?.restLooksThought === true && prefix !== undefined && prefix.text !== '',
    call,
  })
  asking.reader = reader
  return reader
}

/** Who hears the answer: the attempt itself, or what takes a beginning or a tool away before it. */
function readerOf({ call, outputTool, dialect, stream }: Sent, heard: Emit): Emit {
  const emit = outputTool === undefined ? heard : fromOutputTool(outputTool, heard)
  const prefix = prefixOf(call)
  return prefix === undefined ? emit : afterPrefix(prefix.text, !stream && dialect.prefix?.jsonRepeats === true, emit)
}
