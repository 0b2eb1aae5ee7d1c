import { expect, onTestFinished, test, vi } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import type { BodyReader } from '../../../src/http/body.ts'
import { closeExchange, type ExchangeEnd, giveUpExchange } from '../../../src/http/exchange.ts'
import { answering, exchanging, nextTurn } from '../../helpers/fake-wire.ts'

const reset = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
const refusal = new ProviderError('It is no answer.', { reason: 'malformed-response' })

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}

test.for<[number, Partial<BodyReader>, object]>([
  [200, {}, { type: 'failed', error: { reason: 'truncated', status: 200 } }],
  [299, { lost: () => true }, { type: 'done' }],
  [200, { lost: () => false }, { type: 'failed', error: { reason: 'truncated' } }],
  [500, { lost: () => true }, { type: 'failed', error: { reason: 'truncated', status: 500 } }],
  [
    300,
    {
      end() {
        throw refusal
      },
    },
    { type: 'failed', error: refusal },
  ],
])('an answer of status %i that breaks off is what its reader makes of it (%#)', async ([status, reader, expected]) => {
  const { server, pieces, ends } = answering({ reader }, status)
  server.piece('half')
  server.lose(reset())
  expect([pieces[0], ends.length]).toEqual(['half', 1])
  expect(ends).toMatchObject([expected])
  // one end is enough
  server.lose(reset())
  server.end()
  expect(ends).toHaveLength(1)
})

test('before the headers a lost connection is told as one, with what is known of it', () => {
  const { server, exchange, ends } = exchanging()
  Object.assign(exchange.route, { reused: true, proxy: 'http://proxy:1' })
  const error = reset()
  server.lose(error)
  expect(ends).toEqual([
    {
      type: 'lost',
      loss: { error, phase: 'connecting', reused: true, answered: false, proxy: 'http://proxy:1', afterMs: expect.any(Number) },
    },
  ])
  const later = exchanging()
  later.server.start()
  later.server.lose(reset())
  expect(later.ends).toMatchObject([{ loss: { phase: 'waiting', reused: false } }])
  const [{ loss }] = later.ends as [Extract<ExchangeEnd, { type: 'lost' }>]
  // measured from when it was sent, and not from the start of the process
  expect(loss.afterMs).toBeLessThan(performance.now() / 2)
})

test('a body without a length whose connection was reset has broken off, though undici calls it the end', () => {
  const { server, exchange, ends } = answering()
  exchange.route.lost = reset()
  server.end()
  expect(ends).toMatchObject([{ type: 'failed', error: { reason: 'truncated' } }])
  expect(server.asked).toEqual(['abort'])
})

test('what a reader throws at the end is how the exchange ends', () => {
  const { server, ends } = answering({
    reader: {
      end() {
        throw refusal
      },
    },
  })
  server.end()
  expect(ends).toEqual([{ type: 'failed', error: refusal }])
})

test('an exchange that was closed before it was sent aborts its request, and tells nothing', () => {
  const { server, exchange, ends, attempt } = exchanging()
  expect([closeExchange(exchange), closeExchange(exchange)]).toEqual([true, false])
  expect(server.asked).toEqual([])
  server.start()
  expect([server.asked, attempt.events, ends]).toEqual([['abort'], [], []])
})

test('who leaves when it hears of the headers is asked for no reader', () => {
  const { server, statuses, ends, exchange } = exchanging({
    onEvent: ({ type }) => void (type === 'headers' && closeExchange(exchange)),
  })
  server.start()
  server.answer()
  server.piece('late')
  server.end()
  expect([statuses, ends, server.asked]).toEqual([[], [], ['abort']])
})

test('an exchange that is given up ends as if its connection were lost, once', () => {
  let asked = 0
  const { exchange, server, ends } = answering({ reader: { lost: () => (asked += 1) < 0 } })
  for (let time = 0; time < 2; time += 1) giveUpExchange(exchange, reset())
  expect([ends.length, server.asked, closeExchange(exchange)]).toEqual([1, ['abort'], false])
  expect(asked).toBe(1)
  expect(ends).toMatchObject([{ error: { reason: 'truncated' } }])
})

// ---- an answer that is complete before its body ends (F3)

test('a complete answer waits a moment for the end of its body, and keeps its connection then', async () => {
  fakeTimers()
  const { server, ends } = answering({ reader: { isOver: () => true } })
  server.piece('all')
  await nextTurn()
  vi.advanceTimersByTime(19)
  server.end()
  expect(ends).toEqual([{ type: 'done' }])
  vi.advanceTimersByTime(5_000)
  await nextTurn()
  expect([server.asked, ends.length, vi.getTimerCount()]).toEqual([[], 1, 0])
})

test('where the end does not come in that moment the caller has its answer, and the connection a second more', async () => {
  fakeTimers()
  const { server, ends, pieces } = answering({ reader: { isOver: () => true } })
  server.piece('all')
  await nextTurn()
  vi.advanceTimersByTime(20)
  await nextTurn()
  expect([ends, server.asked]).toEqual([[{ type: 'done' }], ['resume']])
  server.piece('more')
  await nextTurn()
  vi.advanceTimersByTime(999)
  expect(server.asked).toEqual(['resume'])
  vi.advanceTimersByTime(1)
  expect([server.asked, pieces]).toEqual([['resume', 'abort'], ['all']])
})

test('a complete answer whose connection is lost in that moment is complete, and leaves no timer', async () => {
  fakeTimers()
  const { server, ends } = answering({ reader: { isOver: () => true, lost: () => true } })
  server.piece('all')
  await nextTurn()
  server.lose(reset())
  vi.advanceTimersByTime(5_000)
  await nextTurn()
  expect([ends, server.asked, vi.getTimerCount()]).toEqual([[{ type: 'done' }], [], 0])
})

test('a complete answer of more than 64 KiB pauses nothing any more, though its reader is behind', async () => {
  const { server, exchange } = answering({ reader: { isOver: () => true, write: () => false } })
  server.piece('x'.repeat(70_000))
  await new Promise<void>(resolve => process.nextTick(resolve))
  expect([server.asked, exchange.isRead]).toEqual([[], true])
  closeExchange(exchange)
})

test('a reader that ends the exchange when it hears of the end is not told of it', () => {
  const one = answering({ reader: { end: () => void closeExchange(one.exchange) } })
  one.server.end()
  expect(one.ends).toEqual([])
})
