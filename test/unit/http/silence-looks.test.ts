import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Exchange } from '../../../src/http/exchange.ts'
import { createSilenceWatch } from '../../../src/http/silence-watch.ts'
import { freePort, tcpServer, until } from '../../helpers/http-servers.ts'

const tickMs = 500

function fakeTicks(): void {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
}

type State = Partial<Pick<Exchange, 'phase' | 'status' | 'waiting' | 'isRead' | 'over' | 'answered' | 'quiet' | 'sentAt'>> & {
  readonly bytes?: number
  readonly method?: 'GET' | 'POST'
}

/** A request that its server has got and not answered. */
function requestTo(port: number, { bytes = 0, method = 'POST', ...state }: State = {}) {
  const ends: unknown[] = []
  const exchange = {
    ...{
      origin: `http://127.0.0.1:${port}`,
      asker: { method },
      phase: 'waiting',
      status: 0,
      quiet: 0,
      sentAt: performance.now(),
    },
    ...{ waiting: false, isRead: false, over: false, answered: false, body: { bytes, reader: { end() {} } } },
    onEnd: (end: unknown) => ends.push(end),
    ...state,
  } as unknown as Exchange
  return { exchange, ends }
}

/** A server that does this with a page that it is asked for. A connection that asks for nothing is a look. */
async function servedBy(onPage: (socket: Socket) => void) {
  const requests: string[] = []
  let [open, closed] = [0, 0]
  const server = await tcpServer(socket => {
    open += 1
    socket.on('close', () => (closed += 1))
    socket.on('data', (bytes: Buffer) => {
      requests.push(bytes.toString())
      onPage(socket)
    })
  })
  return {
    port: server.port,
    looks: () => open - requests.length,
    closed: () => closed,
    pages: () => requests.filter(text => text.startsWith('GET ')),
    /** Resolves when all that was begun before has ended. */
    async isDone() {
      const own = connect(server.port, '127.0.0.1').on('error', () => {})
      own.write('behind')
      await once(own, 'close')
      await until(() => open === closed)
    },
  }
}

test('the ticks begin with the first request, and end when none is left; no process is kept alive for them', async () => {
  fakeTicks()
  const watch = createSilenceWatch(() => true)
  const [one, other] = [requestTo(1, { phase: 'connecting' }), requestTo(1, { phase: 'connecting' })]
  expect(vi.getTimerCount()).toBe(0)
  watch.add(one.exchange)
  watch.add(other.exchange)
  expect(vi.getTimerCount()).toBe(1)
  watch.remove(one.exchange)
  vi.advanceTimersByTime(tickMs)
  expect(vi.getTimerCount()).toBe(1)
  watch.remove(other.exchange)
  vi.advanceTimersByTime(tickMs)
  expect(vi.getTimerCount()).toBe(0)
  watch.add(one.exchange)
  expect(vi.getTimerCount()).toBe(1)
})

test('a server is looked at after two, four and eight silent ticks, and then every eight', async () => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true)
  const { exchange } = requestTo(server.port)
  watch.add(exchange)
  const looked: number[] = []
  for (let tick = 1; tick <= 24; tick += 1) {
    vi.advanceTimersByTime(tickMs)
    expect(exchange.quiet).toBe(tick)
    await server.isDone()
    if (server.looks() > looked.length) looked.push(tick)
  }
  expect(looked).toEqual([2, 4, 8, 16, 24])
})

test('a server is asked once whether it is reached directly, and one that is not is never watched', () => {
  fakeTicks()
  const asked: string[] = []
  const watch = createSilenceWatch(host => asked.push(host) > 1)
  const add = (origin: string) => watch.add({ ...requestTo(1).exchange, origin })
  for (const origin of ['http://10.0.0.1:1', 'http://10.0.0.1:1', 'https://example.com']) add(origin)
  expect([asked, vi.getTimerCount()]).toEqual([['10.0.0.1'], 0])
  watch.add({ ...requestTo(1, { over: true }).exchange, origin: 'http://10.0.0.2:1' })
  expect([asked, vi.getTimerCount()]).toEqual([['10.0.0.1', '10.0.0.2'], 0])
  for (let time = 0; time < 2; time += 1) add('http://10.0.0.2:1')
  expect([asked.length, vi.getTimerCount()]).toEqual([2, 1])
})

test('all requests to a server share one look, also to one that has a name', async () => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true)
  for (let request = 0; request < 3; request += 1) watch.add(requestTo(server.port).exchange)
  vi.advanceTimersByTime(2 * tickMs)
  await until(() => server.closed() > 0)
  await server.isDone()
  expect(server.looks()).toBe(1)
  watch.add({ ...requestTo(server.port).exchange, origin: `http://localhost:${server.port}` })
  vi.advanceTimersByTime(2 * tickMs)
  await until(() => server.looks() === 3)
})

test.for<[string, State, boolean]>([
  ['is over', { over: true }, true],
  ['has its answer', { isRead: true }, true],
  ['has a reader that is behind', { waiting: true }, false],
  ['has no connection yet', { phase: 'connecting' }, false],
])('a request that %s is not silent', async ([, state, isForgotten]) => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true)
  const { exchange } = requestTo(server.port)
  watch.add(exchange)
  Object.assign(exchange, state)
  vi.advanceTimersByTime(4 * tickMs)
  expect([exchange.quiet, vi.getTimerCount()]).toEqual([0, isForgotten ? 0 : 1])
  await server.isDone()
  expect(server.looks()).toBe(0)
})

