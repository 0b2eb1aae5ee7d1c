import { ProviderError } from '../errors.ts'

/** How far a request came: no connection yet, sent and no headers yet, or headers are here. */
export type Phase = 'connecting' | 'waiting' | 'reading'

export type TransportError = Error & {
  readonly code?: string | undefined
  readonly socket?: { readonly bytesRead?: number | undefined } | undefined
}

/** The connection was lost before the headers of an answer, or never came about. */
export type Loss = {
  readonly error: TransportError
  readonly phase: 'connecting' | 'waiting'
  /** Other requests used the connection before this one. */
  readonly reused: boolean
  /** Something of an answer came, if only a byte. */
  readonly answered: boolean
  /** How long after it was sent the connection was lost. */
  readonly afterMs: number
}

export type Whereabouts = {
  readonly phase: Phase
  /** Named in the message. Never the path: a query may hold the prompt. */
  readonly origin: string
  readonly status?: number | undefined
}

/** What undici or a socket says, as a failure of the attempt. */
export function transportFailure(error: TransportError, { phase, origin, status }: Whereabouts): ProviderError {
  if (error.code === 'UND_ERR_HEADERS_OVERFLOW') {
    const message = `The headers of the answer of ${origin} are larger than this client takes (64 KiB).`
    return new ProviderError(message, { reason: 'malformed-response', status, cause: withoutData(error) })
  }
  if (phase !== 'reading' && hasTwoLengths(error)) {
    const message = `The answer of ${origin} names two lengths for its body: content-length more than once, or beside transfer-encoding. The server, or a proxy in front of it, must send one.`
    return new ProviderError(message, { reason: 'malformed-response', status, cause: withoutData(error) })
  }
  if (isGarbled(error)) {
    return new ProviderError(
      `What ${origin} answers is not HTTP/1.1 (${reasonOf(error)}). Check the port and whether it is http or https.`,
      {
        reason: 'malformed-response',
        status,
        cause: withoutData(error),
      },
    )
  }
  if (phase === 'reading') {
    const message = `The answer of ${origin} broke off: the connection was lost before its end (${reasonOf(error)}).`
    return new ProviderError(message, { reason: 'truncated', status, cause: withoutData(error) })
  }
  if (phase === 'connecting' && isOutOfHandles(error)) {
    const message = `This process could not open a connection to ${origin}: ${ownLimits[error.code ?? ''] ?? ''} (${reasonOf(error)}).`
    return new ProviderError(message, { reason: 'network', charged: 'nobody', cause: error })
  }
  const message =
    phase === 'connecting'
      ? `Could not connect to ${origin} (${reasonOf(error)}). ${adviceFor(error.code ?? '')}`.trimEnd()
      : `The connection to ${origin} was lost before an answer came (${reasonOf(error)}).`
  return new ProviderError(message, { reason: 'network', cause: error })
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

/** The parser's complaints, except that the end came too soon. undici means to give them codes, but up to 8.12 has none in them. */
function isGarbled(error: TransportError): boolean {
  return error.name === 'HTTPParserError' && !/eof/i.test(error.message)
}

/**
 * A body with two lengths (F31). undici refuses it when the headers are complete; while a body is read, the same code tells of one that
 * was cut.
 */
function hasTwoLengths(error: TransportError): boolean {
  if (error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return true
  return isGarbled(error) && /content-length can't be present/i.test(error.message)
}

function reasonOf(error: TransportError): string {
  const { code = '', message } = error
  // undici's own codes are one for many things, a system's message repeats its code
  if (code.startsWith('UND_ERR') || code === '') return message === '' ? error.name : message
  return code
}

const advice: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the server running, and is the port right?',
  ENOTFOUND: 'There is no such name: check the base URL.',
  EAI_AGAIN: 'The name could not be looked up at the moment.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'It does not speak TLS: should the URL begin with http://?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'It does not speak TLS: should the URL begin with http://?',
}

function adviceFor(code: string): string {
  if (Object.hasOwn(advice, code)) return advice[code] ?? ''
  if (!/CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/.test(code)) return ''
  return 'Its certificate is not trusted: for an authority of your own start Node with NODE_EXTRA_CA_CERTS, or give a dispatcher that knows it.'
}

/** undici's parser error carries the bytes it stumbled over. They are part of an answer and have no place in a log. */
function withoutData(error: TransportError): Error {
  if ('data' in error) delete error.data
  return error
}
