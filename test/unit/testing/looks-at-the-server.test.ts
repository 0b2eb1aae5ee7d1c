import { answer, json, startServer, status } from 'unbusy/testing'
import { expect, test } from 'vitest'

test('a look at the server, such as GET /models, spends no reply that is meant for the model', async () => {
  await using server = await startServer([status(503), answer('Hello.')])
  const look = async (): Promise<number> => (await fetch(`${server.url}/models`)).status
  const ask = async (): Promise<number> => (await fetch(`${server.url}/chat/completions`, { method: 'POST', body: '{}' })).status
  expect([await look(), await look(), await ask(), await look(), await ask()]).toEqual([503, 503, 503, 404, 200])
  server.replyWith(json({ data: [] }))
  expect(await look()).toBe(200)
})
