import type { Attempt, ResponseHeaders } from '../contract.ts'
import type { Body, BodyReader } from './body.ts'
import type { Unzip } from './decompress.ts'
import type { Route } from './single-connection.ts'
import type { Loss, Phase } from './transport-failure.ts'
import type { Dispatcher } from './undici.ts'

/** Who asks, and who reads the answer. */
export type Asker = {
  readonly attempt: Attempt
  /** Status and headers are here: who reads the body? Redirects come here too; none is followed, a key would go with it. */
  readonly respond: (status: number, headers: ResponseHeaders) => BodyReader
  /** The largest body, decompressed. @default 256 MiB */
  readonly maxBodyBytes?: number | undefined
  /** What the service calls this request, for an attempt of which nothing else may come. */
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
  /** The answer was read to its end. */
  | { readonly type: 'done' }
  /** It cannot go on. */
  | { readonly type: 'failed'; readonly error: unknown }
  /** The connection was lost before the headers of an answer, or never came about. */
  | { readonly type: 'lost'; readonly loss: Loss }

/** One request on its way, once. */
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
  /** The reader is behind, and calls back. */
  waiting: boolean
  controller: Dispatcher.DispatchController | undefined
  body: Body | undefined
  /** Of an answer of whose body nothing has come yet. */
  headers: ResponseHeaders | undefined
  unzip: Unzip | undefined
  /** The first bytes, as long as they are too few to tell. */
  first: Buffer | undefined
  /** The reader has all it waits for: when the connection, which may still bring the end of the body, is given up. */
  isRead: boolean
  /** How often the watch over silence came by since something was received. */
  quiet: number
  timer: NodeJS.Timeout | undefined
}
