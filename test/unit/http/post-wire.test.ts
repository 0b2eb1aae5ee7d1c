import { getEventListeners } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Connections } from '../../../src/http/connections.ts'
import type { PostRequest } from '../../../src/http/post.ts'
import { fakeWire, nextTurn, type Sent } from '../../helpers/fake-wire.ts'
import { postAndCollect, rejection, testAttempt } from '../../helpers/http-servers.ts'

const url = 'http://10.0.0.1:8000/v1/chat?a=b'

function posting(request: Partial<PostRequest> = {}) {
  const { sent, connections } = fakeWire()
  const attempt = testAttempt()
  const { promise, received } = postAndCollect({ url, attempt, connections, ...request })
  promise.catch(() => {})
  return { sent, attempt, promise, received }
}

const errorOf = (code: string, more: object = {}) => Object.assign(new Error(`It failed with ${code}.`), { code }, more)

// ---- what is sent

test('a request is taken apart as undici wants it, without limits of time', () => {
  const { sent } = posting({ headers: { authorization: 'Bearer k' }, body: '{"a":1}' })
  expect(sent).toMatchObject([
    {
      kind: 'pooled',
      request: {
        ...{ origin: 'http://10.0.0.1:8000', path: '/v1/chat?a=b', method: 'POST', body: '{"a":1}' },
        ...{ headers: ['authorization', 'Bearer k', 'accept-encoding', 'identity'], headersTimeout: 0, bodyTimeout: 0 },
      },
    },
  ])
  expect(posting({ method: 'GET' }).sent[0]?.request).toMatchObject({ method: 'GET', body: null })
})

test('headers of the attempt are added where the request has none of that name, in whatever case', () => {
  const headers = Object.freeze({ Authorization: 'Bearer k', 'Accept-Encoding': 'gzip' })
  const sentWith = (under?: Record<string, string>) =>
    posting({ headers, attempt: { ...testAttempt(), headers: under } }).sent[0]?.request.headers
  const own = ['Authorization', 'Bearer k', 'Accept-Encoding', 'gzip']
  expect(sentWith({ authorization: 'other', traceparent: '00-1', tracestate: 'a' })).toEqual([
    ...[...own, 'traceparent', '00-1', 'tracestate', 'a'],
  ])
  // what one request adds is not kept for the next one
  expect(sentWith()).toEqual(own)
})

test('headers that change in the same object are sent as they are now', () => {
  const headers = { a: '1' }
  posting({ headers })
  headers.a = '2'
  expect(posting({ headers }).sent[0]?.request.headers).toEqual(['a', '2', 'accept-encoding', 'identity'])
})

test.for([
  [{ '': 'x' }, 'The name of a header is empty or contains a character'],
  [{ 'a b': 'x' }, 'The name of a header is empty or contains a character'],
  [{ 'a:': 'x' }, 'The name of a header is empty or contains a character'],
  [{ a: 7 }, 'The header a is of type number. Write a string.'],
  [{ a: undefined }, 'The header a is of type undefined.'],
  [{ a: 'xy\n' }, 'The header a contains a line break at position 2'],
  [{ a: '\rx' }, 'The header a contains a line break at position 0'],
  [{ a: 'x\u0000' }, 'contains a control character at position 1'],
  [{ a: '\u007f' }, 'contains a control character at position 0'],
  [{ a: '€' }, 'contains a character outside of Latin-1 at position 0'],
] as const)('a header that cannot be sent is refused before anything is sent: %j', async ([headers, message]) => {
  const { sent, promise } = posting({ headers: headers as never })
  const error = await rejection(promise)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message).toContain(message)
  expect(sent).toEqual([])
})

test('any token is a name, and tabs and Latin-1 are no fault in a value', () => {
  const headers = { "!#$%&'*+.^_`|~0-9A-Za-z-": '\t ~\u0080\u00ff' }
  expect(posting({ headers }).sent[0]?.request.headers).toEqual([
    ...Object.entries(headers).flat(),
    'accept-encoding',
    'identity',
  ])
})

