/** Strangers who mean harm: each gets a clear status or a closed connection, memory stays flat, and everybody else is served meanwhile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Gateway, type GatewayConfig, serve } from 'unbusy/gateway'
import { fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { test as base } from '../helpers/vitest.ts'

const key = 'the-key-of-the-shop'
const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n`
const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hi' }] })

const test = base
  .extend('open', ({ onTestFinished }) => async (config: Partial<GatewayConfig> = {}): Promise<Gateway> => {
    const gateway = await serve({ chain: [fakeTarget(['Hi.'])], keys: [key], port: 0, ...config })
    onTestFinished(() => gateway.close())
    return gateway
  })
  .extend('dial', ({ onTestFinished }) => async (gateway: Gateway): Promise<Socket & { said: string }> => {
    const socket = Object.assign(connect(gateway.port, '127.0.0.1'), { said: '' })
    onTestFinished(() => void socket.destroy())
    socket.on('data', bytes => (socket.said += String(bytes)))
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  })

async function isServed(gateway: Gateway, withKey = key): Promise<number> {
  const url = `${gateway.url}/v1/chat/completions`
  const response = await fetch(url, { method: 'POST', body, headers: { authorization: `Bearer ${withKey}` } })
  await response.text()
  return response.status
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const closed = (socket: Socket) => (socket.destroyed ? Promise.resolve() : once(socket, 'close'))

/** In another process, because one process may not have as many files open as both ends need. Prints when all are open, and what became of them. */
const idle = `
  const { connect } = require('node:net')
  const [port, count] = process.argv.slice(1).map(Number)
  const told = {}
  let closed = 0
  const dial = () => new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', resolve)
    socket.on('data', bytes => { const status = String(bytes).slice(0, 12); told[status] = (told[status] ?? 0) + 1 })
    socket.on('error', error => { told[error.code] = (told[error.code] ?? 0) + 1; resolve() })
    socket.on('close', () => { if ((closed += 1) === count) console.log(JSON.stringify(told)) })
  })
  const open = async () => {
    for (let made = 0; made < count; made += 200) await Promise.all(Array.from({ length: 200 }, dial))
    console.log('open')
  }
  open()
`
const manyIdle = 10_000
const mostFiles = Number(/Max open files\s+\d+\s+(\d+)/.exec(readIfThere('/proc/self/limits'))?.[1] ?? 0)

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

test.skipIf(mostFiles < manyIdle + 1_000)(
  'ten thousand connections that say nothing are closed in time, and others are served',
  { timeout: 120_000 },
  async ({ open, onTestFinished }) => {
    const gateway = await open({ headersMs: 10_000 })
    collect()
    const before = process.memoryUsage().heapUsed
    const child = spawn(process.execPath, ['-e', idle, String(gateway.port), String(manyIdle)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    expect((await lines.next()).value).toBe('open')
    expect(await isServed(gateway)).toBe(200)
    expect(JSON.parse(String((await lines.next()).value))).toEqual({ 'HTTP/1.1 408': manyIdle })
    expect(await isServed(gateway)).toBe(200)
    // the resident memory grows as that of a bare node:http server does: the allocator keeps what it freed
    const grown = () => {
      collect()
      return process.memoryUsage().heapUsed - before
    }
    await expect.poll(grown, { timeout: 20_000 }).toBeLessThan(8 * 1024 * 1024)
  },
)

test('bodies that come byte by byte end with 408, and others are served', async ({ open, dial }) => {
  const gateway = await open({ headersMs: 300, bodyMs: 900 })
  const sockets = await Promise.all(Array.from({ length: 100 }, () => dial(gateway)))
  for (const socket of sockets) socket.write(`${head}content-length: 5000\r\n\r\n`)
  const drip = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(' ')
  }, 50)
  expect(await isServed(gateway)).toBe(200)
  await Promise.all(sockets.map(closed))
  clearInterval(drip)
  expect(sockets.filter(({ said }) => !said.startsWith('HTTP/1.1 408 '))).toEqual([])
})

test('who keeps a refused connection open is cut', async ({ open, onTestFinished }) => {
  const gateway = await open()
  const sockets = () => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
  const before = sockets()
  const socket = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.write('nonsense\r\n\r\n')
  await once(socket, 'data')
  // only the stranger's own end is left
  await expect.poll(() => sockets() - before, { timeout: 5_000 }).toBe(1)
})

test('guessed keys are 401 and leave nothing behind', { timeout: 90_000 }, async ({ open }) => {
  const gateway = await open()
  const guess = async (count: number) => {
    for (let index = 0; index < count; index += 50) {
      const statuses = await Promise.all(
        Array.from({ length: 50 }, (_, one) => isServed(gateway, `guess-${index + one}-${'x'.repeat(200)}`)),
      )
      expect(new Set(statuses)).toEqual(new Set([401]))
    }
  }
  await guess(500)
  collect()
  const before = process.memoryUsage().heapUsed
  await guess(1_500)
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 1024 * 1024)
  expect(await isServed(gateway)).toBe(200)
})

