import type { Attempt, Call, Provider } from '../contract.ts'
import type { ClientEvent, RequestSettings } from '../contract-events.ts'
import type { FullAttempt, Telemetry } from '../telemetry/telemetry.ts'
import { namesOf } from './attempt-record.ts'
import { restartClocks } from './clocks.ts'
import type { RunningAttempt } from './state.ts'

/** Describes an attempt for telemetry. */
export function describe({ options, attempt, kind }: RunningAttempt): FullAttempt {
  const { target, callId, call } = options
  const { address, port } = addressOf(target.provider)
  return { ...namesOf(target), callId, attempt, kind, address, port, stream: streams(target.provider), call }
}

export function startEvent({ options, attempt, kind }: RunningAttempt): ClientEvent {
  const { clock, callId, target, call } = options
  const { address, port } = addressOf(target.provider)
  const [stream, settings] = [streams(target.provider), settingsOf(call)]
  return { ...namesOf(target), type: 'attempt-start', at: clock.now(), callId, attempt, kind, address, port, stream, settings }
}

/** Makes a request inside every telemetry part. @param send makes the request itself */
export function observed(
  run: RunningAttempt,
  { around, headers }: Telemetry,
  { context, send }: { readonly context: Attempt; send(context: Attempt): Promise<void> },
): Promise<void> {
  // evaluated for each request: a provider may repeat a request with changes, which counts as an attempt of its own
  const given: Attempt =
    headers === undefined
      ? context
      : {
          ...context,
          get headers() {
            return headers(describe(run))
          },
        }
  return around === undefined ? send(given) : around(describe(run), () => send(given))
}

/** Resets the state of the previous request before its provider sends the next one. */
export function restart(run: RunningAttempt, attempt: number): void {
  run.attempt = attempt
  run.startedAt = run.options.clock.now()
  run.earlierChunks = run.chunks
  run.firstChunkMs = undefined
  run.status = undefined
  run.requestId = undefined
  run.responseId = undefined
  run.responseModel = undefined
  run.isUnsent = undefined
  run.kind = 'retry'
  run.wasQueued = false
  restartClocks(run.clocks)
}

function settingsOf({ temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, output }: Call): RequestSettings {
  const outputType = output === undefined ? 'text' : 'json'
  return { temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, outputType }
}

function streams({ capabilities }: Provider): boolean {
  return capabilities?.stream !== false
}

type Address = { readonly address: string | undefined; readonly port: number | undefined }

const unknown: Address = { address: undefined, port: undefined }
const addresses = new WeakMap<Provider, Address>()

/** Cached: parsing an address takes longer than all else here, and it is the same for every request. */
function addressOf(provider: Provider): Address {
  const before = addresses.get(provider)
  if (before !== undefined) return before
  const address = takeApart(provider.identity?.origin)
  addresses.set(provider, address)
  return address
}

/** The origin of a third-party provider may be any text. */
function takeApart(origin: string | undefined): Address {
  const url = URL.parse(origin ?? '')
  if (url === null || url.hostname === '') return unknown
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  return { address: url.hostname.replaceAll(/[[\]]/g, ''), port }
}
