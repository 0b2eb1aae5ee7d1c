import { expect } from 'vitest'
import { answer, hang, hold, json, refuse, startServer, status } from '../../../src/testing/index.ts'
import { rawConnection, rawRequest, requestText } from '../../helpers/raw-request.ts'
import { test } from '../../helpers/vitest.ts'

const post = { method: 'POST', body: '{"stream":false}' }

test('each request takes the next reply and the last one stays', async ({ server }) => {
  const { url } = await server([status(503), status(429), json({ fine: true })])
  const statuses: number[] = []
  for (let count = 0; count < 4; count += 1) {
    const response = await fetch(url, post)
    await response.text()
    statuses.push(response.status)
  }
  expect(statuses).toEqual([503, 429, 200, 200])
})

test('a reply can be a function of the request', async ({ server }) => {
  const { url } = await server(request => json({ echo: request.json, path: request.path }))
  const response = await fetch(`${url}/generate?prompt=Hi`, { method: 'POST', body: '{"a":1}' })
  expect(await response.json()).toEqual({ echo: { a: 1 }, path: '/generate?prompt=Hi' })
})

test('what a reply function throws is a 500 for the client and fails close()', async () => {
  const server = await startServer(() => {
    throw new Error('expected no second request')
  })
  const response = await fetch(server.url, post)
  expect(response.status).toBe(500)
  await expect(server.close()).rejects.toThrow('expected no second request')
  expect(server.openConnections()).toBe(0)
})

test('an empty list of replies is refused with what to write instead', async () => {
  await expect(startServer([])).rejects.toThrow('Write at least one reply')
})

test('an unknown format is refused with the names that there are', async () => {
  // @ts-expect-error a caller without types
  await expect(startServer(hang(), { format: 'gemini' })).rejects.toThrow(
    "format: 'gemini' is unknown. Write one of deepseek, openai",
  )
})

test('a route answers its endpoint and does not use up the list', async ({ server }) => {
  const { url } = await server([status(503), json({})], { routes: { 'GET /health': json({ status: 'ok' }) } })
  expect((await fetch(`${url}/health?deep=1`)).status).toBe(200)
  expect((await fetch(`${url}/health`, post)).status).toBe(503)
})

test('replyWith changes what comes from now on', async ({ server }) => {
  const running = await server(status(503))
  expect((await fetch(running.url, post)).status).toBe(503)
  running.replyWith([json({ up: true })])
  expect((await fetch(running.url, post)).status).toBe(200)
})

test('a request is recorded with method, path, headers, body and connection', async ({ server }) => {
  const { url, requests } = await server(json({}))
  const response = await fetch(`${url}/v1/x?y=1`, {
    method: 'POST',
    body: '{"prompt":"Grüße"}',
    headers: { authorization: 'Bearer k' },
  })
  await response.text()
  expect(requests).toMatchObject([
    {
      index: 0,
      method: 'POST',
      path: '/v1/x?y=1',
      headers: { authorization: 'Bearer k' },
      body: '{"prompt":"Grüße"}',
      json: { prompt: 'Grüße' },
      connection: 0,
      aborted: false,
      bytesSent: 2,
    },
  ])
})

test('a body that is no JSON is recorded as text alone', async ({ server }) => {
  const { url, requests } = await server(json({}))
  await fetch(url, { method: 'POST', body: '{half' })
  expect(requests).toMatchObject([{ body: '{half', json: undefined }])
})

test('untilRequests resolves when the request is there, before it is answered', async ({ server }) => {
  const gate = hold()
  const running = await server(json({}, { headersUntil: gate.released }))
  const response = fetch(running.url, post)
  const request = await running.untilRequests(1)
  expect(request.closedAt).toBeUndefined()
  gate.release()
  expect((await response).status).toBe(200)
  await request.closed
  expect(request.closedAt).toBeGreaterThanOrEqual(request.at)
  expect(request.aborted).toBe(false)
})

test('untilRequests for what already came resolves at once, and number 0 is refused', async ({ server }) => {
  const running = await server(json({}))
  await fetch(running.url, post)
  expect((await running.untilRequests(1)).index).toBe(0)
  await expect(running.untilRequests(0)).rejects.toThrow('Write a whole number, 1 or more')
})

test('a wait that can no longer come true is rejected when the server is closed', async () => {
  const running = await startServer(hang())
  const waiting = running.untilRequests(2)
  void fetch(running.url, post).catch(() => {})
  await running.untilRequests(1)
  const told = waiting.then(
    () => 'resolved',
    (error: unknown) => String(error),
  )
  await running.close()
  expect(await told).toContain('closed after 1 requests')
  await expect(running.untilRequests(2)).rejects.toThrow('closed after 1 requests')
})

