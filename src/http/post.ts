import type { ResponseHeaders } from '../contract.ts'
import { shortName } from '../errors.ts'
import type { Connections } from './connections.ts'
import { type Asker, closeExchange, type Exchange, type ExchangeEnd, startExchange } from './exchange.ts'
import { isOutOfHandles, isRefusedByUndici, type Loss, mayConnectAgain, transportFailure } from './transport-failure.ts'

export type { BodyReader } from './body.ts'

export type PostRequest = Asker & {
  /** Absolute, http or https. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as UTF-8; ignored for a GET. */
  readonly body: string
  /** @default 'POST' */
  readonly method?: 'POST' | 'GET' | undefined
  readonly connections: Connections
}

/**
 * Sends one request and passes the body to a reader as it arrives. Resolves after the reader's `end`.
 *
 * Rejects with what the reader throws; with a `ProviderError` of reason `network` (no connection, or lost before the headers),
 * `truncated` (lost after them) or `malformed-response` (not HTTP, too large); with a `TypeError` for a URL or header that cannot be
 * sent; and with the signal's reason as soon as the signal fires, in any state of the request. undici's own timeouts are off.
 *
 * A request that the server cannot have worked on is resent without notice: see {@link mayResend}.
 */
export function post(request: PostRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal } = request.attempt
    signal.throwIfAborted()
    const state: State = {
      request,
      resolve,
      reject,
      abort: () => abort(state),
      resends: 0,
      waits: 0,
      settled: false,
      exchange: undefined,
      timer: undefined,
    }
    signal.addEventListener('abort', state.abort, { once: true })
    send(state)
  })
}

/** Functions over one object: a thousand slow streams hold a thousand of these objects, and each closure would add 64 bytes. */
type State = {
  readonly request: PostRequest
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly abort: () => void
  resends: number
  waits: number
  timer: NodeJS.Timeout | undefined
  settled: boolean
  exchange: Exchange | undefined
}

function send(state: State): void {
  const { request, resends } = state
  const { attempt, connections } = request
  if (state.settled) return
  try {
    const outgoing = outgoingOf(request)
    if (state.waits === 0) attempt.emit({ type: 'connecting' })
    // A listener may have ended the attempt.
    if (attempt.signal.aborted) return
    state.exchange = startExchange({
      dispatcher: connections.dispatcher(resends === 0 ? 'pooled' : 'fresh'),
      request: outgoing,
      asker: request,
      onEnd: end => ended(state, end),
    })
    if (attempt.signal.aborted) closeExchange(state.exchange)
    else connections.silence?.add(state.exchange)
  } catch (error) {
    fail(state, error)
  }
}

/** When the process is out of file handles, the request waits for others to close: two seconds in all, within the connect clock. */
const waitMs = 100
const mostWaits = 20

function ended(state: State, end: ExchangeEnd): void {
  if (end.type === 'failed') fail(state, end.error)
  else if (end.type === 'lost') lost(state, end.loss)
  else if (settle(state)) state.resolve()
}

function lost(state: State, loss: Loss): void {
  if (state.settled) return
  if (isOutOfHandles(loss.error) && loss.phase === 'connecting' && state.waits < mostWaits) {
    state.waits += 1
    state.timer = setTimeout(send, waitMs, state)
    return
  }
  if (!mayResend(loss, state.resends)) return fail(state, finalError(loss, destinationOf(state.request.url).origin))
  state.resends += 1
  // One turn later, when undici has handled all other connections that died together with this one.
  setImmediate(send, state)
}

function abort(state: State): void {
  if (state.exchange !== undefined) closeExchange(state.exchange)
  fail(state, state.request.attempt.signal.reason)
}

function fail(state: State, error: unknown): void {
  if (settle(state)) state.reject(error)
}

/** Returns false if the promise was settled already. */
function settle(state: State): boolean {
  if (state.settled) return false
  state.settled = true
  if (state.timer !== undefined) clearTimeout(state.timer)
  if (state.exchange !== undefined) state.request.connections.silence?.remove(state.exchange)
  state.request.attempt.signal.removeEventListener('abort', state.abort)
  return true
}

function outgoingOf({ url, headers, body, attempt, method = 'POST' }: PostRequest) {
  return {
    ...destinationOf(url),
    method,
    headers: wireHeaders(headers, attempt.headers),
    body: method === 'GET' ? null : body,
    // The attempt's clocks end a request. undici's timeouts of 300 s would end local models in the middle of their prefill (R89).
    headersTimeout: 0,
    bodyTimeout: 0,
  }
}

/** Our own connections need one resend, because it uses a fresh connection. A user's dispatcher may pick another dead one. */
const maxResends = 3

/**
 * A server that has closed an idle connection rejects the request within a round trip. If the connection is lost later than this, the
 * server was already working on the request.
 */
const idleDeathMs = 2_000

/**
 * A request is resent when it met a reused connection that was dead already, because the server had closed it while it was idle
 * (llama-server does so after 5 s, others after 1). It is not resent where the server may be working on it and bill it (R130): on a
 * fresh connection, after a first byte, or after a while. A connection that was never established is tried once more, unless the
 * result would be the same.
 */
function mayResend(loss: Loss, resends: number): boolean {
  if (loss.phase === 'connecting') return resends === 0 && mayConnectAgain(loss.error)
  return loss.reused && !loss.answered && loss.afterMs < idleDeathMs && resends < maxResends
}

