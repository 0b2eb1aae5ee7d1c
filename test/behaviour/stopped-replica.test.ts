import { createClient, llama, pool } from 'unbusy'
import { answer, json, startServer } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

/** A llama.cpp that hangs at SIGTERM and still listens: its answers stop, and so does the page that it answers as long as it works. */
const stopped = { ...answer('Never to be read.'), stallAfterChunks: 1 }
const silent = { ...json({}), headersAfterMs: Infinity }

test('a call whose replica was stopped goes on at another one at once, and is not repeated at the silent one (F104)', async () => {
  await using first = await startServer(stopped, { format: 'llama', routes: { 'GET /props': silent } })
  await using second = await startServer(answer('Hello.'), { format: 'llama' })
  const replicas = [first, second].map(({ baseURL }) => llama({ baseURL }))
  await using client = createClient({ chain: [pool(replicas, { strategy: 'weighted', weights: [1, 0] })] })
  const { text, attempts } = await client.generate('Hi')
  expect(text).toBe('Hello.')
  expect(attempts).toMatchObject([
    { targetIndex: 0, outcome: 'failed', reason: 'truncated' },
    { targetIndex: 1, outcome: 'answered', waitMs: 0 },
  ])
  // nor is a call that comes next sent there
  expect(await client.generate('Hi')).toMatchObject({
    targetIndex: 1,
    attempts: [{ outcome: 'skipped' }, { outcome: 'answered' }],
  })
  expect(first.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
})

test('where nobody else can be asked, the call comes back to a stopped server when it may be there again (F104)', async () => {
  await using server = await startServer([stopped, answer('Hello again.')], {
    format: 'llama',
    routes: { 'GET /props': silent },
  })
  await using client = createClient({ chain: [llama({ baseURL: server.baseURL })] })
  const { text, attempts } = await client.generate('Hi')
  expect(text).toBe('Hello again.')
  expect(attempts).toHaveLength(2)
  expect(attempts[1]?.waitMs).toBeGreaterThan(2_900)
})
