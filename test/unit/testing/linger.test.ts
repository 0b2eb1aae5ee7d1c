import { once } from 'node:events'
import { connect } from 'node:net'
import { answer, hold, linger, startServer } from 'unbusy/testing'
import { expect, test } from 'vitest'

test('a server that lingers listens no more, says nothing more, and keeps open what is open', async () => {
  const gate = hold()
  const first = answer(['One. ', 'Two.'], { stallAfterChunks: 1, stallUntil: gate.released })
  await using server = await startServer([first, linger()])
  const ask = (): Promise<Response> => fetch(`${server.baseURL}/chat/completions`, { method: 'POST', body: '{"stream":true}' })
  const underWay = await ask()
  const reader = underWay.body!.getReader()
  await reader.read()
  const second = ask().catch(() => 'ended')
  await server.untilRequests(2)
  const [refusal] = (await once(connect(Number(new URL(server.url).port), '127.0.0.1'), 'error')) as [{ readonly code: string }]
  expect(refusal.code).toBe('ECONNREFUSED')
  gate.release()
  const rest = (async () => {
    while (!(await reader.read()).done);
    return 'whole'
  })().catch(() => 'ended')
  expect(server.openConnections()).toBe(2)
  await server.down()
  expect(await Promise.all([second, rest])).toEqual(['ended', 'ended'])
  await server.up()
  server.replyWith(answer('Back.'))
  expect((await ask()).status).toBe(200)
})
