import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { createClient, openaiCompatible } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'
import { Agent, buildConnector } from 'undici'

/** Every connection fails with this, for the first times. */
function limited(code: string, times: number): { readonly dispatcher: Agent; readonly tries: () => number } {
  let tries = 0
  const connect = buildConnector({})
  const dispatcher = new Agent({
    connect(options, done) {
      tries += 1
      if (tries > times) return connect(options, done)
      queueMicrotask(() => done(Object.assign(new Error(`connect ${code} 127.0.0.1`), { code }), null))
      return new EventEmitter()
    },
  })
  return { dispatcher, tries: () => tries }
}

for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']) {
  test(`F92: ${code} is waited out, and charged to nobody`, async () => {
    await using server = await startServer(answer('Hello.'), { format: 'vllm' })
    const { dispatcher, tries } = limited(code, 2)
    const client = createClient({ chain: [openaiCompatible('m', { baseURL: server.baseURL, dispatcher, retry: 0 })] })
    expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.', attempts: [{ outcome: 'answered' }] })
    expect(tries()).toBe(3)
    await client.close()
    await dispatcher.destroy()
  })
}

test('F92: out of handles for long is our own fault, said so, and opens no breaker', async () => {
  const { dispatcher } = limited('EMFILE', Infinity)
  const baseURL = 'http://127.0.0.1:9/v1'
  const chain = [openaiCompatible('m', { baseURL, dispatcher, retry: 0 })]
  const client = createClient({ chain, breaker: { consecutiveFailures: 1 } })
  const calls = await Promise.all(Array.from({ length: 5 }, async () => client.generate('Hi').catch((error: unknown) => error)))
  for (const error of calls) {
    expect(error).toMatchObject({ failures: [{ reason: 'network', charged: 'nobody' }] })
    expect(error).toMatchObject({ failures: [{ message: expect.stringContaining('out of file handles. Raise `ulimit -n`') }] })
  }
  expect(client.health()[0]?.state).toBe('closed')
  await client.close()
  await dispatcher.destroy()
})

test('F92: an abort ends the wait for handles', async () => {
  const { dispatcher } = limited('EMFILE', Infinity)
  const client = createClient({ chain: [openaiCompatible('m', { baseURL: 'http://127.0.0.1:9/v1', dispatcher })] })
  const controller = new AbortController()
  const call = client.generate({ prompt: 'Hi', signal: controller.signal })
  const reason = new Error('enough')
  setImmediate(() => controller.abort(reason))
  await expect(call).rejects.toBe(reason)
  await client.close()
  await dispatcher.destroy()
})
