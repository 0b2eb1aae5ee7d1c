/**
 * A door between a client and the server of the bench, in a process of its own: the gateway, or a bare pass-through of node:http, which
 * checks nothing and knows no format. `door.ts KIND UPSTREAM`; KIND is `pass-through`, `gateway` (reads events and writes what was asked
 * for), `gateway-json` (asks for JSON) or `gateway-memory` (its target is in memory: a token every so often, UPSTREAM as `TOKENS/MS`).
 */

import { Agent, createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openaiCompatible, type Target } from '../../src/index.ts'
import { serve } from '../../src/interop/gateway/index.ts'
import { answerText } from './wire.ts'

const [kind = '', upstream = ''] = process.argv.slice(2)

const passThrough = async (): Promise<number> => {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const { hostname, port } = new URL(upstream)
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    const further = send({ agent, hostname, port, method, path: url, headers }, reply => {
      response.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(response)
    })
    further.on('error', () => response.destroy())
    response.on('close', () => further.destroy())
    request.pipe(further)
  })
  await new Promise<void>(resolve => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  return (server.address() as AddressInfo).port
}

/** What the bench server says, without a network. */
const inMemory = (): Target => {
  const [count = 0, everyMs = 0] = upstream.split('/').map(Number)
  const words = answerText(count).match(/ \S+/g) ?? []
  return {
    model: 'm',
    provider: {
      name: 'memory',
      stream: (_, { emit, signal }) =>
        new Promise((resolve, reject) => {
          let index = 0
          const timer = setInterval(() => {
            emit({ type: 'text-delta', text: words[index++] ?? '' })
            if (index < words.length) return
            clearInterval(timer)
            emit({ type: 'finish', finishReason: 'stop' })
            resolve()
          }, everyMs)
          signal.addEventListener('abort', () => {
            clearInterval(timer)
            reject(signal.reason)
          })
        }),
    },
  }
}

const gateway = async (): Promise<number> => {
  const options = { baseURL: upstream, apiKey: 'x', stream: kind !== 'gateway-json' }
  const target = kind === 'gateway-memory' ? inMemory() : openaiCompatible('deepseek-flash', options)
  return (await serve({ chain: [target], hedge: false, timeout: { totalMs: 600_000 }, port: 0 })).port
}

let mostBytes = 0
let watching: NodeJS.Timeout | undefined
const watch = (): void => {
  mostBytes = Math.max(mostBytes, process.memoryUsage.rss())
}

process.on('message', what => {
  if (what === 'begin') {
    globalThis.gc?.()
    mostBytes = 0
    watching ??= setInterval(watch, 50)
  }
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system, rssMb: Math.max(mostBytes, process.memoryUsage.rss()) / 2 ** 20 })
})
process.on('disconnect', () => process.exit(0))
process.send?.({ port: await (kind === 'pass-through' ? passThrough() : gateway()) })
