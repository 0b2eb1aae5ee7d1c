import type { Clock, ToolCall } from '../contract.ts'
import type { Source } from '../contract-events.ts'
import type { GenerateResult } from './answer.ts'
import { dropQueue, type EventQueue, nextEvent, unboundQueue } from './event-queue.ts'
import { checkResponse, type NodeResponse, pipe } from './pipe.ts'
import type { StreamEvent } from './stream-event.ts'
import { toResponse } from './to-response.ts'
import { bodySettings, type ResponseOptions } from './web-body.ts'

/** The target that produced the answer so far. */
export type AnsweredBy = {
  /** `default` for the default response. */
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** The index of the target among all targets, from 0; -1 for the default response. */
  readonly targetIndex: number
  /** The index of the step in the chain, from 0; a pool is one step. -1 for the default response. */
  readonly step: number
  /** The number of the request to this target in this call, from 1; 0 for the default response. */
  readonly attempt: number
}

/**
 * An answer while it is generated. Read it once: with `for await`, or with one of the methods. Leaving the loop closes the request at
 * once, which also stops billing by token. A slow reader pauses the connection.
 */
export type AnswerStream<Output = unknown, Call extends ToolCall = ToolCall> = AsyncIterable<StreamEvent<Output, Call>> & {
  /**
   * The target that produced the answer so far. It is known from the start, and changes when a `restart` or `continue` event is read. All
   * attempts are in `attempts` of `result()`.
   */
  readonly answeredBy: AnsweredBy
  /** Resolves with the whole text; rejects like `result()`. */
  text(): Promise<string>
  /**
   * Resolves with the complete answer, as `generate()` would. May be called while the stream is read, or afterwards. Rejects with a
   * `StreamInterruptedError` if the answer breaks off, and with the reason of `signal` if the caller aborts.
   */
  result(): Promise<GenerateResult<Output, Call>>
  /** Returns the events as a web stream. */
  toReadableStream(): ReadableStream<StreamEvent<Output, Call>>
  /**
   * Returns the answer as a `Response` of the Fetch API, for Hono, Next.js and every handler that returns one. A client that disconnects
   * ends the request to the provider at once; a slow client pauses it. If the answer breaks off, the last server-sent event is
   * `{ type: 'error', reason }`, without a `finish`; a `text` body breaks off. `fromResponse()` of `unbusy/browser` reads it.
   *
   * @throws {TypeError} An option is invalid, or the stream is already being read.
   */
  toResponse(options?: ResponseOptions): Response
  /**
   * Sends the answer over a response of `node:http`: Express, Fastify (`reply.raw`) and others. Sets status 200 and headers unless they
   * were already sent. Resolves when the response has ended, in whatever way. It does not reject if the client disconnects, which ends the
   * request to the provider at once, nor if the answer breaks off, which the client sees as with `toResponse()`.
   *
   * @throws {TypeError} The response is not one of `node:http`, an option is invalid, or the stream is already being read.
   */
  pipe(response: NodeResponse, options?: ResponseOptions): Promise<void>
  /**
   * Returns a new stream that resumes a broken answer. Like `resume()` of the `StreamInterruptedError`, but with the types of the call,
   * which a caught error cannot have. Rejects with a `TypeError` when the answer is complete.
   */
  resume(): Promise<AnswerStream<Output, Call>>
}

/** Marks which events of the stream one attempt produced: those from index `from` on. */
export type Part = { readonly source: Source; readonly from: number }

/** The call behind a stream, as the stream's reader sees it. */
export type Behind = {
  readonly result: Promise<GenerateResult>
  readonly clock: Clock
  /** The call was ended by its `signal`, or by `close()` of the client. */
  isAborted(): boolean
  /** Ends the call because the reader left before the end. */
  leave(): void
  /** Returns which attempt produced which part; empty for the default response. */
  sources(): readonly Part[]
  resume(): Promise<AnswerStream>
}

/** The reader's side of a stream. */
export function toAnswerStream(
  queue: EventQueue<StreamEvent>,
  { result, clock, isAborted, leave, sources, resume }: Behind,
): AnswerStream {
  let taken = false
  let isWhole = false
  const quit = () => {
    dropQueue(queue)
    leave()
  }
  const iterator: AsyncIterator<StreamEvent, undefined> = {
    next: () => nextEvent(queue),
    async return() {
      quit()
      return { value: undefined, done: true }
    },
  }
  const read = () => {
    if (taken) throw new TypeError('This stream is already being read. Read it only once, or call result() for the whole answer.')
    taken = true
    return iterator
  }
  const whole = () => {
    isWhole = true
    unboundQueue(queue)
    return result
  }
  const current = (): Source | undefined => {
    // counts what was read; a caller who only asked for the complete answer has everything
    const isGot = (part: Part) => (isWhole && !taken) || part.from < queue.taken
    const parts = sources()
    return (parts.findLast(isGot) ?? parts[0])?.source
  }
  const stream: Counted = {
    [Symbol.asyncIterator]: read,
    get answeredBy() {
      return namesOf(current())
    },
    [requests]: () => current()?.requests,
    text: async () => (await whole()).text,
    result: whole,
    resume,
    toResponse(options = {}) {
      const settings = bodySettings(options, 'stream.toResponse')
      read()
      return toResponse({ queue, clock, isAborted, leave: quit }, settings)
    },
    async pipe(response, options = {}) {
      checkResponse(response)
      const settings = bodySettings(options, 'stream.pipe')
      read()
      return pipe({ queue, clock, isAborted, leave: quit }, response, settings)
    },
    toReadableStream() {
      read()
      return readableStream(queue, quit)
    },
  }
  return stream
}

/** A registered symbol, because a stream may come from another copy of this package. */
const requests = Symbol.for('unbusy.requests')
type Counted = AnswerStream & { readonly [requests]: () => number | undefined }

/** Returns how many requests were made for the answer so far; undefined for the default response, whose result lists them all. */
export function requestsOf(stream: AnswerStream): number | undefined {
  return (stream as Partial<Counted>)[requests]?.()
}

function readableStream(queue: EventQueue<StreamEvent>, cancel: () => void): ReadableStream<StreamEvent> {
  return new ReadableStream<StreamEvent>({
    async pull(controller) {
      const { value, done } = await nextEvent(queue)
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    cancel,
  })
}

function namesOf(source: Source | undefined): AnsweredBy {
  if (source === undefined)
    return { provider: 'default', model: 'default', name: undefined, targetIndex: -1, step: -1, attempt: 0 }
  const { provider, model, name, targetIndex, step, attempt } = source
  return { provider: provider.name, model, name, targetIndex, step, attempt }
}