function finalError({ error, phase, proxy }: Loss, origin: string): Error {
  if (phase === 'connecting' && isRefusedByUndici(error)) {
    return new TypeError(`The request to ${origin} cannot be sent: ${error.message}.`, { cause: error })
  }
  return transportFailure(error, { phase, origin, proxy })
}

/** The parts of a URL that undici needs. */
type Destination = { readonly origin: string; readonly path: string }

/** A process sends requests to few addresses, and parsing a URL takes longer than anything else in a request. */
const known = new Map<string, Destination>()
const mostKnown = 256

/** Splits an absolute http or https URL. Throws a `TypeError` that says what to write instead. */
function destinationOf(url: string): Destination {
  const before = known.get(url)
  if (before !== undefined) return before
  const destination = takeApart(url)
  if (known.size < mostKnown) known.set(url, destination)
  return destination
}

function takeApart(url: string): Destination {
  const parsed = URL.parse(url)
  if (parsed === null)
    throw new TypeError(`${shown(url)} is not an absolute URL. Write one like https://api.deepseek.com/chat/completions.`)
  const { protocol, username, password, origin, pathname, search } = parsed
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new TypeError(
      `Requests cannot be sent to a URL that begins with ${protocol}. Write one that begins with https:// or http://.`,
    )
  }
  if (username !== '' || password !== '') {
    throw new TypeError(
      `The URL of ${origin} contains a user name or a password. Put them in a header instead, for example authorization.`,
    )
  }
  return { origin, path: `${pathname}${search}` }
}

/** Checked headers by the object that holds them: a provider passes the same object for every request. */
const checked = new WeakMap<Readonly<Record<string, string>>, readonly string[]>()

/** Returns alternating names and values, as undici takes them. Throws a `TypeError` that names the header but never shows its value. */
function wireHeaders(headers: Readonly<Record<string, string>>, under?: Readonly<Record<string, string>>): string[] {
  const pairs = checked.get(headers) ?? pairsOf(headers)
  if (Object.isFrozen(headers)) checked.set(headers, pairs)
  return under === undefined ? [...pairs] : [...pairs, ...missingOf(under, headers)]
}

/** Returns those headers of `under` that `headers` does not set. The names in `under` are lower-case, and its maker has checked them. */
function missingOf(under: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>): string[] {
  const own = new Set(Object.keys(headers).map(name => name.toLowerCase()))
  return Object.entries(under).flatMap(pair => (own.has(pair[0]) ? [] : pair))
}

function pairsOf(headers: Readonly<Record<string, string>>): string[] {
  const pairs: string[] = []
  let encodingAsked = false
  for (const name of Object.keys(headers)) {
    const value: unknown = headers[name]
    checkHeader(name, value)
    if (name.toLowerCase() === 'accept-encoding') encodingAsked = true
    pairs.push(name, value)
  }
  // With compression, tokens would wait until a block is full.
  if (!encodingAsked) pairs.push('accept-encoding', 'identity')
  return pairs
}

/** Throws a `TypeError` for a header that HTTP cannot carry. */
function checkHeader(name: string, value: unknown): asserts value is string {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new TypeError(
      'The name of a header is empty or contains a character that is not allowed. Write letters, digits and hyphens.',
    )
  }
  if (typeof value !== 'string') throw new TypeError(`The header ${name} is of type ${typeof value}. Write a string.`)
  const position = value.search(/[^\t\u0020-\u007e\u0080-\u00ff]/)
  if (position === -1) return
  throw new TypeError(
    `The header ${name} contains ${kindOf(value.charCodeAt(position))} at position ${position}, which HTTP does not allow. ` +
      'Check where its value comes from: a key that is read from a file often ends with a line break.',
  )
}

function kindOf(code: number): string {
  if (code === 10 || code === 13) return 'a line break'
  return code < 0x80 ? 'a control character' : 'a character outside of Latin-1'
}

/** Returns the URL without the parts that may be secret. */
function shown(url: string): string {
  const [start = ''] = url.split(/[?#]/, 1)
  return start === '' || start.includes('@') ? 'The URL' : `"${start}"`
}

/**
 * Returns the id under which the operator of the server finds this request in the logs.
 *
 * @param told the id that the body names; it takes precedence over the id of a gateway in front of the server
 */
export function requestIdIn(headers: ResponseHeaders, told?: string): string | undefined {
  return idInHeaders(headers, idHeaders) ?? told ?? idInHeaders(headers, edgeHeaders)
}

const idHeaders = ['x-ds-trace-id', 'x-request-id', 'x-deepseek-request-id', 'request-id', 'x-generation-id'] as const
/** Ids of gateways in front of the server, used when the server itself names none. */
const edgeHeaders = ['eo-log-uuid', 'cf-ray', 'x-amz-cf-id'] as const

function idInHeaders(headers: ResponseHeaders, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name]
    const id = typeof value === 'string' ? value : value?.[0]
    if (id !== undefined && isRequestId(id.trim())) return id.trim()
  }
  return undefined
}

/**
 * Ids are logged, and a server may send any text as its id. A text that is long enough to be a piece of the prompt must look like an id: no
 * part of it after the first may be a word, which means letters only, not all of them hexadecimal digits.
 */
export function isRequestId(text: string): boolean {
  return hasIdForm(text) || shortName(text) !== ''
}

function hasIdForm(text: string): boolean {
  if (!/^[\w.:/+=@-]{1,128}$/.test(text)) return false
  const [prefix = '', ...parts] = text.split(/[^a-z\d]+/i)
  return !/^[a-z]{13,}$/i.test(prefix) && !parts.some(part => /^[a-z]{4,}$/i.test(part) && !/^[a-f]+$/i.test(part))
}
