import type { Attempt, Call, Provider, ProviderEvent } from '../../contract.ts'
import type { ProviderError } from '../../errors.ts'
import { post } from '../../http/post.ts'
import { answerGuard } from '../answer-guard.ts'
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
import type { AnswerReader } from './read-answer.ts'
import { readAnswer } from './read-answer.ts'
import { refusal } from './refusal.ts'
import type { Asked, Repair, TokenLimit } from './repair-row.ts'
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
  /** The call and the dialect before any repair. */
  readonly asked: Asked
  /** What this call is changed by: what is known of the server, and what it says to this call. */
  repairs: readonly Repair[]
  /** Of them, what this call has brought. */
  fresh: readonly Repair[]
  /** An earlier request has brought reasoning. */
  reasoned: boolean
  /** The fields of the body that was sent last. */
  fields: readonly string[]
  /** And the limit of the answer in it. */
  limit: TokenLimit | undefined
  reader: AnswerReader | undefined
  /** Warnings that were emitted. */
  readonly told: string[]
}

function startAsking(call: Call, attempt: Attempt, service: Service): Asking {
  const { settings, dialect, memory } = service
  const asked: Asked = { call, dialect, stream: settings.stream }
  return {
    ...{ attempt, service, asked, repairs: memory.repairs, fresh: [], reasoned: false, fields: [] },
    ...{ limit: undefined, reader: undefined, told: [] },
  }
}

/**
 * One request; and another where the server's answer names a cure for it (see `repair.ts`). Not `async`, nor is `send`: a frame that
 * waits holds all that it knows, the body of the request too, as long as the answer lasts.
 */
function ask(asking: Asking): Promise<void> {
  return send(asking).then(
    () => keepRepairs(asking.service.memory, asking.fresh),
    (error: unknown) => {
      const { attempt, asked, repairs, fresh, fields, limit, reader } = asking
      asking.reasoned ||= reader?.hasReasoned() === true
      // what the reader has cannot be asked for again
      const mayGoOn = !attempt.signal.aborted && reader?.hasSaid() !== true
      const last = withRepairs(asked, repairs).asked
      const refused = { asked: last, repairs: fresh, fields, limit, reasoned: asking.reasoned }
      const cure = mayGoOn ? repairFor(error, refused) : undefined
      if (cure === undefined) throw error
      attempt.emit({ type: 'asked-again', failure: error as ProviderError })
      asking.repairs = [...repairs, cure]
      asking.fresh = [...fresh, cure]
      return ask(asking)
    },
  )
}

/** Once a call, however often it is asked. */
function warn({ told, attempt }: Asking, { setting, message }: Pick<Repair, 'setting' | 'message'>): void {
  const what = `${setting}: ${message}`
  if (told.includes(what)) return
  told.push(what)
  attempt.emit({ type: 'warning', setting, message })
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
  const { asked, applied } = withRepairs(asking.asked, asking.repairs)
  const { call, dialect, stream } = asked
  const encoded = encode(call, dialect, { ...service.settings, stream })
  asking.fields = Object.keys(encoded.body)
  asking.limit = tokenLimitOf(encoded.body)
  for (const warning of [...applied, ...encoded.warnings]) warn(asking, warning)
  if (!stream && service.settings.stream) attempt.emit({ type: 'patience', timeout: wholeAnswer })
  const elsewhere = dialect.reroute?.(endpoint.baseURL, encoded.call)
  const prefix = prefixOf(encoded.call)
  const thinkTags = tagsAfter(prefix, dialect.thinkTags)
  // the text that is continued may have been whole
  const allowEmpty = prefix !== undefined
  const { emit: heard, linger, guard } = answerGuard(attempt)
  const emit = readerOf(encoded, { ...attempt, emit: heard }, !stream && dialect.prefix?.jsonRepeats === true)
  return post({
    url: elsewhere === undefined ? service.url : urlOf(elsewhere, dialect.path),
    headers: endpoint.headers,
    body: wireJson(encoded.body),
    attempt,
    connections: endpoint.connections,
    requestIdOf,
    respond(status, headers) {
      asking.reader = readAnswer({
        status,
        headers,
        emit,
        linger,
        rules: dialect.failureRules,
        secrets: endpoint.secrets,
        thinkTags,
        allowEmpty,
        isAllText: dialect.prefix?.restLooksThought === true && prefix !== undefined && prefix.text !== '',
        call: encoded.call,
      })
      return guard(asking.reader, status)
    },
  })
}

/** Who hears the answer: the attempt itself, or what takes a beginning or a tool away before it. */
function readerOf({ call, outputTool }: Encoded, attempt: Attempt, repeats: boolean): Emit {
  const emit = outputTool === undefined ? attempt.emit : fromOutputTool(outputTool, attempt.emit)
  const prefix = prefixOf(call)
  return prefix === undefined ? emit : afterPrefix(prefix.text, repeats, emit)
}
