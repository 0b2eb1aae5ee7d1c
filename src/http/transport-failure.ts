import { ProviderError } from '../errors.ts'

/** How far a request got: no connection yet, sent but no headers yet, or headers received. */
export type Phase = 'connecting' | 'waiting' | 'reading'

export type TransportError = Error & {
  readonly code?: string | undefined
  readonly socket?: { readonly bytesRead?: number | undefined } | undefined
  /** Until then the server will not answer. */
  readonly retryAfterMs?: number | undefined
}

/** A connection that was lost before the headers of an answer arrived, or was never established. */
export type Loss = {
  readonly error: TransportError
  readonly phase: 'connecting' | 'waiting'
  /** Whether other requests used the connection before this one. */
  readonly reused: boolean
  /** Whether anything of an answer arrived, even a single byte. */
  readonly answered: boolean
  /** The address of the proxy that was handling the request when it failed. */
  readonly proxy?: string | undefined
  /** The time from sending the request to the loss, in milliseconds. */
  readonly afterMs: number
}

type Whereabouts = {
  readonly phase: Phase
  /** Named in the message. The path is not, because a query may hold the prompt. */
  readonly origin: string
  readonly status?: number | undefined
  /** The address of the proxy that was handling the request, without its password. */
  readonly proxy?: string | undefined
}

/** Turns an error of undici or a socket into a failure of the attempt. */
export function transportFailure(error: TransportError, where: Whereabouts): ProviderError {
  const { phase, origin, status } = where
  const { retryAfterMs } = error
  // Our own fault is checked before the proxy's, and the proxy's before the server's.
  const known = ownFailure(error, where) ?? proxyFailure(error, where) ?? malformed(error, where)
  if (known !== undefined) return known
  if (phase === 'reading') {
    const message = `The answer of ${origin} broke off: the connection was lost before its end (${reasonOf(error)}).`
    return new ProviderError(message, { reason: 'truncated', status, retryAfterMs, cause: withoutData(error) })
  }
  const message =
    phase === 'connecting'
      ? `Could not connect to ${origin} (${reasonOf(error)}). ${adviceFor(error.code)}`.trimEnd()
      : `The connection to ${origin} was lost before an answer came (${reasonOf(error)}).`
  // A retry would meet the same certificate, and an open breaker would only hide the advice.
  const charged = isAboutCertificate(error.code) ? 'request' : undefined
  return new ProviderError(message, { reason: 'network', charged, retryAfterMs, cause: error })
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

/** The answer is not HTTP, or is HTTP that must not be accepted. */
function malformed(error: TransportError, { phase, origin, status }: Whereabouts): ProviderError | undefined {
  const message = wrongAnswer(error, phase, origin)
  if (message === undefined) return undefined
  return new ProviderError(message, { reason: 'malformed-response', status, cause: withoutData(error) })
}

function wrongAnswer(error: TransportError, phase: Phase, origin: string): string | undefined {
  if (error.code === 'UND_ERR_HEADERS_OVERFLOW')
    return `The headers of the answer of ${origin} are larger than 64 KiB, the most that this client accepts.`
  if (phase !== 'reading' && hasTwoLengths(error))
    return `The answer of ${origin} states two lengths for its body: more than one content-length, or a content-length and a transfer-encoding. The server, or a proxy in front of it, must send only one.`
  if (isGarbled(error))
    return `The answer of ${origin} is not HTTP/1.1 (${reasonOf(error)}). Check the port, and whether the URL must begin with http:// or https://.`
  return undefined
}

/** Whether to connect once more at once: not if the result would be the same (refused, unknown name, certificate). */
export function mayConnectAgain(error: TransportError): boolean {
  return ['ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_PRX_CONN'].includes(error.code ?? '')
}

/** Out of file handles: the fault of this process or its machine (F92). It passes when other connections close. */
export function isOutOfHandles({ code = '' }: TransportError): boolean {
  return Object.hasOwn(ownLimits, code)
}

const ownLimits: Readonly<Record<string, string>> = {
  EMFILE: 'it is out of file handles. Raise `ulimit -n`, or send fewer requests at once',
  ENFILE: 'its machine is out of file handles. Raise fs.file-max, or close files and connections',
  ENOBUFS: 'its machine is out of memory for sockets. Send fewer requests at once',
  ENOMEM: 'its machine is out of memory for sockets. Send fewer requests at once',
}

/** Whether undici refused to send the request: the caller's mistake, not the server's. */
export function isRefusedByUndici(error: TransportError): boolean {
  return error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED'
}

/**
 * Whether the answer has two lengths (F31). undici rejects it when the headers are complete; while a body is read, the same code means
 * that the body was truncated.
 */
function hasTwoLengths(error: TransportError): boolean {
  if (error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return true
  return isGarbled(error) && /content-length can't be present/i.test(error.message)
}

function adviceFor(code = ''): string {
  return certificateAdvice(code, 'in the base URL') ?? (Object.hasOwn(adviceOn, code) ? (adviceOn[code] ?? '') : '')
}

const adviceOn: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there. Check that the server is running, and check the port.',
  ENOTFOUND: 'The host name does not exist. Check the base URL.',
  EAI_AGAIN: 'The host name could not be looked up at the moment. Try again, or check the DNS.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'The server does not speak TLS there. Check whether the URL must begin with http://.',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'The server does not speak TLS there. Check whether the URL must begin with http://.',
}

/** undici's parser error carries the bytes that it failed on. They are part of an answer and must not appear in a log. */
function withoutData(error: TransportError): Error {
  if ('data' in error) delete error.data
  return error
}

/** What a proxy did wrong. `stays`: it would fail the same way again, so there is no retry. */
type ProxyFault = { readonly sentence: string; readonly stays: boolean }

/**
 * Returns the fault if it is the proxy's, not that of the service behind it (F86). `proxy` is known only for our own connections;
 * undici's errors also reveal a proxy behind a user's own dispatcher.
 */
function proxyFault(error: TransportError, proxy: string | undefined, phase: Phase): ProxyFault | undefined {
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(error.message)?.[1]
  if (status !== undefined) return refused(Number(status))
  if (error.code === 'UND_ERR_PRX_TLS') return badCertificate(codeOf(error.cause) ?? 'ERR_TLS_CERT_ALTNAME_INVALID')
  if (error.code === 'UND_ERR_PRX_CONN') return { sentence: 'it closed the connection before it opened a tunnel.', stays: false }
  if (proxy === undefined) return undefined
  if (isGarbled(error)) {
    const sentence = `its answer is not HTTP/1.1 (${reasonOf(error)}). Check the port in ${variables}, and whether the address must begin with http:// or https://.`
    return { sentence, stays: true }
  }
  // Once the proxy has accepted the request, the service may be at fault.
  return phase === 'connecting' ? unreachable(error) : undefined
}

const variables = 'HTTPS_PROXY or HTTP_PROXY'

function refused(status: number): ProxyFault {
  if (status === 407) {
    const sentence = `it requires a user and a password, or refused those that it was given (407). Write them in ${variables}, like http://user:password@proxy.internal:3128.`
    return { sentence, stays: true }
  }
  if (status === 429 || status >= 500) return { sentence: `it could not open a tunnel (${status}).`, stays: false }
  const sentence = `it refused to open a tunnel (${status}). Allow this host in the proxy, or add the host to NO_PROXY.`
  return { sentence, stays: true }
}

function badCertificate(code: string): ProxyFault | undefined {
  const advice = certificateAdvice(code, `in ${variables}`)
  return advice === undefined ? undefined : { sentence: `TLS with it failed (${code}). ${advice}`, stays: true }
}

function unreachable(error: TransportError): ProxyFault {
  const { code = '' } = error
  if (code.startsWith('ERR_SSL')) {
    const sentence = `it does not speak TLS (${code}). Check whether its address in ${variables} must begin with http://.`
    return { sentence, stays: true }
  }
  const sentence = `it could not be reached (${reasonOf(error)}). Check its address in ${variables}.`
  return badCertificate(code) ?? { sentence, stays: false }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}

/** Whether the code is OpenSSL's or Node's for a refused certificate. Such a certificate is refused on every retry. */
function isAboutCertificate(code = ''): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/.test(code)
}

