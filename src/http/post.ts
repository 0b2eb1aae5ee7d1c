import type { Attempt, ResponseHeaders } from '../contract.ts'
import { destinationOf, wireHeaders } from './check-request.ts'
import type { Connections } from './connections.ts'
import { startExchange } from './exchange.ts'
import type { Exchange, Loss } from './exchange.ts'
import { maxBodyBytes } from './limits.ts'
import type { BodyReader } from './plain-body.ts'
import { isRefusedByUndici, mayConnectAgain, transportFailure } from './transport-failure.ts'

export type { BodyReader } from './plain-body.ts'

export type PostRequest = {
  /** Absolute, http or https. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as UTF-8. A GET has none. */
  readonly body: string
  /** @default 'POST' */
  readonly method?: 'POST' | 'GET' | undefined
  readonly attempt: Attempt
  readonly connections: Connections
  /** Status and headers are here: who reads the body? Redirects come here too; none is followed, a key would go with it. */
  respond(status: number, headers: ResponseHeaders): BodyReader
  /** The largest body, decompressed. @default 256 MiB */
  readonly maxBodyBytes?: number | undefined
}

/**
 * Sends one request and gives the body to a reader as it arrives. Resolves after the reader's `end`.
 *
 * Rejects with what the reader throws; with a `ProviderError` of reason `network` (no connection, or lost before the headers),
 * `truncated` (lost after them) or `malformed-response` (not HTTP, too large); with a `TypeError` for a URL or header that cannot be
 * sent; and at once with the signal's reason when that fires, in whatever state the request is. No time limit of undici's applies.
 *
 * A request that nothing can have come of is sent again unnoticed: see {@link mayResend}.
 */
export function post(request: PostRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const { attempt, connections } = request
    const { signal } = attempt
    signal.throwIfAborted()
    const outgoing = outgoingOf(request)
    let settled = false
    let resends = 0
    let exchange: Exchange | undefined

    const settle = (answer: () => void) => {
      if (settled) return
      settled = true
      signal.removeEventListener('abort', abort)
      answer()
    }
    const fail = (error: unknown) => settle(() => reject(error))
    const abort = () => {
      exchange?.close()
      fail(signal.reason)
    }
    const lost = (loss: Loss) => {
      if (settled) return
      if (!mayResend(loss, resends)) return fail(finalError(loss, outgoing.origin))
      resends += 1
      // a turn later, when undici has dealt with every other connection that died together with this one
      setImmediate(send)
    }
    const send = () => {
      if (settled) return
      try {
        attempt.emit({ type: 'connecting' })
        // who listens may have ended the attempt
        if (signal.aborted) return
        exchange = startExchange({
          dispatcher: connections.dispatcher(resends === 0 ? 'pooled' : 'fresh'),
          request: outgoing,
          attempt,
          maxBodyBytes: request.maxBodyBytes ?? maxBodyBytes,
          respond: (status, headers) => request.respond(status, headers),
          onDone: () => settle(resolve),
          onFail: fail,
          onLost: lost,
        })
        if (signal.aborted) exchange.close()
      } catch (error) {
        fail(error)
      }
    }

    signal.addEventListener('abort', abort, { once: true })
    send()
  })
}

function outgoingOf({ url, headers, body, method = 'POST' }: PostRequest) {
  return {
    ...destinationOf(url),
    method,
    headers: wireHeaders(headers),
    body: method === 'GET' ? null : body,
    // the attempt's clocks end a request; undici's 300 s ended local models in the middle of their prefill (R89)
    headersTimeout: 0,
    bodyTimeout: 0,
  }
}

/** After one resend a request is not on a used connection again; of a user's dispatcher the next may be dead as well. */
const maxResends = 3

/**
 * A server that has closed the connection says so as soon as it sees the request: within a round trip. What is lost later was
 * lost by a server that was at work.
 */
const idleDeathMs = 2_000

/**
 * Sent again is a request that met a connection which others used before it and which was dead already: the server closed it idle,
 * as llama-server does after 5 s and others after 1. It is not sent again where the server may be at work on it, and bill it (R130):
 * on a fresh connection, after a first byte, after a while. A connection that never came about is tried once more, unless the answer
 * would be the same.
 */
function mayResend(loss: Loss, resends: number): boolean {
  if (loss.phase === 'connecting') return resends === 0 && mayConnectAgain(loss.error)
  return loss.reused && !loss.answered && loss.afterMs < idleDeathMs && resends < maxResends
}

function finalError({ error, phase }: Loss, origin: string): Error {
  if (phase === 'connecting' && isRefusedByUndici(error)) {
    return new TypeError(`The request to ${origin} cannot be sent: ${error.message}.`, { cause: error })
  }
  return transportFailure(error, { phase, origin })
}
