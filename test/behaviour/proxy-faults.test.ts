import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { createClient, openaiCompatible } from 'unbusy'
import type { ClientEvent } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { tlsServer, trust } from '../helpers/tls.ts'

beforeEach(() => {
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'])
    vi.stubEnv(name, undefined)
  return () => vi.unstubAllEnvs()
})

async function refusingProxy(status: number) {
  let asked = 0
  const proxy = createServer()
  proxy.on('connect', (_, socket) => {
    asked += 1
    socket.on('error', () => {}).end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  return { port: (proxy.address() as AddressInfo).port, asked: () => asked }
}

/** Asks one target and then another that answers; what the first is told as, and its health. */
async function firstOfTwo(baseURL: string) {
  await using server = await startServer(answer('Hello.'), { format: 'vllm' })
  const chain = [
    openaiCompatible('m', { baseURL, apiKey: 'sk-first-key-of-two', retry: 2 }),
    openaiCompatible('m', { baseURL: server.baseURL }),
  ]
  const events: ClientEvent[] = []
  const client = createClient({ chain, breaker: { consecutiveFailures: 1 }, onEvent: event => events.push(event) })
  const { text, attempts } = await client.generate('Hi')
  expect(text).toBe('Hello.')
  const [health] = client.health()
  await client.close()
  return { attempts, events, state: health?.state }
}

test.for([407, 403])('F86: a proxy that says %s is asked once, and shuts no target', async status => {
  const proxy = await refusingProxy(status)
  vi.stubEnv('HTTPS_PROXY', `http://user:secret@127.0.0.1:${proxy.port}`)
  const { attempts, events, state } = await firstOfTwo('https://api.test/v1')
  expect(attempts).toMatchObject([{ outcome: 'failed', reason: 'network' }, { outcome: 'answered' }])
  expect(attempts[0]?.message).toContain(`through the proxy http://127.0.0.1:${proxy.port}: `)
  expect(inspect(events, { depth: 9, showHidden: true })).not.toMatch(/secret|dXNlcjpzZWNyZXQ/)
  expect(state).toBe('closed')
  expect(proxy.asked()).toBe(1)
})

test.for([
  ['localhost.pem', 'localhost', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
  ['expired.pem', 'localhost', 'CERT_HAS_EXPIRED', 'the date of this machine'],
  ['localhost.pem', '127.0.0.1', 'ERR_TLS_CERT_ALTNAME_INVALID', 'Check the host name in the base URL'],
] as const)('F86: a refused certificate is shown once, with the advice that helps: %s %s', async ([file, host, code, advice]) => {
  if (code !== 'DEPTH_ZERO_SELF_SIGNED_CERT') trust(file)
  const { port, handshakes } = await tlsServer(file)
  const { attempts, state } = await firstOfTwo(`https://${host}:${port}/v1`)
  expect(attempts).toMatchObject([{ outcome: 'failed', reason: 'network' }, { outcome: 'answered' }])
  const message = attempts[0]?.message ?? ''
  for (const words of [code, advice]) expect(message).toContain(words)
  expect(message).not.toMatch(/REJECT_UNAUTHORIZED|rejectUnauthorized/)
  expect(state).toBe('closed')
  expect(handshakes()).toBe(1)
})
