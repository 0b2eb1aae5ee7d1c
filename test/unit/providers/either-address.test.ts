import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { eitherAddress, llama } from '../../../src/providers/llama.ts'
import { answerOf, ask, chatStream, startRecorder } from '../../helpers/recording-server.ts'

/** The address of a server that has just gone. */
async function nobodyThere(): Promise<string> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

/** Any port is closed here, whatever runs on this machine. */
function refusing(): Agent {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  const agent = new Agent({ connect: (_, callback) => callback(refused, null) })
  onTestFinished(() => agent.destroy())
  return agent
}

function either(usual: string, moved: string) {
  const target = llama({ baseURL: usual })
  return { ...target, provider: eitherAddress(target.provider, llama({ baseURL: moved }).provider) }
}

const messages = [{ role: 'user', content: 'Hello?' }] as const

test('where nobody listens the other address is asked, and from then on first', async () => {
  const server = await startRecorder(() => chatStream('Hello'))
  const target = either(await nobodyThere(), server.origin)
  const first = await ask(target, { messages })
  expect(answerOf(first)).toMatchObject([{ text: 'Hello' }, { type: 'finish' }])
  const second = await ask(target, { messages })
  const dialled = (events: typeof first) => events.filter(({ type }) => type === 'connecting').length
  expect([dialled(first), dialled(second)]).toEqual([2, 1])
})

test('whoever listens at the first address has the word, good or bad', async () => {
  const usual = await startRecorder(() => ({ status: 503, body: '{"error":{"message":"Loading model"}}' }))
  const moved = await startRecorder(() => chatStream('Hello'))
  await expect(ask(either(usual.origin, moved.origin), { messages })).rejects.toMatchObject({ reason: 'loading' })
  expect(moved.requests).toEqual([])
})

test('nobody anywhere is one failure that names both addresses', async () => {
  const [usual, moved] = [await nobodyThere(), await nobodyThere()]
  const failed = ask(either(usual, moved), { messages })
  await expect(failed).rejects.toMatchObject({
    reason: 'network',
    message: `Nothing listens at ${usual} or at ${moved}. Start the server, or write its address in the option baseURL.`,
  })
})

test('the load is asked for in the same way', async () => {
  const server = await startRecorder(() => ({ body: 'llamacpp:requests_processing 1\nllamacpp:requests_deferred 4\n' }))
  const { provider } = either(await nobodyThere(), server.origin)
  expect(await provider.load?.(new AbortController().signal)).toEqual({ running: 1, waiting: 4 })
})

test('llama() knows both of its ports, and an address of its own is the only one', async () => {
  const closed = llama({ dispatcher: refusing() })
  await expect(ask(closed, { messages })).rejects.toThrow(/127\.0\.0\.1:8080 or at http:\/\/127\.0\.0\.1:9931/)
  const own = llama({ baseURL: 'http://127.0.0.1:8080/v1', dispatcher: refusing() })
  await expect(ask(own, { messages })).rejects.toThrow(/^Could not connect to http:\/\/127\.0\.0\.1:8080 /)
})