test('a client that leaves before the answer is whole is recorded as aborted, and one that stays is not', async ({ server }) => {
  const running = await server([hang(), answer('Hello there.', { stallAfterChunks: 1 }), json({})])
  for (const expected of [1, 2]) {
    const leaving = new AbortController()
    const left = fetch(running.url, { ...post, signal: leaving.signal }).then(async response => response.text())
    const request = await running.untilRequests(expected)
    leaving.abort()
    await expect(left).rejects.toThrow('aborted')
    await request.closed
  }
  await (await fetch(running.url, post)).text()
  await running.requests[2]?.closed
  expect(running.requests.map(request => request.aborted)).toEqual([true, true, false])
})

test('connections are counted, and two requests on one connection carry its number', async ({ server }) => {
  const running = await server(json({}))
  const connection = await rawConnection(running.url)
  connection.send(requestText())
  await connection.until(text => text.endsWith('{}'))
  connection.send(requestText())
  await running.untilRequests(2)
  const other = await rawConnection(running.url)
  other.send(requestText())
  await running.untilRequests(3)
  expect(running.requests.map(request => request.connection)).toEqual([0, 0, 1])
  expect([running.connections, running.openConnections()]).toEqual([2, 2])
  connection.leave()
  other.leave()
  await running.untilAllClosed()
  expect([running.connections, running.openConnections()]).toEqual([2, 0])
})

test('closeIdleConnections closes in order what waits for its next request, and nothing else', async ({ server }) => {
  const running = await server([json({}), hang()])
  const idle = await rawConnection(running.url)
  idle.send(requestText())
  await idle.until(text => text.endsWith('{}'))
  await running.requests[0]?.closed
  const busy = await rawConnection(running.url)
  busy.send(requestText())
  await running.untilRequests(2)
  running.closeIdleConnections()
  expect((await idle.ended).end).toBe('fin')
  expect(running.openConnections()).toBe(1)
  busy.leave()
})

test.for([0, 5])(
  'a connection that was idle for %i ms is closed without an announcement',
  async (closeIdleAfterMs, { server }) => {
    const { url } = await server(json({ fine: true }), { closeIdleAfterMs })
    const { end, text } = await rawRequest(url)
    expect(end).toBe('fin')
    expect(text).toMatch(/connection: keep-alive/i)
    expect(text).toContain('{"fine":true}')
  },
)

test('down resets every connection and leaves a port on which nobody listens; up listens on it again', async ({ server }) => {
  const running = await server([hang(), json({ back: true })])
  const cut = rawRequest(running.url)
  await running.untilRequests(1)
  await running.down()
  expect((await cut).end).toBe('ECONNRESET')
  expect((await rawRequest(running.url)).end).toBe('ECONNREFUSED')
  await running.up()
  expect(await (await fetch(running.url, post)).json()).toEqual({ back: true })
})

test.for([
  ['rst', 'ECONNRESET'],
  ['fin', 'fin'],
] as const)(
  'a new connection that is refused by %s ends before it was answered, and is no request',
  async ([by, end], { server }) => {
    const running = await server([refuse(by), json({})])
    const connection = await rawConnection(running.url)
    const refused = await connection.ended
    expect([refused.end, refused.text]).toEqual([end, ''])
    expect(running.requests).toEqual([])
    expect((await fetch(running.url, post)).status).toBe(200)
    expect(running.connections).toBe(2)
  },
)

test('a kept connection is refused when its next request comes', async ({ server }) => {
  const running = await server([json({}), refuse('rst')])
  const connection = await rawConnection(running.url)
  connection.send(requestText())
  await connection.until(text => text.endsWith('{}'))
  connection.send(requestText())
  expect((await connection.ended).end).toBe('ECONNRESET')
  expect(running.requests.map(request => request.aborted)).toEqual([false, false])
})

test('close ends everything that is under way, also what waits for ever', async () => {
  const server = await startServer([
    hang(),
    answer('Hi', { headersAfterMs: Infinity }),
    answer('Hi', { keepAliveForMs: Infinity, split: 'byte' }),
  ])
  const ends = [rawRequest(server.url), rawRequest(server.url), rawRequest(server.url)]
  await server.untilRequests(3)
  await server.close()
  await server.close()
  expect((await Promise.all(ends)).map(({ end }) => end)).toEqual(['ECONNRESET', 'ECONNRESET', 'ECONNRESET'])
  expect(server.openConnections()).toBe(0)
})

test('await using closes the server', async () => {
  let url = ''
  {
    await using server = await startServer(json({}))
    url = server.url
    await fetch(url, post)
  }
  expect((await rawRequest(url)).end).toBe('ECONNREFUSED')
})
