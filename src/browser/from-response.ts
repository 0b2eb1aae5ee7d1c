import type { StreamEvent } from '../answer/stream-event.ts'

/** The error that `fromResponse()` throws from the loop: an `Error` with these fields. */
export type ResponseError = Error & {
  readonly name: 'ResponseError'
  /**
   * Why the answer broke off: the `reason` of the failure on the server. `truncated`: or the connection broke. `malformed-response`: or an event
   * was not JSON. `aborted`: the server ended the call. `internal`: a bug on the server. Undefined: the response was not a stream, see `status`.
   */
  readonly reason: string | undefined
  /** The HTTP status of the response. */
  readonly status: number
  /** The time in the header Retry-After, in milliseconds from now; undefined if there is none. */
  readonly retryAfterMs: number | undefined
}

/**
 * Returns the events of a stream that a server sent with `stream.toResponse()` or `stream.pipe()`, in a browser or anywhere else: the events
 * that a loop on the server would get. Leaving the loop closes the connection.
 *
 * @throws {TypeError} The argument is not a `Response`.
 * @throws {ResponseError} From the loop: the answer broke off, or the response is not a stream, for example a 503.
 * @example
 * for await (const event of fromResponse(await fetch('/chat'))) if (event.type === 'text-delta') page.append(event.text)
 */
export function fromResponse<Output = unknown>(response: Response): AsyncIterableIterator<StreamEvent<Output>, undefined> {
  const { status, headers } = checked(response)
  const isStream = response.ok && /event-stream/.test(headers.get('content-type') ?? '')
  const reader = isStream ? response.body?.getReader() : undefined
  const decoder = new TextDecoder()
  /** Events that were not read yet, as JSON. */
  let events: string[] = []
  let rest = ''
  let isOver = false
  const fail = (message: string, reason?: string): never => {
    isOver = true
    events = []
    // what the server still sends would be paid for and read by nobody
    void reader?.cancel().catch(() => {})
    throw Object.assign(new Error(message), { name: 'ResponseError', reason, status, retryAfterMs: retryAfterIn(headers) })
  }
  /** Reads until there is an event, or `return()` was called. */
  const fill = async (): Promise<void> => {
    while (events.length === 0 && !isOver) {
      if (reader === undefined) fail(`This response (status ${status}) is not a stream of events.`)
      const piece: { done: boolean; value?: Uint8Array } | undefined = await reader?.read().catch(() => undefined)
      if (isOver) return
      if (piece?.done !== false) fail('The answer broke off.', 'truncated')
      const lines = (rest + decoder.decode(piece?.value, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      events = [...events, ...lines.filter(line => line.startsWith('data:')).map(line => line.slice(5))]
    }
  }
  const read = async (): Promise<IteratorResult<StreamEvent<Output>, undefined>> => {
    await fill()
    const line = events.shift()
    if (line === undefined) return over
    const event = parse<Output>(line) ?? fail('The answer broke off.', 'malformed-response')
    const { type, reason } = event as { type: string; reason?: string }
    if (type === 'error') fail('The answer broke off.', reason)
    if (type === 'finish') {
      isOver = true
      events = []
    }
    return { done: false, value: event }
  }
  /** Reads that are asked for at once wait for each other. */
  let turn: Promise<unknown> = Promise.resolve()
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next() {
      const mine = turn.then(read)
      turn = mine.catch(() => {})
      return mine
    },
    async return() {
      isOver = true
      events = []
      await reader?.cancel().catch(() => {})
      return over
    },
  }
}

const over = { done: true, value: undefined } as const

/** A missing `await` is the usual mistake. */
function checked(response: Response): Response {
  if (typeof (response as Partial<Response> | null)?.headers?.get === 'function') return response
  throw new TypeError('Write fromResponse(await fetch(url)): the argument is not a Response.')
}

function retryAfterIn(headers: Headers): number | undefined {
  const named = headers.get('retry-after') ?? ''
  const afterMs = /^\d+$/.test(named) ? Number(named) * 1000 : Math.max(0, Date.parse(named) - Date.now())
  return afterMs >= 0 ? afterMs : undefined
}

function parse<Output>(line: string): StreamEvent<Output> | undefined {
  try {
    const event = JSON.parse(line) as StreamEvent<Output> | null
    return typeof event?.type === 'string' ? event : undefined
  } catch {
    return undefined
  }
}
