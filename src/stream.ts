import type { StreamEvent } from './answer-stream.ts'
import type { Answer, GenerateResult } from './answer.ts'
import type { Sink } from './contract.ts'
import { closeQueue, createEventQueue, pushEvent } from './event-queue.ts'
import { beginsAnew, type Broken, seamFailed, takeLength } from './seam.ts'
import { heldBy, type Reader, type ReaderOptions, streamFold } from './stream-fold.ts'

/** Between the walk, which pushes, and the reader, who pulls. */
export type Outlet = {
  readonly options: ReaderOptions
  readonly reader: Reader
  readonly sink: Sink<Answer>
}

/** The commit of `stream()`: from its first content on, what an attempt emits is the reader's. */
export function open(options: ReaderOptions): Outlet {
  const { seam, afterFirstToken, from } = options
  const reader: Reader = {
    queue: createEventQueue<StreamEvent>(),
    opened: Promise.withResolvers<void>(),
    held: undefined,
    failure: from?.failure,
    isOpen: from !== undefined,
  }
  const sink: Sink<Answer> = {
    begin: (source, commit) => streamFold(options, reader, { source, commit }),
    mayGoOn(failure) {
      seamFailed(seam)
      // those that come behind it and bring nothing do not change why the reader's text broke off
      if (reader.isOpen) reader.failure ??= failure
      // what the reader has cannot be taken back unless it was said before that it may be
      return !reader.isOpen || afterFirstToken !== 'fail'
    },
    // what the reader has cannot be asked for again, unless it was said before
    repairs: (failure, source) =>
      beginsAnew(seam, { failure, source, kept: heldBy(options, reader) }) ||
      ((!reader.isOpen || afterFirstToken !== 'fail') && options.repairs?.take(failure, source) === true),
    wantsMore: (answer, source) => answer.finishReason === 'length' && takeLength(seam, heldBy(options, reader), source),
    settleFor(answer) {
      const { text, reasoningText } = heldBy(options, reader)
      return { ...answer, text, reasoningText }
    },
  }
  return { options, reader, sink }
}

/** The answer is whole: the reader gets `finish`; of an answer that nobody made, the text first. */
export function finishStream({ reader }: Outlet, { degraded, text, finishReason, usage, response }: GenerateResult): void {
  const { queue } = reader
  if (degraded) pushEvent(queue, { type: 'text-delta', text })
  pushEvent(queue, { type: 'finish', finishReason, usage, providerMetadata: response.providerMetadata })
  closeQueue(queue)
}

/** What the reader holds so far, and why it broke off. */
export function brokenStream({ options, reader }: Outlet): Broken {
  return { kept: heldBy(options, reader), failure: reader.failure }
}
