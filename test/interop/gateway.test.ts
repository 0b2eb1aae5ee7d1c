import { connect } from 'node:net'
import { once } from 'node:events'
import { type Client, createClient, type Provider, type Target } from 'unbusy'
import { type Gateway, type GatewayConfig, serve } from 'unbusy/gateway'
import { fakeTarget, hold } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { test as base } from '../helpers/vitest.ts'

const test = base.extend('open', ({ onTestFinished }) => async (config: Partial<GatewayConfig>): Promise<Gateway> => {
  const gateway = await serve({ port: 0, ...config } as GatewayConfig)
  onTestFinished(() => gateway.close())
  return gateway
})

const body = { model: 'chat', messages: [{ role: 'user', content: 'Hi' }] }

function post(gateway: Gateway, fields: object = body, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(fields), headers })
}
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const codeOf = async (response: Response) => ((await response.json()) as { readonly error: { readonly code: string } }).error.code

describe('routes', () => {
  test('`model` names a route; another name is a 404', async ({ open }) => {
    const gateway = await open({
      routes: {
        chat: { chain: [fakeTarget(['Long.'], { model: 'a' })] },
        fast: createClient({ chain: [fakeTarget(['Short.'])] }),
      },
    })
    expect(await (await post(gateway)).json()).toMatchObject({ model: 'a', choices: [{ message: { content: 'Long.' } }] })
    expect(await (await post(gateway, { ...body, model: 'fast' })).json()).toMatchObject({
      choices: [{ message: { content: 'Short.' } }],
    })
    const unknown = await post(gateway, { ...body, model: 'gpt-4' })
    expect([unknown.status, await codeOf(unknown)]).toEqual([404, 'model_not_found'])
    const models = (await (await fetch(`${gateway.url}/v1/models`)).json()) as {
      readonly data: readonly { readonly id: string }[]
    }
    expect(models.data.map(({ id }) => id)).toEqual(['chat', 'fast'])
  })

  test('a chain alone answers for every name', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])] })
    expect((await post(gateway, { ...body, model: 'anything' })).status).toBe(200)
  })

  test.for([
    [{}, 'routes or chain is missing'],
    [{ routes: {} }, 'routes is empty'],
    [{ routes: { chat: 1 } }, "the route 'chat' must be a client"],
    [{ routes: { chat: { chain: [] } } }, 'chain is empty'],
    [{ routes: { chat: { chian: [] } } }, "there is no option 'chian'"],
    [{ chain: [fakeTarget('x')], prot: 1 }, "there is no option 'prot'"],
    [{ routes: { chat: {} }, key: ['x'] }, "there is no option 'key'"],
    [{ chain: [fakeTarget('x')], keys: ['a b'] }, 'keys[0] must be a string of printable ASCII'],
    [{ chain: [fakeTarget('x')], keys: [undefined] }, 'keys[0] must be a string'],
    [
      { routes: { chat: { chain: [fakeTarget('x')] } }, keys: [{ key: 'k', routes: ['caht'] }] },
      "names the route 'caht', which does not exist",
    ],
    [{ chain: [fakeTarget('x')], keys: [{ key: 'k', routes: ['chat'] }] }, 'a key names routes, but there are none'],
    [{ chain: [fakeTarget('x')], keys: [{ key: 'k', routes: [] }] }, 'a key names routes, but there are none'],
    [{ chain: [fakeTarget('x')], port: 70_000 }, 'port must be a port'],
    [{ chain: [fakeTarget('x')], host: '0.0.0.0' }, 'Write keys, or noKeys: true'],
    [{ chain: [fakeTarget('x')], keys: ['k'], noKeys: true }, 'Leave one of them out'],
  ] as const)('%o is a TypeError, and nothing listens', async ([config, message]) => {
    await expect(serve({ port: 0, ...config } as unknown as GatewayConfig)).rejects.toThrow(message)
  })
})