/** Returns advice about a refused certificate; undefined for any other error. @param where the host name was written */
function certificateAdvice(code: string, where: string): string | undefined {
  if (!isAboutCertificate(code)) return undefined
  if (code === 'CERT_HAS_EXPIRED')
    return 'The certificate of the server has expired. Renew it there, or check the date of this machine.'
  if (code === 'CERT_NOT_YET_VALID') return 'The certificate of the server is not valid yet. Check the date of this machine.'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `The certificate of the server is for another host. Check the host name ${where}.`
  if (code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    return `${untrusted} A server with a public certificate must also send the intermediate certificates.`
  return untrusted
}

const untrusted =
  'The certificate of the server is not trusted. For an authority of your own, start Node with NODE_EXTRA_CA_CERTS, or pass a dispatcher that trusts it.'

/** Whether the error is the parser's, except for a premature end. undici means to set codes on these errors, but up to 8.12 does not. */
function isGarbled(error: TransportError): boolean {
  return error.name === 'HTTPParserError' && !/eof/i.test(error.message)
}

function reasonOf(error: TransportError): string {
  const { code = '', message } = error
  // One code of undici's stands for many errors, so its message is shown. A system's message only repeats its code.
  if (code.startsWith('UND_ERR') || code === '') return message === '' ? error.name : message
  return code
}
