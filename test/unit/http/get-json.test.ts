import { expect, test } from 'vitest'
import { getJson } from '../../../src/http/get-json.ts'
import { httpServer, rejection, testConnections } from '../../helpers/http-servers.ts'

test.each([
  ['JSON', 200, '{"status":"ok"}', { status: 'ok' }],
  ['JSON with a byte order mark', 200, '\uFEFF{"status":"ok"}', { status: 'ok' }],
  ['a refusal', 503, '{"error":{"message":"Loading model"}}', { error: { message: 'Loading model' } }],
  ['JSON between blanks', 200, '\n {"status":"ok"} \n', { status: 'ok' }],
  ['a mark that is none', 200, '"a\uFEFFb"', 'a\uFEFFb'],
  ['blanks', 200, ' \n', undefined],
  ['a text', 200, 'vllm:num_requests_running 3', 'vllm:num_requests_running 3'],
  ['nothing', 200, '', undefined],
])('answers %s', async (_, status, text, body) => {
  const seen: unknown[] = []
  const server = await httpServer((request, response) => {
    seen.push(request.method, request.headers.accept, request.headers.authorization)
    response.writeHead(status, { 'x-request-id': 'r1' }).end(text)
  })
  const { signal } = new AbortController()
  const answer = await getJson({ url: server.url, headers: { authorization: 'k' }, connections: testConnections(), signal })
  expect(answer).toMatchObject({ status, headers: { 'x-request-id': 'r1' } })
  expect(answer.body).toEqual(body)
  expect(seen).toEqual(['GET', 'application/json', 'k'])
})

test('an answer that names __proto__ pollutes nothing', async () => {
  const server = await httpServer((_, response) => response.end('{"__proto__":{"polluted":true}}'))
  const { signal } = new AbortController()
  await getJson({ url: server.url, connections: testConnections(), signal })
  expect({}).not.toHaveProperty('polluted')
})

test('rejects with the reason of its signal', async () => {
  const server = await httpServer(() => {})
  const controller = new AbortController()
  const promise = getJson({ url: server.url, connections: testConnections(), signal: controller.signal })
  controller.abort('late')
  expect(await rejection(promise)).toBe('late')
})

test('a page without end is ended', async () => {
  const server = await httpServer((_, response) => response.end(Buffer.alloc(9 * 1024 * 1024, ' ')))
  const { signal } = new AbortController()
  expect(await rejection(getJson({ url: server.url, connections: testConnections(), signal }))).toMatchObject({
    reason: 'malformed-response',
  })
})

test.each([
  ['nested too deep', '['.repeat(300) + ']'.repeat(300)],
  ['of too many values', `[${'[],'.repeat(1_000_000)}1]`],
])('JSON that would stop the process is not read: %s', async (_, page) => {
  const server = await httpServer((__, response) => response.end(page))
  const { signal } = new AbortController()
  const { body } = await getJson({ url: server.url, connections: testConnections(), signal })
  expect(typeof body).toBe('string')
})