describe('keys', () => {
  const routes = () => ({ chat: { chain: [fakeTarget(['Hi.'])] }, fast: { chain: [fakeTarget(['Hi.'])] } })

  test('a missing or a wrong one is a 401, whatever is asked', async ({ open }) => {
    const gateway = await open({ routes: routes(), keys: ['right-key', 'other-key'] })
    for (const headers of [
      {},
      bearer('wrong'),
      bearer('right-ke'),
      bearer('right-keyy'),
      { authorization: 'right-key' },
      { authorization: 'Basic !!' },
    ]) {
      const refused = await post(gateway, body, headers)
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(await codeOf(refused)).toBe('invalid_api_key')
    }
    for (const path of ['/metrics', '/status']) {
      const refused = await fetch(`${gateway.url}${path}`)
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="unbusy"'])
    }
    expect((await post(gateway, body, bearer('other-key'))).status).toBe(200)
  })

  test('one for some routes knows no others', async ({ open }) => {
    const gateway = await open({ routes: routes(), keys: ['all', { key: 'some', routes: ['fast'] }] })
    expect((await post(gateway, { ...body, model: 'fast' }, bearer('some'))).status).toBe(200)
    const refused = await post(gateway, body, bearer('some'))
    expect([refused.status, await codeOf(refused)]).toEqual([404, 'model_not_found'])
    const models = await (await fetch(`${gateway.url}/v1/models`, { headers: bearer('some') })).text()
    expect(models).not.toContain('chat')
    expect((await fetch(`${gateway.url}/status`, { headers: bearer('some') })).status).toBe(403)
  })

  test('probes need none', async ({ open }) => {
    const gateway = await open({ routes: routes(), keys: ['k'] })
    for (const path of ['/health', '/ready']) expect((await fetch(`${gateway.url}${path}`)).status).toBe(200)
  })
})

describe('insight', () => {
  test('/metrics has a series for each route, and /status each target; a browser may send the key as a password', async ({
    open,
  }) => {
    const gateway = await open({ routes: { chat: { chain: [fakeTarget(['Hi.'])] } }, keys: ['k'] })
    await (await post(gateway, body, bearer('k'))).json()
    const basic = { authorization: `Basic ${Buffer.from('me:k').toString('base64')}` }
    const metrics = await (await fetch(`${gateway.url}/metrics`, { headers: basic })).text()
    expect(metrics).toContain('unbusy_calls_total{client="chat",outcome="answered"} 1')
    const status = (await (await fetch(`${gateway.url}/status`, { headers: basic })).json()) as object
    expect(status).toMatchObject({ clients: { chat: {} } })
    const page = await fetch(`${gateway.url}/status`, { headers: { ...basic, accept: 'text/html' } })
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(JSON.stringify(status)).toContain('fake-1')
  })

  test('metricsOpen lets scrapers in, and nobody else', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])], keys: ['k'], metricsOpen: true })
    expect((await fetch(`${gateway.url}/metrics`)).status).toBe(200)
    expect((await fetch(`${gateway.url}/status`)).status).toBe(401)
  })

  test('each request is a line without prompt, key and query', async ({ open }) => {
    const lines: string[] = []
    const logger = {
      debug() {},
      info: (fields: object) => void lines.push(JSON.stringify(fields)),
      warn: (fields: object) => void lines.push(JSON.stringify(fields)),
    }
    const gateway = await open({
      routes: { chat: { chain: [fakeTarget([{ text: 'secret answer', usage: { inputTokens: 1, outputTokens: 2 } }])] } },
      keys: ['secret-key'],
      logger,
    })
    const url = `${gateway.url}/v1/chat/completions?key=secret-query`
    await (
      await fetch(url, {
        method: 'POST',
        body: JSON.stringify({ ...body, messages: [{ role: 'user', content: 'secret prompt' }] }),
        headers: bearer('secret-key'),
      })
    ).json()
    await (await post(gateway, body, bearer('wrong-secret'))).json()
    await expect.poll(() => lines.length).toBe(2)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      ...{ method: 'POST', path: '/v1/chat/completions', route: 'chat', key: 0, status: 200, outcome: 'answered' },
      ...{
        provider: 'fake',
        model: 'fake-1',
        attempts: 1,
        inputTokens: 1,
        outputTokens: 2,
        requestId: expect.stringMatching(/^req_/) as string,
      },
    })
    expect(lines.join('')).not.toContain('secret')
  })

  test('a request id is taken over where it is fit for a header', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])] })
    expect((await post(gateway, body, { 'x-request-id': 'mine-7' })).headers.get('x-request-id')).toBe('mine-7')
    expect((await post(gateway, body, { 'x-request-id': 'x'.repeat(500) })).headers.get('x-request-id')).toMatch(/^req_/)
  })
})

