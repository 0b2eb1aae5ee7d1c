import type { IncomingHttpHeaders } from 'node:http'

/** One request as the server saw it. The fields that describe its end change until `closed` resolves. */
export type ReceivedRequest = {
  /** Its place in the order of arrival, counted from 0. */
  readonly index: number
  readonly method: string
  /** The path, including the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The parsed body; undefined if the body is not JSON. */
  readonly json: unknown
  /** The number of the connection, counted from 0. Two requests with the same number shared a connection. */
  readonly connection: number
  /** When the whole request had arrived, in milliseconds of `performance.now()`. */
  readonly at: number
  /** When the exchange ended, on the same clock; undefined while it is in progress. */
  readonly closedAt: number | undefined
  /** The client disconnected before the answer was complete. */
  readonly aborted: boolean
  /** The number of body bytes handed to the socket so far. */
  readonly bytesSent: number
  /** Resolves when the exchange has ended, in whatever way. */
  readonly closed: Promise<void>
  /** Resolves when the client has stopped reading, so that the socket accepts no more bytes. See back pressure in the contract suite. */
  untilBlocked(): Promise<void>
}
