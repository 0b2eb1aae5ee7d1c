import { createClient, llama, type ClientOptions, type Target } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'

const short = { prompt: 'Tell me a story.', temperature: 0, maxOutputTokens: 8 }
/** Never ends by itself: the server forgets the beginning as it goes on. */
const endless = { ...short, maxOutputTokens: 100_000_000, extraBody: { ignore_eos: true }, timeout: { totalMs: Infinity } }
const eventually = async (check: () => unknown) => vi.waitFor(check, { timeout: 30_000, interval: 20 })

let server: LlamaServer

describe.skipIf(llamaServer.isMissing)(`llama.cpp, both slots of which are taken${llamaServer.suffix}`, () => {
  beforeAll(async () => {
    server = await startLlama(['--parallel', '2', '--context-shift'])
  })
  afterAll(async () => server?.stop())

  test('a third call is queued without a word, and answered when a slot is free', async () => {
    const holders = await takeSlots()
    const client = clientOf({ chain: [local()] })
    let isSettled = false
    const third = client.generate(short).finally(() => {
      isSettled = true
    })
    await eventually(async () => expect(await load()).toEqual({ running: 2, waiting: 1 }))
    expect(isSettled).toBe(false)
    await holders[0].release()
    const { text, attempts } = await third
    expect(text).not.toBe('')
    expect(attempts).toMatchObject([{ outcome: 'answered', provider: 'llama', attempt: 1 }])
  })

  test('a stream that has to wait begins when a slot is free', async () => {
    const holders = await takeSlots()
    const client = clientOf({ chain: [local()] })
    const opening = client.stream(short)
    await eventually(async () => expect(await load()).toEqual({ running: 2, waiting: 1 }))
    await holders[1].release()
    expect(await (await opening).text()).not.toBe('')
  })

  test.each(['headers', 'firstChunk'] as const)(
    'the clock %s hands a call that waits too long to the next target',
    async clock => {
      await takeSlots()
      const client = clientOf({
        chain: [local({ timeout: { [`${clock}Ms`]: 200 } }), fakeTarget('From elsewhere.', { name: 'elsewhere' })],
      })
      for (const ask of [async () => client.generate(short), async () => (await client.stream(short)).result()]) {
        const { text, attempts } = await ask()
        expect(text).toBe('From elsewhere.')
        expect(attempts).toMatchObject([
          { outcome: 'failed', reason: 'timeout', clock, chunks: 0 },
          { outcome: 'answered', provider: 'elsewhere' },
        ])
      }
      // nobody who has a slot lost it
      expect(await load()).toMatchObject({ running: 2 })
    },
  )

  test('as long as it is busy the breaker spares callers the wait, and when it is not, calls come back to it', async () => {
    const holders = await takeSlots()
    const states: string[] = []
    const client = clientOf({
      chain: [local({ timeout: { firstChunkMs: 400 } }), fakeTarget('From elsewhere.', { name: 'elsewhere' })],
      breaker: { openMs: 100, maxOpenMs: 200 },
      onEvent: event => void (event.type === 'health-change' && states.push(event.state)),
    })
    await eventually(async () => {
      const { provider, attempts } = await client.generate(short)
      expect(provider).toBe('elsewhere')
      expect(attempts[0]).toMatchObject({ provider: 'llama', outcome: 'skipped' })
    })
    await Promise.all(holders.map(async holder => holder.release()))
    await eventually(async () => expect((await client.generate(short)).provider).toBe('llama'))
    await eventually(() => expect(client.health()[0]?.state).toBe('closed'))
    expect([states[0], states.at(-1)]).toEqual(['open', 'closed'])
  })
})

function clientOf(options: ClientOptions) {
  const client = createClient(options)
  onTestFinished(async () => client.close())
  return client
}

function local(options: Pick<Target, 'timeout'> = {}): Target {
  return llama({ baseURL: server.baseURL, retry: 0, ...options })
}

async function load() {
  return local().provider.load?.(new AbortController().signal)
}

type Holder = { release(): Promise<void> }

/** Two streams that have begun and do not end. */
async function takeSlots(): Promise<readonly [Holder, Holder]> {
  await eventually(async () => expect(await load()).toEqual({ running: 0, waiting: 0 }))
  const client = clientOf({ chain: [local()] })
  const take = async (): Promise<Holder> => {
    const controller = new AbortController()
    const stream = await client.stream({ ...endless, signal: controller.signal })
    const reading = (async () => {
      for await (const _ of stream);
    })().catch(() => {})
    const release = async () => {
      controller.abort('released')
      await reading
    }
    onTestFinished(release)
    return { release }
  }
  return [await take(), await take()]
}
