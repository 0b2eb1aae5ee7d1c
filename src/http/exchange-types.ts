import type { Attempt, ResponseHeaders } from '../contract.ts'
import type { Body, BodyReader, Unzip } from './body.ts'
import type { Loss, Phase } from './transport-failure.ts'
import type { Dispatcher } from './undici.ts'

/** The attempt that a request belongs to, and how its answer is read. */
export type Asker = {
  readonly attempt: Attempt
  /** A page is requested by `GET`, and a model's work by `POST`. @default 'POST' */
  readonly method?: 'GET' | 'POST' | undefined
  /** Called with the status and headers; returns the reader of the body. Redirects are not followed, because the key would go along. */
  readonly respond: (status: number, headers: ResponseHeaders) => BodyReader
  /** The largest allowed size of the decompressed body. @default 256 MiB */
  readonly maxBodyBytes?: number | undefined
  /** Returns the service's id of this request. The headers may be all that this attempt ever receives. */
  readonly requestIdOf?: ((headers: ResponseHeaders) => string | undefined) | undefined
}

export type ExchangeOptions = {
  readonly dispatcher: Dispatcher
  readonly request: Dispatcher.DispatchOptions & { readonly origin: string }
  readonly asker: Asker
  /** Called once, and not after `closeExchange`. */
  readonly onEnd: (end: ExchangeEnd) => void
}

export type ExchangeEnd =
  /** The answer was read completely. */
  | { readonly type: 'done' }
  /** The answer cannot be read any further. */
  | { readonly type: 'failed'; readonly error: unknown }
  /** The connection was lost before the headers of an answer arrived, or it was never established. */
  | { readonly type: 'lost'; readonly loss: Loss }

/** One request that is sent once, and its answer. A resend is another exchange. */
export type Exchange = {
  readonly asker: Asker
  readonly origin: string
  readonly onEnd: ExchangeOptions['onEnd']
  readonly route: Route
  phase: Phase
  status: number
  answered: boolean
  sentAt: number
  over: boolean
  /** The reader is behind and will call back. */
  waiting: boolean
  controller: Dispatcher.DispatchController | undefined
  body: Body | undefined
  /** The headers of the answer; undefined again once its body is being read. */
  headers: ResponseHeaders | undefined
  unzip: Unzip | undefined
  /** The first bytes of the body, while there are too few of them to recognize a compression format. */
  first: Buffer | undefined
  /** Chunks that arrived in this turn of the event loop and were not processed yet. */
  unread: Buffer | Buffer[] | undefined
  /** How many bytes were processed since the process last had a turn for other work. */
  inTurn: number
  /** The reader has its complete answer. Only the end of the body is missing. */
  isRead: boolean
  /** How many ticks of the silence watch have passed since something was received. */
  quiet: number
  timer: NodeJS.Timeout | undefined
}

/** What is known about the route of a request. */
export type Route = {
  /** Whether other requests used the connection before this one. Undefined: not known. */
  reused: boolean | undefined
  /** The error that ended the connection. undici takes a reset for the regular end of a body without a length. */
  lost: Error | undefined
  /** The address of the proxy that is handling the request, without its password. A failure there is the proxy's fault (F86). */
  proxy?: string | undefined
}

/** A request with extra fields for its connection. undici's proxies pass them on, because they copy the whole object. */
export type RoutedRequest = Dispatcher.DispatchOptions & {
  /** Fires when the answer is no longer needed. */
  readonly signal?: AbortSignal | undefined
  /** Filled in while the request runs. */
  readonly route?: Route | undefined
}