test('where nothing listens any longer, every request there that is silent is lost, and no other one', async () => {
  const [port, elsewhere] = [await freePort(), await servedBy(socket => socket.destroy())]
  fakeTicks()
  const watch = createSilenceWatch(() => true, '/props')
  const [one, young, other] = [requestTo(port), requestTo(port), requestTo(elsewhere.port)]
  for (const { exchange } of [one, other]) watch.add(exchange)
  vi.advanceTimersByTime(tickMs)
  watch.add(young.exchange)
  vi.advanceTimersByTime(tickMs)
  await until(() => one.ends.length > 0)
  expect(one.ends).toMatchObject([
    { error: { reason: 'network', message: expect.stringContaining('nothing listens there any longer') } },
  ])
  await elsewhere.isDone()
  expect([one.exchange.over, young.ends, other.ends]).toEqual([true, [], []])
})

// ---- the page

test('a page that is not answered twice shows that the server has stopped, and for how long nobody should ask it', async () => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true, '/props')
  const { exchange, ends } = requestTo(server.port, { bytes: 1, phase: 'reading', status: 200 })
  watch.add(exchange)
  vi.advanceTimersByTime(2 * tickMs)
  await until(() => ends.length > 0)
  expect(ends).toMatchObject([{ error: { reason: 'truncated', retryAfterMs: 3_000 } }])
  const page = `GET /props HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\nconnection: close\r\n\r\n`
  expect(server.pages()).toEqual([page, page])
  // looked at once at a time: the next request is looked at again
  const next = requestTo(server.port, { bytes: 1, phase: 'reading', status: 200 })
  watch.add(next.exchange)
  vi.advanceTimersByTime(2 * tickMs)
  await until(() => next.ends.length > 0)
  expect(server.pages()).toHaveLength(4)
})

test('any byte is an answer, and then the server is looked at again later', async () => {
  const server = await servedBy(socket => socket.write('H'))
  fakeTicks()
  const watch = createSilenceWatch(() => true, '/props')
  const { exchange, ends } = requestTo(server.port, { bytes: 1 })
  watch.add(exchange)
  for (const [ticks, pages] of [
    [2, 1],
    [2, 2],
    [4, 3],
  ] as const) {
    vi.advanceTimersByTime(ticks * tickMs)
    await until(() => server.pages().length === pages && server.closed() === 2 * pages)
  }
  expect(ends).toEqual([])
})

test.for<[string, string | undefined, State, number]>([
  ['there is none', undefined, { bytes: 1 }, 0],
  ['nothing of the answer has come, so that it may be waking up', '/props', {}, 0],
  ['something of the answer has come', '/props', { bytes: 1 }, 2],
])('a page is asked for where %s: %s %j', async ([, page, state, expected]) => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true, page)
  const { exchange } = requestTo(server.port, state)
  watch.add(exchange)
  vi.advanceTimersByTime(2 * tickMs)
  await until(() => server.closed() > 0)
  await server.isDone()
  await until(() => server.pages().length >= expected)
  expect(server.pages()).toHaveLength(expected)
})

test('a request that is not silent itself, or is at another server, says nothing of this one', async () => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true, '/props')
  watch.add(requestTo(server.port).exchange)
  watch.add(requestTo(await freePort(), { bytes: 1, waiting: true, quiet: 9 }).exchange)
  vi.advanceTimersByTime(tickMs)
  watch.add(requestTo(server.port, { bytes: 1 }).exchange)
  vi.advanceTimersByTime(tickMs)
  await until(() => server.closed() > 0)
  await server.isDone()
  expect(server.pages()).toEqual([])
})

test.for<[string, State, number, boolean]>([
  ['an answer still comes from it', { answered: true, status: 200 }, 0, true],
  ['an answer from it has fallen silent', { answered: true, status: 200 }, 1, false],
  ['a request to it has no answer yet', {}, 0, false],
  ['only a page of it still comes', { answered: true, method: 'GET' }, 0, false],
])('a server counts as awake when a request arrives where %s: %j, quiet %i: %s', async ([, state, quiet, isAwake]) => {
  const server = await servedBy(socket => socket.destroy())
  fakeTicks()
  const watch = createSilenceWatch(() => true, '/props')
  const { exchange: other } = requestTo(server.port, state)
  watch.add(other)
  for (let tick = 0; tick < 3; tick += 1) {
    other.quiet = quiet
    vi.advanceTimersByTime(tickMs)
  }
  const asked = requestTo(server.port)
  watch.add(asked.exchange)
  for (let tick = 0; tick < 2; tick += 1) {
    other.quiet = quiet
    vi.advanceTimersByTime(tickMs)
  }
  await until(() => server.closed() > 0)
  await server.isDone()
  if (isAwake) await until(() => asked.ends.length > 0)
  expect(server.pages().length > 0).toBe(isAwake)
})