test.for([
  ['/v1/chat?key=secret', '"/v1/chat" is not an absolute URL'],
  ['', 'The URL is not an absolute URL'],
  ['//user:secret@host/', 'The URL is not an absolute URL'],
  ['ftp://host/secret', 'a URL that begins with ftp:'],
  ['http://user@host/', 'The URL of http://host contains a user name or a password'],
  ['https://:secret@host/', 'The URL of https://host contains a user name or a password'],
] as const)('the URL %s is refused, and nothing that may be secret is told', async ([wrong, message]) => {
  const error = (await rejection(posting({ url: wrong }).promise)) as Error
  expect(error).toBeInstanceOf(TypeError)
  expect(error.message).toContain(message)
  expect(error.message).not.toContain('secret')
})

// ---- a connection that is lost

type Losing = (sent: Sent) => void

/** Loses every connection of a request in the same way, and says how often it was sent. */
async function timesSent(lose: Losing) {
  const { sent, promise, attempt } = posting()
  for (let index = 0; index < sent.length; index += 1) {
    lose(sent[index] as Sent)
    await nextTurn()
  }
  const error = await rejection(promise)
  expect(attempt.events.filter(type => type === 'connecting')).toHaveLength(sent.length)
  return { times: sent.length, kinds: sent.map(({ kind }) => kind), error }
}

const used = { socket: { bytesRead: 7 } }

test.for<[string, number, Losing]>([
  ['was reset before it was there', 2, sent => sent.lose(errorOf('ECONNRESET'))],
  ['was refused', 1, sent => sent.lose(errorOf('ECONNREFUSED'))],
  ['was used before, and dead', 4, sent => (sent.start(), sent.lose(errorOf('UND_ERR_SOCKET', used)))],
  ['was new', 1, sent => (sent.start(), sent.lose(errorOf('UND_ERR_SOCKET', { socket: { bytesRead: 0 } })))],
  ['is of nobody knows which age', 1, sent => (sent.start(), sent.lose(errorOf('UND_ERR_SOCKET')))],
])('a request whose connection %s is sent %i times', async ([, expected, lose]) => {
  const { times, kinds, error } = await timesSent(lose)
  expect(times).toBe(expected)
  expect(kinds).toEqual(kinds.map((_, index) => (index === 0 ? 'pooled' : 'fresh')))
  expect(error).toMatchObject({ reason: 'network' })
})

test('a request is not sent again where a first byte of an answer came, or the route says that the connection was new', async () => {
  const answered = posting()
  answered.sent[0]?.start()
  answered.sent[0]?.answer(103)
  answered.sent[0]?.lose(errorOf('UND_ERR_SOCKET', used))
  await nextTurn()
  expect(answered.sent).toHaveLength(1)
  const fresh = posting()
  Object.assign(fresh.sent[0]?.request.route ?? {}, { reused: false })
  fresh.sent[0]?.start()
  fresh.sent[0]?.lose(errorOf('UND_ERR_SOCKET', used))
  await nextTurn()
  expect(fresh.sent).toHaveLength(1)
  for (const { promise } of [answered, fresh]) expect(await rejection(promise)).toMatchObject({ reason: 'network' })
})

test('what undici refuses to send is a mistake in the request, and no failure of the server', async () => {
  const { sent, promise } = posting()
  sent[0]?.lose(errorOf('UND_ERR_INVALID_ARG'))
  const error = (await rejection(promise)) as Error
  expect(error).toBeInstanceOf(TypeError)
  expect(error.message).toBe('The request to http://10.0.0.1:8000 cannot be sent: It failed with UND_ERR_INVALID_ARG..')
  expect(error.cause).toMatchObject({ code: 'UND_ERR_INVALID_ARG' })
  const later = posting()
  later.sent[0]?.start()
  later.sent[0]?.lose(errorOf('UND_ERR_INVALID_ARG'))
  expect(await rejection(later.promise)).toMatchObject({ reason: 'network' })
})

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}

