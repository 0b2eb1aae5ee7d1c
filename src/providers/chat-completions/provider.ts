import { addUsage } from '../../add-usage.ts'
import type { Attempt, Call, Provider, ProviderEvent, Usage } from '../../contract.ts'
import { changedError, ProviderError } from '../../errors.ts'
import { post } from '../../http/post.ts'
import { answerGuard } from '../answer-guard.ts'
import type { Endpoint } from '../endpoint.ts'
import { wireJson } from '../wire-json.ts'
import { urlOf } from '../endpoint.ts'
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
import { repair } from './repair.ts'
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
  const service = { settings, url: urlOf(endpoint.baseURL, dialect.path) }
  return {
    name: dialect.service,
    capabilities,
    identity: endpoint.identity,
    timeout: stream ? dialect.timeout : { ...dialect.timeout, ...wholeAnswer },
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => ask({ call, dialect, attempt, service, ...untried }),
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
type Service = { readonly settings: ChatCompletionsSettings; readonly url: string }

type Asking = {
  readonly attempt: Attempt
  readonly service: Service
  call: Call
  dialect: Dialect
  repairs: number
  /** An earlier request has brought reasoning. */
  reasoned: boolean
  /** By the requests of this attempt before this one. */
  spent: Usage | undefined
  reader: AnswerReader | undefined
}

const untried = { repairs: 0, reasoned: false, spent: undefined, reader: undefined }

/** More than one answer may name a cure: a model may take neither temperature nor topP. */
const mostRepairs = 2

/**
 * One request; and another where the server's answer names a cure for it (see `repair.ts`). Not `async`, nor is `send`: a frame that
 * waits holds all that it knows, the body of the request too, as long as the answer lasts.
 */
function ask(asking: Asking): Promise<void> {
  return send(asking).catch((error: unknown) => {
    const { attempt, repairs, reader } = asking
    asking.reasoned ||= reader?.hasReasoned() === true
    const mayGoOn = repairs < mostRepairs && !attempt.signal.aborted
    const cure = mayGoOn ? repair(error, asking) : undefined
    if (cure === undefined) throw withSpent(error, asking.spent)
    attempt.emit({ type: 'warning', setting: cure.setting, message: cure.message })
    asking.spent = sumOf(asking.spent, ProviderError.isInstance(error) ? error.usage : undefined)
    asking.repairs += 1
    asking.call = cure.call
    asking.dialect = cure.dialect
    return ask(asking)
  })
}

/**
 * Once the reader has got reasoning, the steps of the transport are not told any more: the first chunk is there, and the clocks for
 * connecting and waiting must not start again.
 */
export function withoutTransport(attempt: Attempt): Attempt {
  return { ...attempt, emit: event => isTransport(event) || attempt.emit(event) }
}

function sumOf(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  return one === undefined || other === undefined ? (one ?? other) : addUsage(one, other)
}

function withSpent(error: unknown, spent: Usage | undefined): unknown {
  if (spent === undefined || !ProviderError.isInstance(error)) return error
  return changedError(error, { usage: sumOf(spent, error.usage) })
}

function isTransport({ type }: ProviderEvent): boolean {
  return type === 'connecting' || type === 'sent' || type === 'headers'
}

function send(asking: Asking): Promise<void> {
  const { call, dialect, service, spent } = asking
  const { endpoint, stream } = service.settings
  const attempt = asking.reasoned ? withoutTransport(asking.attempt) : asking.attempt
  // an answer before this one may have seemed to be over
  attempt.linger?.(undefined, 0)
  const encoded = encode(call, dialect, service.settings)
  for (const warning of encoded.warnings) attempt.emit({ type: 'warning', ...warning })
  const elsewhere = dialect.reroute?.(endpoint.baseURL, encoded.call)
  const prefix = prefixOf(encoded.call)
  const thinkTags = tagsAfter(prefix, dialect.thinkTags)
  // the text that is continued may have been whole
  const allowEmpty = prefix !== undefined
  const { emit: heard, linger, guard } = answerGuard(attempt)
  const reader = { ...attempt, emit: spent === undefined ? heard : addingTo(spent, heard) }
  const emit = readerOf(encoded, reader, !stream && dialect.prefix?.jsonRepeats === true)
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
        call: encoded.call,
      })
      return guard(asking.reader, status)
    },
  })
}

/** What was asked in vain is a part of what the answer cost. */
function addingTo(spent: Usage, emit: Emit): Emit {
  return event => emit(event.type === 'finish' ? { ...event, usage: sumOf(spent, event.usage) } : event)
}

/** Who hears the answer: the attempt itself, or what takes a beginning or a tool away before it. */
function readerOf({ call, outputTool }: Encoded, attempt: Attempt, repeats: boolean): Emit {
  const emit = outputTool === undefined ? attempt.emit : fromOutputTool(outputTool, attempt.emit)
  const prefix = prefixOf(call)
  return prefix === undefined ? emit : afterPrefix(prefix.text, repeats, emit)
}
