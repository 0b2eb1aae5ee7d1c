import { expect, test } from 'vitest'
import {
  isOutOfHandles,
  isRefusedByUndici,
  mayConnectAgain,
  type Phase,
  type TransportError,
  transportFailure,
} from '../../../src/http/transport-failure.ts'

const origin = 'http://10.0.0.1:8000'
const proxy = 'http://proxy.internal:3128'

/** An error of a socket or of undici. */
function errorOf(code: string | undefined, more: object = {}): TransportError {
  return Object.assign(new Error(`It failed with ${code}.`), { code }, more)
}

type Given = { readonly phase?: Phase; readonly status?: number; readonly proxy?: string }

function failureOf(error: TransportError, { phase = 'connecting', ...given }: Given = {}) {
  return transportFailure(error, { phase, origin, ...given })
}

const untrusted = /The certificate of the server is not trusted[.] For an authority of your own.*a dispatcher that trusts it[.]$/

test.for([
  [
    'ECONNREFUSED',
    undefined,
    /^Could not connect to \S+ \(ECONNREFUSED\)[.] Nothing listens there[.] Check that the server is running/,
  ],
  ['ENOTFOUND', undefined, /The host name does not exist[.] Check the base URL[.]$/],
  ['EAI_AGAIN', undefined, /could not be looked up at the moment/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', undefined, /does not speak TLS there[.] Check whether the URL must begin with http:/],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', undefined, /does not speak TLS there[.] Check whether the URL must begin with http:/],
  ['CERT_HAS_EXPIRED', 'request', /The certificate of the server has expired[.] Renew it there/],
  ['CERT_NOT_YET_VALID', 'request', /is not valid yet[.] Check the date of this machine[.]$/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'request', /is for another host[.] Check the host name in the base URL[.]$/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'request', /is not trusted[.].*must also send the intermediate certificates[.]$/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'request', untrusted],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'request', untrusted],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'request', untrusted],
  // without advice: the code alone, and no blank behind the sentence
  ['ECONNRESET', undefined, /^Could not connect to http:\/\/10[.]0[.]0[.]1:8000 \(ECONNRESET\)[.]$/],
  ['toString', undefined, /\(toString\)[.]$/],
] as const)('no connection because of %s is charged to %s, and says what to check', ([code, charged, message]) => {
  const error = errorOf(code, { retryAfterMs: 250 })
  const failure = failureOf(error)
  expect(failure).toMatchObject({ reason: 'network', charged, retryAfterMs: 250, cause: error })
  expect(failure.message).toMatch(message)
})

test('what the system says is its code; what undici says is its sentence, and what has neither says its name', () => {
  const lost = (error: TransportError) => failureOf(error, { phase: 'waiting' }).message
  expect(lost(errorOf('EPIPE'))).toBe(`The connection to ${origin} was lost before an answer came (EPIPE).`)
  expect(lost(errorOf('UND_ERR_SOCKET'))).toMatch(/[(]It failed with UND_ERR_SOCKET[.][)][.]$/)
  expect(lost(errorOf(undefined))).toMatch(/[(]It failed with undefined[.][)][.]$/)
  expect(lost(new TypeError(''))).toMatch(/[(]TypeError[)][.]$/)
})

test('an answer that broke off is truncated, with its status, the time to come back and no bytes of it', () => {
  const error = errorOf('ECONNRESET', { data: 'a piece of the answer', retryAfterMs: 250 })
  const failure = failureOf(error, { phase: 'reading', status: 200 })
  expect(failure).toMatchObject({ reason: 'truncated', status: 200, retryAfterMs: 250, cause: error })
  expect(failure.message).toBe(`The answer of ${origin} broke off: the connection was lost before its end (ECONNRESET).`)
  expect(error).not.toHaveProperty('data')
})

test.for([
  ['EMFILE', /: it is out of file handles[.] Raise `ulimit -n`, or send fewer requests at once \(EMFILE\)[.]$/],
  ['ENFILE', /its machine is out of file handles[.] Raise fs[.]file-max/],
  ['ENOBUFS', /its machine is out of memory for sockets/],
  ['ENOMEM', /its machine is out of memory for sockets/],
] as const)('F92: %s is our own fault, charged to nobody, while there is no connection', ([code, message]) => {
  const failure = failureOf(errorOf(code), { proxy })
  expect(failure).toMatchObject({ reason: 'network', charged: 'nobody', cause: { code } })
  expect(failure.message).toMatch(message)
  expect(isOutOfHandles(errorOf(code))).toBe(true)
  expect(failureOf(errorOf(code), { phase: 'waiting' })).toMatchObject({ reason: 'network', charged: undefined })
})

const garbled = (message = 'Expected HTTP/') => Object.assign(errorOf(undefined, { name: 'HTTPParserError' }), { message })
const twoLengths = () => garbled("Content-Length can't be present with Transfer-Encoding")