test('F92: without file handles a request waits for two seconds in all, a tenth of a second at a time', async () => {
  fakeTimers()
  const { sent, promise, attempt } = posting()
  for (let wait = 0; wait < 20; wait += 1) {
    sent.at(-1)?.lose(errorOf('EMFILE'))
    vi.advanceTimersByTime(99)
    expect(sent).toHaveLength(wait + 1)
    vi.advanceTimersByTime(1)
    expect(sent).toHaveLength(wait + 2)
  }
  sent.at(-1)?.lose(errorOf('EMFILE'))
  expect(await rejection(promise)).toMatchObject({ reason: 'network', charged: 'nobody' })
  expect([vi.getTimerCount(), attempt.events]).toEqual([0, ['connecting']])
})

test('F92: who leaves while the request waits for a handle is gone at once, and so is the timer', async () => {
  fakeTimers()
  const { sent, promise, attempt } = posting()
  sent[0]?.lose(errorOf('EMFILE'))
  attempt.abort('left')
  expect(await rejection(promise)).toBe('left')
  expect([vi.getTimerCount(), sent.length]).toEqual([0, 1])
})

test('F92: handles that are missing later are no reason to wait', async () => {
  const { sent, promise } = posting()
  sent[0]?.start()
  sent[0]?.lose(errorOf('EMFILE'))
  expect(await rejection(promise)).toMatchObject({ reason: 'network' })
})

// ---- the ends of a request

test('who leaves between a dead connection and the next one sends nothing more', async () => {
  const { sent, promise, attempt } = posting()
  sent[0]?.lose(errorOf('ECONNRESET'))
  attempt.abort('left')
  expect(await rejection(promise)).toBe('left')
  await nextTurn()
  expect(sent).toHaveLength(1)
})

test('who leaves ends the connection, and what comes after that is nobody’s', async () => {
  const { sent, promise, attempt, received } = posting()
  sent[0]?.start()
  sent[0]?.answer()
  attempt.abort('left')
  expect(await rejection(promise)).toBe('left')
  sent[0]?.piece('late')
  sent[0]?.end()
  await nextTurn()
  expect([sent[0]?.asked, received.text, received.ended]).toEqual([['abort'], '', false])
})

test('a silent request is watched from its beginning to its end, and one that was left at once is not', async () => {
  const log: string[] = []
  const { sent, connections } = fakeWire()
  const silence = { add: () => void log.push('add'), remove: () => void log.push('remove') }
  const watched = { ...connections, silence }
  const { promise } = postAndCollect({ url, connections: watched })
  expect(log).toEqual(['add'])
  sent[0]?.start()
  sent[0]?.answer()
  sent[0]?.end()
  await promise
  expect(log).toEqual(['add', 'remove'])
  log.length = 0
  const attempt = testAttempt(({ type }) => type === 'connecting' && attempt.abort('left'))
  expect(await rejection(postAndCollect({ url, attempt, connections: watched }).promise)).toBe('left')
  expect([log, sent.length]).toEqual([[], 1])
})

test('who has left before sends nothing, and after an answer nothing is left on the signal', async () => {
  const gone = { ...testAttempt(), signal: AbortSignal.abort('left') }
  const left = posting({ attempt: gone })
  expect([await rejection(left.promise), left.sent]).toEqual(['left', []])
  const { sent, promise, attempt } = posting()
  expect(getEventListeners(attempt.signal, 'abort')).toHaveLength(1)
  sent[0]?.start()
  sent[0]?.answer()
  sent[0]?.end()
  await promise
  expect(getEventListeners(attempt.signal, 'abort')).toEqual([])
})

test('who leaves while the request is handed over ends it', async () => {
  const attempt = testAttempt()
  const { sent, connections } = fakeWire()
  const dispatcher: Connections['dispatcher'] = kind => {
    attempt.abort('left')
    return connections.dispatcher(kind)
  }
  expect(await rejection(postAndCollect({ url, attempt, connections: { ...connections, dispatcher } }).promise)).toBe('left')
  sent[0]?.start()
  expect([sent[0]?.asked, attempt.events]).toEqual([['abort'], ['connecting']])
})

test('what the reader throws is what the request rejects with', async () => {
  const error = new Error('It is no answer.')
  const { sent, promise } = posting({
    respond() {
      throw error
    },
  })
  sent[0]?.start()
  sent[0]?.answer()
  expect(await rejection(promise)).toBe(error)
})
