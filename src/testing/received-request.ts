import type { IncomingHttpHeaders } from 'node:http'

/** One request as the server saw it. The fields that tell how it ended change until `closed` resolves. */
export type ReceivedRequest = {
  /** In the order of arrival, from 0. */
  readonly index: number
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body parsed; undefined when it is no JSON. */
  readonly json: unknown
  /** Which connection it came on, from 0: two requests with the same number shared one. */
  readonly connection: number
  /** When the whole request was there, in milliseconds of `performance.now()`. */
  readonly at: number
  /** When the exchange was over, on the same clock; undefined while it is under way. */
  readonly closedAt: number | undefined
  /** The client left before the answer was whole. */
  readonly aborted: boolean
  /** Bytes of the body that were handed to the socket so far. */
  readonly bytesSent: number
  /** Resolves when the exchange is over, however it ended. */
  readonly closed: Promise<void>
  /** Resolves when the client has stopped reading: what was written is not taken any more. See back pressure in the contract suite. */
  untilBlocked(): Promise<void>
}
