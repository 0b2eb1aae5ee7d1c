import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createConnections } from '../../../src/http/connections.ts'
import { httpServer, postAndCollect, testConnections, until } from '../../helpers/http-servers.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

test('nothing is opened before the first request', async () => {
  const before = process.getActiveResourcesInfo()
  const connections = createConnections()
  expect(process.getActiveResourcesInfo()).toEqual(before)
  await connections.close()
  await connections.close()
})

test('close ends idle connections, lets requests in flight finish, and the next request opens a new connection', async () => {
  let finish = () => {}
  const server = await httpServer((request, response) => {
    response.write('a')
    finish = () => response.end('b')
    if (request.url !== '/chat?slow') finish()
  })
  const connections = testConnections()
  const slow = postAndCollect({ url: `${server.url}?slow`, connections })
  await until(() => slow.received.text === 'a')
  const finishSlow = finish
  await postAndCollect({ url: server.url, connections }).promise
  await turn()
  expect(server.sockets.size).toBe(2)

  await connections.close()
  await until(() => server.sockets.size === 1)
  await postAndCollect({ url: server.url, connections }).promise
  expect(server.connections()).toBe(3)

  finishSlow()
  await slow.promise
  expect(slow.received.text).toBe('ab')
  await connections.close()
  await server.idle()
})

test('close does not wait for a request in flight', async () => {
  const server = await httpServer((_, response) => void response.write('a'))
  const connections = testConnections()
  const { received, promise } = postAndCollect({ url: server.url, connections })
  promise.catch(() => {})
  await until(() => received.text === 'a')
  await connections.close()
  expect(received.ended).toBe(false)
})

test('a dispatcher of the user is used, and never closed', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  const dispatcher = new Agent()
  onTestFinished(() => dispatcher.destroy())
  const connections = createConnections({ dispatcher })
  await postAndCollect({ url: server.url, connections }).promise
  await turn()
  await connections.close()
  expect(dispatcher.closed).toBe(false)
  await postAndCollect({ url: server.url, connections }).promise
  expect(server.connections()).toBe(1)
})

test('connections of two clients have nothing to do with each other', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  for (const connections of [testConnections(), testConnections()]) {
    await postAndCollect({ url: server.url, connections }).promise
    await turn()
  }
  expect(server.connections()).toBe(2)
})

test('an idle connection does not keep the process alive', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  server.keepIdleConnections()
  const source = new URL('../../../src/http/', import.meta.url).href
  const code = `
    import { createConnections } from '${source}connections.ts'
    import { getJson } from '${source}get-json.ts'
    const connections = createConnections()
    const { body } = await getJson({ url: '${server.url}', connections, signal: new AbortController().signal })
    console.log(body)`
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', code])
  onTestFinished(() => void child.kill())
  const output = child.stdout.setEncoding('utf8').toArray()
  // the server and the client would both keep the connection for longer than this test may take
  expect(await once(child, 'exit')).toEqual([0, null])
  expect((await output).join('')).toBe('ok\n')
})