test('a second request that hides in the body of the first is never taken for one', async ({ open, dial }) => {
  const target = fakeTarget(['Hi.'])
  const gateway = await open({ chain: [target] })
  const hidden = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const shapes = [
    `${head}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n${hidden}\r\n0\r\n\r\n`,
    `${head}transfer-encoding: identity, chunked\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}content-length : 5\r\n\r\nhello${hidden}`,
    `${head}content-length: +5\r\n\r\nhello${hidden}`,
    `${head}content-length: 5,5\r\n\r\nhello${hidden}`,
    `${head}transfer-encoding: chunked\r\n\r\n5;${'x'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n${hidden}`,
    `${head}x: y\n transfer-encoding: chunked\r\n\r\n${hidden}`,
    `${head}content-length: 5\r\ncontent-length: 5\r\n\r\nhello${hidden}`,
    `${head}content-length: 0x5\r\n\r\nhello${hidden}`,
    `${head}content-length: -5\r\n\r\nhello${hidden}`,
    `${head}content-length:\r\n 5\r\n\r\nhello${hidden}`,
    `${head}content-length: 5\r\ntransfer-encoding:\tchunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${head.replace('1.1', '1.0')}transfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${hidden}`,
    `${head}transfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n${hidden}`,
    `${head}x: a\0b\r\ncontent-length: 5\r\n\r\nhello${hidden}`,
    hidden.replaceAll('\r\n', '\n'),
  ]
  for (const shape of shapes) {
    const socket = await dial(gateway)
    socket.write(shape)
    await closed(socket)
    expect(socket.said).toMatch(/^HTTP\/1\.1 (400|413|431) /)
    expect(socket.said.match(/HTTP\/1\.1/g)).toHaveLength(1)
  }
  expect(target.provider.calls).toHaveLength(0)
})

test('what is no request behind a whole one does not end its answer, nor come between', async ({ open, dial }) => {
  const asked = JSON.stringify({ ...(JSON.parse(body) as object), stream: true })
  for (const [sent, answered] of [
    [body, '"content":"Hi."'],
    [asked, 'data: [DONE]'],
  ] as const) {
    const gateway = await open({ chain: [fakeTarget([{ text: ['H', 'i.'], chunkEveryMs: 50 }])] })
    const socket = await dial(gateway)
    socket.write(`${head}content-length: ${sent.length}\r\n\r\n${sent}garbage\r\n\r\n`)
    await closed(socket)
    expect(socket.said).toMatch(/^HTTP\/1\.1 200 /)
    expect(socket.said).toContain(answered)
    expect(socket.said.match(/HTTP\/1\.1/g)).toHaveLength(1)
  }
})

test('upgrades, tunnels and odd methods are refused, and nothing crashes', async ({ open, dial }) => {
  const gateway = await open()
  for (const line of [
    'CONNECT example.com:443',
    'TRACE /',
    'PROPFIND /v1/models',
    'GET http://other.example/v1/models',
    'GET //',
    'GET /%',
  ]) {
    const socket = await dial(gateway)
    socket.write(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n`)
    await Promise.race([closed(socket), sleep(3_000)])
    expect(socket.said === '' || /^HTTP\/1\.1 4\d\d /.test(socket.said)).toBe(true)
  }
  expect(await isServed(gateway)).toBe(200)
})

test('JSON that is deep, wide or of many keys costs little and is a 400', async ({ open }) => {
  const gateway = await open()
  const bodies = [
    '['.repeat(1_000_000),
    `{"messages":${'[],'.repeat(3_000_000)}`,
    `[${Array.from({ length: 300_000 }, (_, index) => `{"key${index}":1}`).join(',')}]`,
  ]
  for (const sent of bodies) {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      body: sent,
      headers: { authorization: `Bearer ${key}` },
    })
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      400,
      expect.stringMatching(/^invalid_/) as string,
    ])
  }
})

test('names from strangers are cut, wherever they end', async ({ open }) => {
  const gateway = await open({ chain: undefined, routes: { chat: { chain: [fakeTarget(['Hi.'])] } } } as Partial<GatewayConfig>)
  const model = `evil\r\nset-cookie: x=1 ${'y'.repeat(100_000)} 空`
  const fields = { ...(JSON.parse(body) as object), model, [`${'z'.repeat(10_000)}\r\nx: y`]: 1 }
  const headers = { authorization: `Bearer ${key}`, 'x-request-id': 'a'.repeat(3_000) }
  const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(fields), headers })
  expect([response.status, response.headers.get('set-cookie')]).toEqual([404, null])
  expect((await response.text()).length).toBeLessThan(400)
})
