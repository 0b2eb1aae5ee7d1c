import type { Attempt, Call, Provider, ProviderEvent } from '../../contract.ts'
import { post } from '../../http/post.ts'
import type { Endpoint } from '../endpoint.ts'
import { urlOf } from '../endpoint.ts'
import type { Dialect } from './dialect.ts'
import type { EncodeSettings } from './encode.ts'
import { encode } from './encode.ts'
import { prefixOf } from './history.ts'
import { afterPrefix } from './prefix-echo.ts'
import { readAnswer } from './read-answer.ts'
import { refusal } from './refusal.ts'
import { repair } from './repair.ts'

export type ChatCompletionsSettings = EncodeSettings & {
  readonly endpoint: Endpoint
  readonly load?: Provider['load']
}

/** A provider for any server that speaks chat completions; the dialect says what is special about this one. */
export function chatCompletions(dialect: Dialect, settings: ChatCompletionsSettings): Provider {
  const { endpoint, stream } = settings
  const capabilities = { ...dialect.capabilities, stream }
  return {
    name: dialect.service,
    capabilities,
    identity: endpoint.identity,
    timeout: dialect.timeout,
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => ask(call, attempt, { dialect, settings }),
    close: () => endpoint.connections.close(),
    ...(settings.load === undefined ? undefined : { load: settings.load }),
  }
}

type Service = { readonly dialect: Dialect; readonly settings: ChatCompletionsSettings }

/** One request; and a second where the server's answer names a cure for the first (see `repair.ts`). */
async function ask(call: Call, attempt: Attempt, { dialect, settings }: Service): Promise<void> {
  let reasoned = false
  const watched: Attempt = {
    signal: attempt.signal,
    onDrain: listener => attempt.onDrain(listener),
    emit: event => {
      if (event.type === 'reasoning-delta') reasoned = true
      return attempt.emit(event)
    },
  }
  try {
    await send(call, watched, { dialect, settings })
  } catch (error) {
    const cure = attempt.signal.aborted ? undefined : repair(error, { call, dialect, reasoned })
    if (cure === undefined) throw error
    attempt.emit({ type: 'warning', setting: cure.setting, message: cure.message })
    await send(cure.call, reasoned ? withoutTransport(attempt) : attempt, { dialect: cure.dialect, settings })
  }
}

async function send(call: Call, attempt: Attempt, { dialect, settings }: Service): Promise<void> {
  const { endpoint, stream } = settings
  const encoded = encode(call, dialect, settings)
  for (const warning of encoded.warnings) attempt.emit({ type: 'warning', ...warning })
  const baseURL = dialect.reroute?.(endpoint.baseURL, encoded.call) ?? endpoint.baseURL
  const prefix = prefixOf(encoded.call)
  const direct = (event: ProviderEvent) => attempt.emit(event)
  const emit = prefix === undefined ? direct : afterPrefix(prefix.text, !stream && dialect.prefix?.jsonRepeats === true, direct)
  await post({
    url: urlOf(baseURL, dialect.path),
    headers: endpoint.headers,
    body: JSON.stringify(encoded.body),
    attempt,
    connections: endpoint.connections,
    respond: (status, headers) =>
      readAnswer({ status, headers, emit, rules: dialect.failureRules ?? [], thinkTags: dialect.thinkTags ?? false }),
  })
}

/** The reader already holds content of this attempt, so the clocks of connecting and waiting for headers must not start again. */
function withoutTransport(attempt: Attempt): Attempt {
  return {
    signal: attempt.signal,
    onDrain: listener => attempt.onDrain(listener),
    emit: event =>
      event.type === 'connecting' || event.type === 'sent' || event.type === 'headers' ? true : attempt.emit(event),
  }
}
