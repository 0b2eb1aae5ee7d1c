import type { Dispatcher } from 'undici'
import type { BodyReader } from '../../src/http/body.ts'
import type { Connections } from '../../src/http/connections.ts'
import { type ExchangeEnd, startExchange } from '../../src/http/exchange.ts'
import type { RoutedRequest } from '../../src/http/exchange-types.ts'
import { testAttempt } from './http-servers.ts'

/** One request as a dispatcher gets it. The test plays undici. */
export type Sent = {
  readonly kind: 'pooled' | 'fresh'
  readonly request: RoutedRequest
  /** What was asked of the connection, in order: `pause`, `resume`, `abort`. */
  readonly asked: readonly string[]
  /** The request goes out. */
  start(): void
  /** The first byte of an answer, and its headers. */
  answer(status?: number, headers?: Record<string, string | string[]>): void
  /** A piece of the body. */
  piece(...bytes: readonly (string | Buffer)[]): void
  /** The regular end of the body. */
  end(): void
  lose(error: Error): void
}

/** Connections without a network: every request is recorded, and the test says what happens to it. */
export function fakeWire(): { readonly sent: readonly Sent[]; readonly connections: Connections } {
  const sent: Sent[] = []
  const dispatcher = (kind: 'pooled' | 'fresh') =>
    ({
      dispatch(request: RoutedRequest, handler: Dispatcher.DispatchHandler) {
        sent.push(sentOf(kind, request, handler))
        return true
      },
    }) as unknown as Dispatcher
  return { sent, connections: { dispatcher, check() {}, close: async () => {} } }
}

function sentOf(kind: Sent['kind'], request: RoutedRequest, handler: Dispatcher.DispatchHandler): Sent {
  const asked: string[] = []
  const ask = (what: string) => () => void asked.push(what)
  const controller = {
    pause: ask('pause'),
    resume: ask('resume'),
    abort: ask('abort'),
  } as unknown as Dispatcher.DispatchController
  return {
    ...{ kind, request, asked },
    start: () => handler.onRequestStart?.(controller, {}),
    answer(status = 200, headers = {}) {
      handler.onResponseStarted?.()
      handler.onResponseStart?.(controller, status, headers, '')
    },
    piece(...bytes) {
      for (const each of bytes) handler.onResponseData?.(controller, Buffer.from(each as string))
    },
    end: () => handler.onResponseEnd?.(controller, {}),
    lose: error => handler.onResponseError?.(controller, error),
  }
}

/** The turn of the event loop in which pieces are read is over. */
export async function nextTurn(): Promise<void> {
  await new Promise<void>(resolve => void setImmediate(resolve))
}

type Given = {
  readonly reader?: Partial<BodyReader>
  readonly maxBodyBytes?: number
  readonly onEvent?: Parameters<typeof testAttempt>[0]
}

/** An exchange with a server that the test plays: what the reader got, how it ended, and what was asked of the connection. */
export function exchanging({ reader = {}, maxBodyBytes, onEvent }: Given = {}) {
  const { sent, connections } = fakeWire()
  const attempt = testAttempt(onEvent)
  const pieces: string[] = []
  const ends: ExchangeEnd[] = []
  const statuses: number[] = []
  const whole: BodyReader = {
    write: piece => (pieces.push(piece), true),
    end: () => void pieces.push('END'),
    ...reader,
  }
  const exchange = startExchange({
    dispatcher: connections.dispatcher('pooled'),
    request: { origin: 'http://10.0.0.1:8000', path: '/', method: 'POST' },
    asker: {
      attempt,
      respond: status => (statuses.push(status), whole),
      maxBodyBytes,
      requestIdOf: headers => String(headers['x-id']),
    },
    onEnd: end => void ends.push(end),
  })
  const [server] = sent
  if (server === undefined) throw new Error('Nothing was sent.')
  return { exchange, server, attempt, pieces, ends, statuses }
}

/** The same, with an answer that has begun. */
export function answering(given: Given = {}, status = 200, headers: Record<string, string> = {}) {
  const one = exchanging(given)
  one.server.start()
  one.server.answer(status, headers)
  return one
}
