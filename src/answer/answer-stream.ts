import type { FailureReason, ProviderEvent, ToolCall } from '../contract.ts'
import type { DeepPartial } from '../output/partial-output.ts'
import type { GenerateResult } from './answer.ts'
import { dropQueue, type EventQueue, nextEvent, unboundQueue } from './event-queue.ts'

type ContinuationSource = {
  readonly provider: string
  readonly model: string
  readonly targetIndex: number
  readonly attempt: number
  /** Why what came so far broke off. */
  readonly reason: FailureReason
}

/** What the reader of a stream gets, in order: content first, `finish` last and exactly once. */
export type StreamEvent<Output = unknown, Call extends ToolCall = ToolCall> =
  | Extract<
      ProviderEvent,
      { type: 'response-metadata' | 'warning' | 'reasoning-delta' | 'text-delta' | 'tool-call-delta' | 'finish' }
    >
  /** A whole tool call, its input validated. */
  | ({ readonly type: 'tool-call' } & Call)
  | ([Output] extends [undefined] ? never : OutputEvent<Output>)
  /**
   * What came so far is void: a new attempt begins the answer anew. With `'restart'` or `'continue'`, and after `resume()`; with
   * `'fail'` too as long as nothing but reasoning has come: then it says `lost: 'reasoning'`.
   */
  | (ContinuationSource & {
      readonly type: 'restart'
      readonly discardedCharacters: number
      /** No text and no piece of a tool call is void: who shows no reasoning has nothing to take back. Undefined: there was more. */
      readonly lost?: 'reasoning' | undefined
    })
  /** What came so far stays: the new attempt goes on from there. With `'continue'` or `continueOnLength`, and after `resume()`. */
  | (ContinuationSource & { readonly type: 'continue'; readonly characters: number })

type OutputEvent<Output> =
  /** What there is of the value, not validated yet. Always the same object, which grows: copy what you keep. */
  | { readonly type: 'partial-output'; readonly output: DeepPartial<Output> }
  /** An item of `array()` is whole, and fits its schema. The answer may still break, or fail as a whole. */
  | { readonly type: 'element'; readonly element: ElementOf<Output>; readonly index: number }

type ElementOf<Output> = unknown extends Output ? unknown : Output extends readonly (infer Element)[] ? Element : never

/**
 * An answer as it is made. Read it once: by `for await`, or by one of the methods. Leaving the loop closes the request at once, and
 * where the provider bills by token the bill stops too. A slow reader pauses the connection.
 */
export type AnswerStream<Output = unknown, Call extends ToolCall = ToolCall> = AsyncIterable<StreamEvent<Output, Call>> & {
  /** The whole text. */
  text(): Promise<string>
  /** The whole answer, as `generate()` would give it. May be called while or after the stream is read. */
  result(): Promise<GenerateResult<Output, Call>>
  /** The events as a web stream. */
  toReadableStream(): ReadableStream<StreamEvent<Output, Call>>
  /**
   * Once it has broken off: a new stream that goes on from there. What `resume()` of the `StreamInterruptedError` does, with the types
   * of the call, which a caught error cannot have. Rejects with a `TypeError` when the answer is whole.
   */
  resume(): Promise<AnswerStream<Output, Call>>
}

/** What the call behind a stream can do for its reader. */
export type Behind = {
  readonly result: Promise<GenerateResult>
  /** The reader goes before the end. */
  leave(): void
  resume(): Promise<AnswerStream>
}

/** The reader's side of a stream. */
export function toAnswerStream(queue: EventQueue<StreamEvent>, { result, leave, resume }: Behind): AnswerStream {
  let taken = false
  const iterator: AsyncIterator<StreamEvent, undefined> = {
    next: () => nextEvent(queue),
    async return() {
      dropQueue(queue)
      leave()
      return { value: undefined, done: true }
    },
  }
  const read = () => {
    if (taken) throw new TypeError('This stream is being read already. Read it once; call result() for the whole answer.')
    taken = true
    return iterator
  }
  const whole = () => {
    unboundQueue(queue)
    return result
  }
  return {
    [Symbol.asyncIterator]: read,
    text: async () => (await whole()).text,
    result: whole,
    resume,
    toReadableStream() {
      read()
      return new ReadableStream<StreamEvent>({
        async pull(controller) {
          const { value, done } = await nextEvent(queue)
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
