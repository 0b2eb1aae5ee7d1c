import { type AnswerStream, type StreamEvent, toAnswerStream } from './answer-stream.ts'
import type { Answer, GenerateResult } from './answer.ts'
import type { Fold, Prefix, Sink, Usage } from './contract.ts'
import { createEventQueue, type EventQueue } from './event-queue.ts'
import { collect, type Collector, type ReadOutput } from './result.ts'

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
  const queue = createEventQueue<StreamEvent>()
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
function streamFold(answer: Collector, queue: EventQueue<StreamEvent>, release: () => void): Fold<Answer> {
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