describe('CORS', () => {
  test('is off', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])] })
    const response = await post(gateway, body, { origin: 'https://evil.example' })
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('lets the named origins in, and answers what browsers ask first without a key', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])], cors: ['https://app.example'], keys: ['k'] })
    const asked = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    })
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, 'https://app.example'])
    const other = await post(gateway, body, { ...bearer('k'), origin: 'https://evil.example' })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('the end', () => {
  test('while it drains: /ready and new calls are 503, it still listens, and streams end whole', async ({
    open,
    onTestFinished,
  }) => {
    const finish = hold()
    onTestFinished(() => finish.release())
    const slow = createClient({
      chain: [
        {
          model: 'm',
          provider: {
            name: 'slow',
            async stream(_, { emit }) {
              emit({ type: 'text-delta', text: 'One ' })
              await finish.released
              emit({ type: 'text-delta', text: 'two.' })
              emit({ type: 'finish', finishReason: 'stop' })
            },
          },
        },
      ],
    })
    const gateway = await open({ routes: { chat: slow } })
    const stream = await post(gateway, { ...body, stream: true })
    const drained = gateway.drain()
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(503)
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
    const refused = await post(gateway)
    expect([refused.status, refused.headers.get('retry-after'), await codeOf(refused)]).toEqual([503, '1', 'draining'])
    finish.release()
    expect(await stream.text()).toContain('[DONE]')
    await drained
    await expect(fetch(`${gateway.url}/health`)).rejects.toThrow('fetch failed')
  })

  test('what does not end in time ends with an error in its stream', async ({ open }) => {
    const target = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
    const gateway = await open({ routes: { chat: { chain: [target] } }, drainMs: 100 })
    const stream = await post(gateway, { ...body, stream: true })
    const drained = gateway.drain()
    const text = await stream.text()
    expect(text).toContain('"error"')
    expect(text).not.toContain('[DONE]')
    await drained
    expect(target.provider.active()).toBe(0)
  })
})

describe('reload', () => {
  test('new requests get the new config, those under way keep theirs, a wrong one changes nothing', async ({ open }) => {
    const first = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
    const gateway = await open({ routes: { chat: { chain: [first] } }, keys: ['old'] })
    const stream = await post(gateway, { ...body, stream: true }, bearer('old'))
    const reader = stream.body?.getReader()
    await reader?.read()
    expect(() => gateway.reload({ routes: { chat: { chain: [] } } })).toThrow('chain is empty')
    expect((await post(gateway, { ...body, model: 'x' }, bearer('old'))).status).toBe(404)
    gateway.reload({ routes: { other: { chain: [fakeTarget(['New.'])] } }, keys: ['new'] })
    expect((await post(gateway, body, bearer('old'))).status).toBe(401)
    expect((await post(gateway, { ...body, model: 'other' }, bearer('new'))).status).toBe(200)
    expect(first.provider.active()).toBe(1)
    await reader?.cancel()
    await expect.poll(() => first.provider.active()).toBe(0)
  })

  test('the old config is closed when its last request has ended, and not before', async ({ open }) => {
    const gate = hold()
    let closed = 0
    const provider: Provider = {
      name: 'old',
      async stream(_, { emit }) {
        await gate.released
        emit({ type: 'text-delta', text: 'Hi.' })
        emit({ type: 'finish', finishReason: 'stop' })
      },
      async close() {
        closed += 1
      },
    }
    const gateway = await open({ routes: { chat: { chain: [{ provider, model: 'm' }] } } })
    const asked = post(gateway)
    await expect.poll(() => gateway.port).toBeGreaterThan(0)
    await fetch(`${gateway.url}/health`)
    gateway.reload({ routes: { chat: { chain: [fakeTarget(['New.'])] } } })
    await (await post(gateway)).text()
    expect(closed).toBe(0)
    gate.release()
    expect((await asked).status).toBe(200)
    await expect.poll(() => closed).toBe(1)
  })

  test('a client of your own is never closed', async ({ open, onTestFinished }) => {
    const own: Client = createClient({ chain: [fakeTarget(['Hi.'])] })
    onTestFinished(() => own.close())
    const gateway = await open({ routes: { chat: own } })
    gateway.reload({ routes: { chat: { chain: [fakeTarget(['New.'])] } } })
    await gateway.close()
    expect((await own.generate('Hi')).text).toBe('Hi.')
  })
})

