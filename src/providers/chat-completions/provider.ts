import type { Attempt, Call, Provider, ProviderEvent } from '../../contract.ts'
import { post } from '../../http/post.ts'
import type { Endpoint } from '../endpoint.ts'
import { urlOf } from '../endpoint.ts'
import type { Dialect } from './dialect.ts'
import type { Encoded, EncodeSettings } from './encode.ts'
import { encode } from './encode.ts'
import { prefixOf, tagsAfter } from './history.ts'
import { fromOutputTool } from './output-tool.ts'
import { afterPrefix } from './prefix-echo.ts'
import { readAnswer } from './read-answer.ts'
import { refusal } from './refusal.ts'
import { repair } from './repair.ts'

export type ChatCompletionsSettings = EncodeSettings & {
  readonly endpoint: Endpoint
  readonly load?: Provider['load'] | undefined
}

/** A provider for any server that speaks chat completions; the dialect says what is special about this one. */
export function chatCompletions(dialect: Dialect, settings: ChatCompletionsSettings): Provider {
  const { endpoint, stream } = settings
  const capabilities = { ...dialect.capabilities, stream }
  const service = { dialect, settings, url: urlOf(endpoint.baseURL, dialect.path) }
  return {
    name: dialect.service,
    capabilities,
    identity: endpoint.identity,
    timeout: dialect.timeout,
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => ask(call, attempt, service),
    close: () => endpoint.connections.close(),
    ...(settings.load === undefined ? undefined : { load: settings.load }),
  }
}

type Emit = (event: ProviderEvent) => boolean

/** `emit` is called for every token: no further function stands before it. */
type Watched = Attempt & { readonly emit: Emit }

/** `url`: the address of most calls, put together once. */
type Service = { readonly dialect: Dialect; readonly settings: ChatCompletionsSettings; readonly url: string }

/** More than one answer may name a cure: a model may take neither temperature nor topP. */
const mostRepairs = 2

/** One request; and another where the server's answer names a cure for it (see `repair.ts`). */
async function ask(call: Call, attempt: Attempt, service: Service): Promise<void> {
  const watched = watch(attempt)
  let asked: Asked = { call, dialect: service.dialect }
  for (let repairs = 0; ; repairs += 1) {
    try {
      return await send(asked, watched.attempt, service)
    } catch (error) {
      const mayGoOn = repairs < mostRepairs && !attempt.signal.aborted
      const cure = mayGoOn ? repair(error, { ...asked, reasoned: watched.reasoned() }) : undefined
      if (cure === undefined) throw error
      attempt.emit({ type: 'warning', setting: cure.setting, message: cure.message })
      asked = cure
    }
  }
}

/**
 * Knows whether the reader has got reasoning. From then on the steps of the transport are not told any more: the first chunk is there,
 * and the clocks for connecting and waiting must not start again.
 */
export function watch(attempt: Attempt): { readonly attempt: Watched; reasoned(): boolean } {
  let reasoned = false
  return {
    reasoned: () => reasoned,
    attempt: {
      signal: attempt.signal,
      onDrain: listener => attempt.onDrain(listener),
      emit: event => {
        if (event.type === 'reasoning-delta') reasoned = true
        else if (reasoned && isTransport(event)) return true
        return attempt.emit(event)
      },
    },
  }
}

function isTransport({ type }: ProviderEvent): boolean {
  return type === 'connecting' || type === 'sent' || type === 'headers'
}

type Asked = { readonly call: Call; readonly dialect: Dialect }

/** Not `async`: its frame would hold the whole body of the request as long as the answer lasts. */
function send({ call, dialect }: Asked, attempt: Watched, { settings, url }: Service): Promise<void> {
  const { endpoint, stream } = settings
  const encoded = encode(call, dialect, settings)
  for (const warning of encoded.warnings) attempt.emit({ type: 'warning', ...warning })
  const elsewhere = dialect.reroute?.(endpoint.baseURL, encoded.call)
  const prefix = prefixOf(encoded.call)
  const emit = readerOf(encoded, attempt, !stream && dialect.prefix?.jsonRepeats === true)
  return post({
    url: elsewhere === undefined ? url : urlOf(elsewhere, dialect.path),
    headers: endpoint.headers,
    body: JSON.stringify(encoded.body),
    attempt,
    connections: endpoint.connections,
    respond: (status, headers) =>
      readAnswer({
        status,
        headers,
        emit,
        rules: dialect.failureRules,
        secrets: endpoint.secrets,
        thinkTags: tagsAfter(prefix, dialect.thinkTags),
        // the text that is continued may have been whole
        allowEmpty: prefix !== undefined,
      }),
  })
}

/** Who hears the answer: the attempt itself, or what takes a beginning or a tool away before it. */
function readerOf({ call, outputTool }: Encoded, attempt: Watched, repeats: boolean): Emit {
  const emit = outputTool === undefined ? attempt.emit : fromOutputTool(outputTool, attempt.emit)
  const prefix = prefixOf(call)
  return prefix === undefined ? emit : afterPrefix(prefix.text, repeats, emit)
}
