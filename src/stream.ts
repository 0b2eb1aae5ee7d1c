import type { Fold, Prefix, ProviderEvent, Sink, Usage } from './contract.ts'
import { collect, type Answer, type Collector, type GenerateResult, type ReadOutput } from './result.ts'

/** What the reader of a stream gets, in order: content first, `finish` last and exactly once. */
export type StreamEvent = Extract<
  ProviderEvent,
  { type: 'response-metadata' | 'warning' | 'reasoning-delta' | 'text-delta' | 'tool-call-delta' | 'tool-call' | 'finish' }
>

/**
 * An answer as it is made. Read it once: by `for await`, or by one of the methods. Leaving the loop closes the request at once, and
 * where the provider bills by token the bill stops too. A slow reader pauses the connection.
 */
export type AnswerStream<Output = unknown> = AsyncIterable<StreamEvent> & {
  /** The whole text. */
  text(): Promise<string>
  /** The whole answer, as `generate()` would give it. May be called while or after the stream is read. */
  result(): Promise<GenerateResult<Output>>
  /** The events as a web stream. */
  toReadableStream(): ReadableStream<StreamEvent>
}

/** Events that wait for a slow reader before the connection is paused. What one read of the socket holds may come on top. */
const highWaterMark = 64

/** Between the walk, which pushes, and the reader, who pulls. */
export type Outlet = {
  readonly sink: Sink<Answer>
  /** Resolves at the first content. */
  readonly opened: Promise<void>
  /** The first content has been handed on: what follows belongs to the reader. */
  isOpen(): boolean
  /** No target answered: the reader gets this text instead. */
  substitute(text: string): void
  /** The walk is over; with an error, the reader gets it after what has come. */
  close(error?: unknown): void
  /** What the reader holds so far. */
  partial(): Prefix & { readonly usage: Usage }
  stream(result: Promise<GenerateResult>, leave: () => void): AnswerStream
}

/** The commit of `stream()`: from its first content on, what an attempt emits is the reader's. */
export function open(readOutput?: ReadOutput): Outlet {
  const queue = createQueue()
  const { promise: opened, resolve: markOpened } = Promise.withResolvers<void>()
  let released: Collector | undefined
  return {
    sink: {
      commitsAt: 'first-content',
      begin: ({ provider }) => {
        const answer = collect(provider.name, readOutput)
        return streamFold(answer, queue, () => {
          released = answer
          markOpened()
        })
      },
      // what the reader has cannot be taken back
      mayGoOn: () => released === undefined,
    },
    opened,
    isOpen: () => released !== undefined,
    substitute(text) {
      queue.push({ type: 'text-delta', text })
      queue.push({ type: 'finish', finishReason: 'stop', usage: {} })
    },
    close: queue.close,
    partial: () => ({ text: '', reasoningText: '', ...released?.partial(), usage: released?.usage() ?? {} }),
    stream: (result, leave) => toAnswerStream(queue, result, leave),
  }
}

/** Folds an attempt's events and hands them on; what comes before the first content is kept back, because another may still win. */
function streamFold(answer: Collector, queue: Queue, release: () => void): Fold<Answer> {
  let early: StreamEvent[] | undefined = []
  let finish: StreamEvent | undefined
  return {
    emit(event) {
      answer.emit(event)
      switch (event.type) {
        case 'response-metadata':
        case 'warning':
          return early === undefined ? queue.push(event) : early.push(event) > 0
        case 'finish':
          finish = event
          return true
        case 'text-delta':
        case 'reasoning-delta':
        case 'tool-call-delta':
        case 'tool-call':
          if (early !== undefined) {
            for (const kept of early) queue.push(kept)
            early = undefined
            release()
          }
          return queue.push(event)
        default:
          return true
      }
    },
    onDrain: queue.onDrain,
    async finish() {
      const whole = await answer.finish()
      // `finish` says that the answer is whole and valid, so it waits for that
      if (finish !== undefined) queue.push(finish)
      return whole
    },
  }
}

type Queue = {
  /** Answers `false` while the reader is behind. */
  push(event: StreamEvent): boolean
  onDrain(listener: () => void): void
  close(error?: unknown): void
  next(): Promise<IteratorResult<StreamEvent, undefined>>
  /** From now on never ask the source to wait: somebody wants the whole answer, read or not. */
  unbound(): void
  /** The reader has left: nothing is kept any more. */
  drop(): void
}

const end: IteratorResult<StreamEvent, undefined> = { value: undefined, done: true }

function createQueue(): Queue {
  let events: StreamEvent[] = []
  let head = 0
  let limit = highWaterMark
  let closed: { readonly error: unknown } | undefined
  let onDrain: (() => void) | undefined
  let reader: PromiseWithResolvers<IteratorResult<StreamEvent, undefined>> | undefined

  const drained = () => {
    const listener = onDrain
    onDrain = undefined
    listener?.()
  }
  const take = (): StreamEvent | undefined => {
    const event = events[head++]
    if (head >= events.length) {
      events = []
      head = 0
      drained()
    }
    return event
  }
  return {
    push(event) {
      if (reader !== undefined) {
        reader.resolve({ value: event, done: false })
        reader = undefined
      } else if (limit > 0) events.push(event)
      return limit === 0 || events.length - head < limit
    },
    onDrain(listener) {
      onDrain = listener
      if (events.length === 0) drained()
    },
    close(error) {
      closed ??= { error }
      if (error === undefined) reader?.resolve(end)
      else reader?.reject(error)
      reader = undefined
    },
    next() {
      const event = head < events.length ? take() : undefined
      if (event !== undefined) return Promise.resolve({ value: event, done: false })
      if (closed === undefined) return (reader = Promise.withResolvers()).promise
      const { error } = closed
      closed = { error: undefined }
      return error === undefined ? Promise.resolve(end) : Promise.reject(error)
    },
    unbound() {
      limit = Infinity
      drained()
    },
    drop() {
      limit = 0
      events = []
      head = 0
      closed = { error: undefined }
      reader?.resolve(end)
      drained()
    },
  }
}

function toAnswerStream(queue: Queue, result: Promise<GenerateResult>, leave: () => void): AnswerStream {
  let taken = false
  const iterator: AsyncIterator<StreamEvent, undefined> = {
    next: queue.next,
    async return() {
      queue.drop()
      leave()
      return end as IteratorReturnResult<undefined>
    },
  }
  const read = () => {
    if (taken) throw new TypeError('This stream is being read already. Read it once; call result() for the whole answer.')
    taken = true
    return iterator
  }
  const whole = () => {
    queue.unbound()
    return result
  }
  return {
    [Symbol.asyncIterator]: read,
    text: async () => (await whole()).text,
    result: whole,
    toReadableStream() {
      const { next } = read()
      return new ReadableStream<StreamEvent>({
        async pull(controller) {
          const { value, done } = await next()
          if (done === true) controller.close()
          else controller.enqueue(value)
        },
        async cancel() {
          await iterator.return?.()
        },
      })
    },
  }
}