test('a key in several routes has one limit, and what is learned in one route is known in all; also after a reload', async ({
  open,
  onTestFinished,
}) => {
  const gate = hold()
  onTestFinished(() => gate.release())
  let [most, now] = [0, 0]
  const provider: Provider = {
    name: 'busy',
    identity: { origin: 'http://busy.example', credential: 'x' },
    async stream(_, { emit }) {
      now += 1
      most = Math.max(most, now)
      await gate.released
      now -= 1
      emit({ type: 'text-delta', text: 'Hi.' })
      emit({ type: 'finish', finishReason: 'stop' })
    },
  }
  const target = (): Target => ({ provider, model: 'm', limits: { concurrency: 2 } })
  const routes = () => ({ a: { chain: [target()] }, b: { chain: [target()] }, c: { chain: [target()] } })
  const gateway = await open({ routes: routes() })
  const asked = ['a', 'b', 'c', 'a', 'b', 'c'].map(model => post(gateway, { ...body, model }))
  await expect.poll(() => now).toBe(2)
  gateway.reload({ routes: routes() })
  asked.push(post(gateway, { ...body, model: 'a' }))
  await new Promise(resolve => setTimeout(resolve, 50))
  gate.release()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => 200))
  expect(most).toBe(2)
  // other limits than those that are remembered: it begins anew
  gateway.reload({ routes: { a: { chain: [{ ...target(), limits: { concurrency: 1 } }] } } })
  expect((await post(gateway, { ...body, model: 'a' })).status).toBe(200)
})

describe('what is no request', () => {
  const talk = async (gateway: Gateway, text: string): Promise<string> => {
    const socket = connect(gateway.port, '127.0.0.1')
    let said = ''
    socket.on('data', bytes => (said += String(bytes)))
    socket.on('error', () => {})
    socket.write(text)
    await once(socket, 'close')
    return said
  }
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n'

  test.for([
    ['nonsense', 'hello\r\n\r\n', 400],
    ['two lengths', `${head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`, 400],
    ['length and chunks', `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunks that are none', `${head}transfer-encoding: xchunked\r\n\r\n`, 400],
    ['a header with a line feed alone', `${head}x: a\nb: c\r\n\r\n`, 400],
    ['no host', 'GET /health HTTP/1.1\r\n\r\n', 400],
    ['huge headers', `${head}x: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
  ] as const)('%s is a clear status, and the connection is closed', async ([, text, status], { open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])] })
    expect(await talk(gateway, text)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
  })

  test('headers and bodies that do not come are a 408', async ({ open }) => {
    const target = fakeTarget(['Hi.'])
    const gateway = await open({ chain: [target], headersMs: 200, bodyMs: 400 })
    const [slowHeaders, slowBody] = await Promise.all([talk(gateway, head), talk(gateway, `${head}content-length: 50\r\n\r\n{`)])
    expect(slowHeaders).toMatch(/^HTTP\/1.1 408 /)
    expect(slowBody).toMatch(/^HTTP\/1.1 408 /)
    expect(target.provider.calls).toHaveLength(0)
  })

  test('a body above the limit is a 413, said and counted', async ({ open }) => {
    const gateway = await open({ chain: [fakeTarget(['Hi.'])], maxBodyBytes: 1_000 })
    expect((await post(gateway, { ...body, x: 'y'.repeat(2_000) })).status).toBe(413)
    const chunked = `${head}transfer-encoding: chunked\r\n\r\n1000\r\n${'z'.repeat(4_096)}\r\n`
    expect(await talk(gateway, chunked)).toMatch(/^HTTP\/1.1 413 /)
  })
})
