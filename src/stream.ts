import { type AnswerStream, type Behind, type StreamEvent, toAnswerStream } from './answer-stream.ts'
import type { Answer, GenerateResult } from './answer.ts'
import type { Sink } from './contract.ts'
import { createEventQueue } from './event-queue.ts'
import type { Broken, Kept } from './seam.ts'
import { type Reader, type ReaderOptions, streamFold } from './stream-fold.ts'

/** Between the walk, which pushes, and the reader, who pulls. */
export type Outlet = {
  readonly sink: Sink<Answer>
  /** Resolves when the first content is the reader's. */
  readonly opened: Promise<void>
  isOpen(): boolean
  /** The answer is whole: the reader gets `finish`; of an answer that nobody made, the text first. */
  finish(answer: GenerateResult): void
  /** The reader gets this error after what has come. */
  fail(error: unknown): void
  /** What the reader holds so far, and why it broke off. */
  broken(): Broken
  stream(behind: Behind): AnswerStream
}

const nothing: Kept = { text: '', reasoningText: '', tokens: 0, hasToolCall: false, usage: {} }

/** The commit of `stream()`: from its first content on, what an attempt emits is the reader's. */
export function open(options: ReaderOptions): Outlet {
  const { seam, afterFirstToken, from } = options
  const queue = createEventQueue<StreamEvent>()
  const opened = Promise.withResolvers<void>()
  const reader: Reader = { queue, opened, held: () => from?.kept ?? nothing, failure: from?.failure, isOpen: from !== undefined }
  return {
    sink: {
      begin: (source, commit) => streamFold(options, reader, { source, commit }),
      mayGoOn(failure) {
        seam.failed()
        // those that come behind it and bring nothing do not change why the reader's text broke off
        if (reader.isOpen) reader.failure ??= failure
        // what the reader has cannot be taken back unless it was said before that it may be
        return !reader.isOpen || afterFirstToken !== 'fail'
      },
      // what the reader has cannot be asked for again, unless it was said before
      repairs: (failure, source) =>
        seam.beginsAnew(failure, source, reader.held()) ||
        ((!reader.isOpen || afterFirstToken !== 'fail') && options.repairs?.take(failure, source) === true),
      wantsMore: (answer, source) => answer.finishReason === 'length' && seam.takeLength(reader.held(), source),
      settleFor(answer) {
        const { text, reasoningText } = reader.held()
        return { ...answer, text, reasoningText }
      },
    },
    opened: opened.promise,
    isOpen: () => reader.isOpen,
    finish({ degraded, text, finishReason, usage, response }) {
      if (degraded) queue.push({ type: 'text-delta', text })
      queue.push({ type: 'finish', finishReason, usage, providerMetadata: response.providerMetadata })
      queue.close()
    },
    fail: queue.close,
    broken: () => ({ kept: reader.held(), failure: reader.failure }),
    stream: behind => toAnswerStream(queue, behind),
  }
}
