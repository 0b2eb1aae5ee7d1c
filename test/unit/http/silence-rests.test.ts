import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type Exchange, startExchange } from '../../../src/http/exchange.ts'
import { createSilenceWatch } from '../../../src/http/silence-watch.ts'
import type { Dispatcher } from '../../../src/http/undici.ts'
import { tcpServer, until } from '../../helpers/http-servers.ts'

type Sent = { readonly exchange: Exchange; answer(): void; finish(): void; readonly isLost: () => boolean }

/** Requests to a server that answers no page any more, at exact times: only looks and pages go over a network. */
async function exactTimes() {
  let [closed, pages] = [0, 0]
  const server = await tcpServer(socket => {
    socket.on('close', () => (closed += 1))
    socket.on('data', () => {
      pages += 1
      socket.destroy()
    })
  })
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const watch = createSilenceWatch(() => true, '/props')
  const send = (method: 'GET' | 'POST' = 'POST'): Sent => {
    let handled: Dispatcher.DispatchHandler | undefined
    const dispatcher = { dispatch: (_: unknown, given: Dispatcher.DispatchHandler) => (handled = given) && true }
    let isLost = false
    const exchange = startExchange({
      dispatcher: dispatcher as never,
      request: { origin: `http://127.0.0.1:${server.port}`, path: '/', method },
      asker: {
        method,
        attempt: { signal: new AbortController().signal, emit: () => true, onDrain: () => {} },
        respond: () => ({ write: () => true, end() {} }),
      },
      onEnd: ({ type }) => {
        isLost = type === 'failed'
        watch.remove(exchange)
      },
    })
    watch.add(exchange)
    handled?.onRequestStart?.({ abort() {}, resume() {} } as never, {})
    return {
      exchange,
      answer: () => handled?.onResponseStarted?.(),
      finish() {
        handled?.onResponseStarted?.()
        watch.remove(exchange)
        exchange.over = true
      },
      isLost: () => isLost,
    }
  }
  const after = (ms: number) => vi.advanceTimersByTime(ms)
  /** Whether a request that stays silent is given up. The page is asked for in the moment in which the look ends, or not at all. */
  const isGivenUp = async (sent: Sent) => {
    after(1_100)
    await until(() => closed > 0)
    // what comes behind the page shows whether there was one
    const behind = connect(server.port, '127.0.0.1').on('error', () => {})
    behind.write('GET /props ')
    await once(behind, 'close')
    if (pages > 1) await until(sent.isLost)
    return sent.isLost()
  }
  return { send, after, isGivenUp }
}

type Times = Awaited<ReturnType<typeof exactTimes>>

/** A request that is answered 20 ms later, `rest` after the one before. */
function answeredAfter({ send, after }: Times, rest: number, answeredIn = 20): void {
  after(rest)
  const sent = send()
  after(answeredIn)
  sent.finish()
}

test.for([
  ['not half a second', [20], 450, true],
  ['as long as before a request that it answered at once', [20, 4_000], 3_900, true],
  ['longer than before any request that it answered at once', [20, 4_000], 4_100, false],
  ['so long that others may have kept it awake the last time', [20, 60_000], 11_000, false],
  ['almost a second, after which the first servers sleep, and has no past', [30_000], 950, false],
] as const)('F104: a silent server that had rested %s has stopped or may be waking up', async ([, rests, rest, isStopped]) => {
  const times = await exactTimes()
  for (const each of rests) answeredAfter(times, each)
  times.after(rest)
  expect(await times.isGivenUp(times.send())).toBe(isStopped)
})

test('F104: a server that woke up slowly is not taken for one that does not sleep', async () => {
  const times = await exactTimes()
  answeredAfter(times, 20)
  answeredAfter(times, 4_000, 3_000)
  times.after(3_900)
  expect(await times.isGivenUp(times.send())).toBe(false)
})

test('F104: nor is one that an earlier request woke up, whether that is still there or was given up', async () => {
  for (const isThere of [true, false]) {
    const times = await exactTimes()
    answeredAfter(times, 20)
    times.after(3_000)
    const waking = times.send()
    times.after(1_000)
    if (!isThere) waking.exchange.onEnd({ type: 'done' })
    answeredAfter(times, 10)
    if (isThere) waking.finish()
    times.after(3_900)
    expect(await times.isGivenUp(times.send())).toBe(false)
  }
})

test('F104: a request that was left without an answer says nothing of its server', async () => {
  const times = await exactTimes()
  times.after(3_000)
  const left = times.send()
  times.after(100)
  left.exchange.onEnd({ type: 'done' })
  times.after(100)
  expect(await times.isGivenUp(times.send())).toBe(false)
})

test('F107: a page that was left without an answer woke nobody up, nor does one that still comes', async () => {
  for (const isThere of [true, false]) {
    const times = await exactTimes()
    answeredAfter(times, 20)
    times.after(3_000)
    const page = times.send('GET')
    // it is not silent itself
    page.exchange.waiting = true
    times.after(1_000)
    if (!isThere) page.exchange.onEnd({ type: 'done' })
    answeredAfter(times, 10)
    times.after(3_900)
    expect(await times.isGivenUp(times.send())).toBe(true)
  }
})

test('F107: a page that a sleeping server answers says nothing of what it does with a request', async () => {
  const times = await exactTimes()
  answeredAfter(times, 20)
  times.after(3_000)
  const page = times.send('GET')
  const sent = times.send()
  page.finish()
  expect(await times.isGivenUp(sent)).toBe(false)
})

test.for([
  ['http://127.0.0.1:8080', true],
  ['http://10.1.2.3', true],
  ['https://172.31.0.9:8443', true],
  ['http://192.168.1.4:8000', true],
  ['http://[::1]:8080', true],
  ['http://[fd00::1]:8080', true],
  ['http://localhost:8080', true],
  ['http://vllm-0.vllm.svc', true],
  ['http://replica1:8000', true],
  ['https://api.deepseek.com', false],
  ['https://8.8.8.8', false],
  ['http://172.32.0.1', false],
  ['http://[2001:db8::1]', false],
] as const)('F104: whether %s is looked at: %s', ([origin, isLookedAt]) => {
  const asked: string[] = []
  createSilenceWatch(host => {
    asked.push(host)
    return false
  }).add({ origin, over: true } as Exchange)
  expect(asked).toHaveLength(isLookedAt ? 1 : 0)
})
