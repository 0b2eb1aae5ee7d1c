import { ProviderError } from '../errors.ts'
import { certificateAdvice, isAboutCertificate } from './certificate.ts'
import { proxyFault } from './proxy-fault.ts'
import { isGarbled, reasonOf } from './transport-error.ts'
import type { Phase, TransportError } from './transport-error.ts'

export type { Phase, TransportError } from './transport-error.ts'

/** The connection was lost before the headers of an answer, or never came about. */
export type Loss = {
  readonly error: TransportError
  readonly phase: 'connecting' | 'waiting'
  /** Other requests used the connection before this one. */
  readonly reused: boolean
  /** Something of an answer came, if only a byte. */
  readonly answered: boolean
  /** The address of the proxy that the request was with when it failed. */
  readonly proxy?: string | undefined
  /** How long after it was sent the connection was lost. */
  readonly afterMs: number
}

export type Whereabouts = {
  readonly phase: Phase
  /** Named in the message. Never the path: a query may hold the prompt. */
  readonly origin: string
  readonly status?: number | undefined
  /** The address of the proxy that the request was with, without its password. */
  readonly proxy?: string | undefined
}

/** What undici or a socket says, as a failure of the attempt. */
export function transportFailure(error: TransportError, where: Whereabouts): ProviderError {
  const { phase, origin, status } = where
  // our own fault goes before the proxy's, and that before the server's
  const known = ownFailure(error, where) ?? proxyFailure(error, where) ?? malformed(error, where)
  if (known !== undefined) return known
  if (phase === 'reading') {
    const message = `The answer of ${origin} broke off: the connection was lost before its end (${reasonOf(error)}).`
    return new ProviderError(message, { reason: 'truncated', status, cause: withoutData(error) })
  }
  const message =
    phase === 'connecting'
      ? `Could not connect to ${origin} (${reasonOf(error)}). ${adviceFor(error.code)}`.trimEnd()
      : `The connection to ${origin} was lost before an answer came (${reasonOf(error)}).`
  // asked again, it would show the same certificate; a breaker would only hide the advice
  const charged = isAboutCertificate(error.code) ? 'request' : undefined
  return new ProviderError(message, { reason: 'network', charged, cause: error })
}

function ownFailure(error: TransportError, { phase, origin }: Whereabouts): ProviderError | undefined {
  if (phase !== 'connecting' || !isOutOfHandles(error)) return undefined
  const message = `This process could not open a connection to ${origin}: ${ownLimits[error.code ?? ''] ?? ''} (${reasonOf(error)}).`
  return new ProviderError(message, { reason: 'network', charged: 'nobody', cause: error })
}

function proxyFailure(error: TransportError, { phase, origin, proxy }: Whereabouts): ProviderError | undefined {
  const fault = phase === 'reading' || hasTwoLengths(error) ? undefined : proxyFault(error, proxy, phase)
  if (fault === undefined) return undefined
  const address = proxy === undefined ? '' : ` ${proxy}`
  const charged = fault.stays ? 'request' : undefined
  return new ProviderError(`Could not reach ${origin} through the proxy${address}: ${fault.sentence}`, {
    reason: 'network',
    charged,
    cause: withoutData(error),
  })
}

/** What came is no HTTP, or none that may be read. */
function malformed(error: TransportError, { phase, origin, status }: Whereabouts): ProviderError | undefined {
  const message = wrongAnswer(error, phase, origin)
  if (message === undefined) return undefined
  return new ProviderError(message, { reason: 'malformed-response', status, cause: withoutData(error) })
}

function wrongAnswer(error: TransportError, phase: Phase, origin: string): string | undefined {
  if (error.code === 'UND_ERR_HEADERS_OVERFLOW')
    return `The headers of the answer of ${origin} are larger than this client takes (64 KiB).`
  if (phase !== 'reading' && hasTwoLengths(error))
    return `The answer of ${origin} names two lengths for its body: content-length more than once, or beside transfer-encoding. The server, or a proxy in front of it, must send one.`
  if (isGarbled(error))
    return `What ${origin} answers is not HTTP/1.1 (${reasonOf(error)}). Check the port and whether it is http or https.`
  return undefined
}

/** May a connection be tried once more at once? Not where the second try would be told the same: refused, unknown name, certificate. */
export function mayConnectAgain(error: TransportError): boolean {
  return ['ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_PRX_CONN'].includes(error.code ?? '')
}

/** The fault of this process or its machine (F92), whatever server was meant. It passes when other connections are closed. */
export function isOutOfHandles({ code = '' }: TransportError): boolean {
  return Object.hasOwn(ownLimits, code)
}

const ownLimits: Readonly<Record<string, string>> = {
  EMFILE: 'it is out of file handles. Raise `ulimit -n`, or send less at once',
  ENFILE: 'its machine is out of file handles. Raise fs.file-max, or close what is open',
  ENOBUFS: 'its machine is out of memory for sockets. Send less at once',
  ENOMEM: 'its machine is out of memory for sockets. Send less at once',
}

/** What undici refuses to send: the caller's mistake, not the server's. */
export function isRefusedByUndici(error: TransportError): boolean {
  return error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED'
}

/**
 * A body with two lengths (F31). undici refuses it when the headers are complete; while a body is read, the same code tells of one that
 * was cut.
 */
function hasTwoLengths(error: TransportError): boolean {
  if (error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return true
  return isGarbled(error) && /content-length can't be present/i.test(error.message)
}

function adviceFor(code = ''): string {
  return certificateAdvice(code, 'in the base URL') ?? (Object.hasOwn(advice, code) ? (advice[code] ?? '') : '')
}

const advice: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the server running, and is the port right?',
  ENOTFOUND: 'There is no such name: check the base URL.',
  EAI_AGAIN: 'The name could not be looked up at the moment.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'It does not speak TLS: should the URL begin with http://?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'It does not speak TLS: should the URL begin with http://?',
}

/** undici's parser error carries the bytes it stumbled over. They are part of an answer and have no place in a log. */
function withoutData(error: TransportError): Error {
  if ('data' in error) delete error.data
  return error
}