test.for([
  ['headers that are too large', errorOf('UND_ERR_HEADERS_OVERFLOW'), 'waiting', /larger than 64 KiB/],
  ['two lengths', errorOf('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), 'waiting', /states two lengths for its body/],
  ['two lengths of two kinds', twoLengths(), 'waiting', /states two lengths for its body/],
  ['what is not HTTP', garbled(), 'waiting', /is not HTTP\/1[.]1 [(]Expected HTTP\/[)][.] Check the port/],
  ['what is no HTTP later', garbled(), 'reading', /is not HTTP\/1[.]1/],
] as const)('%s is a malformed response', ([, error, phase, message]) => {
  Object.assign(error, { data: 'a piece of the answer' })
  const failure = failureOf(error, { phase, status: 200 })
  expect(failure).toMatchObject({ reason: 'malformed-response', status: 200, cause: error })
  expect(failure.message).toMatch(message)
  expect(error).not.toHaveProperty('data')
})

test('F31: a body that is not as long as was said is no second length: the answer broke off', () => {
  expect(failureOf(errorOf('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), { phase: 'reading' })).toMatchObject({ reason: 'truncated' })
})

test('an early end that the parser tells is a lost connection, and not an answer that is no HTTP', () => {
  expect(failureOf(garbled('Invalid EOF state'), { phase: 'waiting' })).toMatchObject({ reason: 'network' })
  expect(failureOf(garbled('Invalid EOF state'), { phase: 'reading' })).toMatchObject({ reason: 'truncated' })
})

const inVariables = 'HTTPS_PROXY or HTTP_PROXY'

test.for([
  [errorOf(undefined, { message: 'Proxy response (407) when HTTP Tunneling' }), 'request', 'requires a user and a password'],
  [errorOf(undefined, { message: 'Proxy Authentication Required (407) here' }), 'request', 'requires a user and a password'],
  [errorOf(undefined, { message: 'Proxy response (403) when HTTP Tunneling' }), 'request', 'it refused to open a tunnel (403)'],
  [errorOf(undefined, { message: 'Proxy response (429) when HTTP Tunneling' }), undefined, 'could not open a tunnel (429)'],
  [errorOf(undefined, { message: 'Proxy response (500) when HTTP Tunneling' }), undefined, 'could not open a tunnel (500)'],
  [errorOf(undefined, { message: 'Proxy response (499) when HTTP Tunneling' }), 'request', 'it refused to open a tunnel (499)'],
  [errorOf('UND_ERR_PRX_TLS', { cause: errorOf('CERT_HAS_EXPIRED') }), 'request', 'TLS with it failed (CERT_HAS_EXPIRED)'],
  [
    errorOf('UND_ERR_PRX_TLS', { cause: errorOf(undefined, { code: 7 }) }),
    'request',
    `another host. Check the host name in ${inVariables}`,
  ],
  [
    errorOf('UND_ERR_PRX_TLS', { cause: new Error('It failed.') }),
    'request',
    `another host. Check the host name in ${inVariables}`,
  ],
  [errorOf('UND_ERR_PRX_TLS', { cause: 'no error' }), 'request', `another host. Check the host name in ${inVariables}`],
  [errorOf('UND_ERR_PRX_CONN'), undefined, 'it closed the connection before it opened a tunnel'],
] as const)('F86: a fault of the proxy is told as such, also of a dispatcher of one’s own: %s', ([error, charged, sentence]) => {
  for (const via of [proxy, undefined]) {
    const failure = failureOf(error, via === undefined ? {} : { proxy: via })
    expect(failure).toMatchObject({ reason: 'network', charged, cause: error })
    const start = `Could not reach ${origin} through the proxy${via === undefined ? '' : ` ${via}`}: `
    expect(failure.message.startsWith(start)).toBe(true)
    expect(failure.message).toContain(sentence)
  }
  expect(failureOf(error, { phase: 'reading', proxy }).message).not.toContain('through the proxy')
})

test.for([
  [garbled(), 'waiting', 'request', 'its answer is not HTTP/1.1 (Expected HTTP/)'],
  [
    errorOf('ECONNREFUSED'),
    'connecting',
    undefined,
    `it could not be reached (ECONNREFUSED). Check its address in ${inVariables}.`,
  ],
  [errorOf('ERR_SSL_WRONG_VERSION_NUMBER'), 'connecting', 'request', 'it does not speak TLS (ERR_SSL_WRONG_VERSION_NUMBER)'],
  [errorOf('CERT_HAS_EXPIRED'), 'connecting', 'request', 'TLS with it failed (CERT_HAS_EXPIRED)'],
  [errorOf(undefined), 'connecting', undefined, 'it could not be reached (It failed with undefined.)'],
] as const)('F86: what a known proxy did wrong: %s while %s', ([error, phase, charged, sentence]) => {
  const failure = failureOf(error, { phase, proxy })
  expect(failure).toMatchObject({ reason: 'network', charged })
  expect(failure.message).toContain(`through the proxy ${proxy}: `)
  expect(failure.message).toContain(sentence)
  // without one it is the server's
  expect(failureOf(error, { phase }).message).not.toContain('through the proxy')
})

test('F86: once a proxy has accepted the request, what fails is the service behind it', () => {
  expect(failureOf(errorOf('ECONNRESET'), { phase: 'waiting', proxy }).message).toMatch(/^The connection to/)
  expect(failureOf(twoLengths(), { phase: 'waiting', proxy })).toMatchObject({ reason: 'malformed-response' })
})

test('one more connection is tried where the result may be another one; not where it would be the same', () => {
  const codes = ['ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_PRX_CONN', 'ECONNREFUSED', 'ENOTFOUND', undefined]
  expect(codes.map(code => mayConnectAgain(errorOf(code)))).toEqual([true, true, true, true, true, false, false, false])
  const refused = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_SOCKET', undefined]
  expect(refused.map(code => isRefusedByUndici(errorOf(code)))).toEqual([true, true, false, false])
  expect([isOutOfHandles(errorOf('ECONNRESET')), isOutOfHandles(errorOf(undefined))]).toEqual([false, false])
})
