import type { Attempt } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'

/** Between an answer and who reads it. One for each request. */
export type AnswerGuard = {
  /** The reader's ways to the attempt. */
  readonly emit: Attempt['emit']
  readonly linger: Attempt['linger']
  /** Whatever is thrown in here the answer is to blame for. */
  guard(reader: BodyReader, status: number): BodyReader
}

/**
 * An answer that is built to break its reader must not end the call, which has other targets: what is thrown while it is read is this
 * target's failure. Only what who hears the events throws is not the answer's: a bug in a schema of the caller's, for example.
 */
export function answerGuard({ emit, linger, signal }: Attempt): AnswerGuard {
  let ofListener: unknown
  let answered: number | undefined
  const blamed = <Value>(step: () => Value): Value => {
    try {
      return step()
    } catch (error) {
      if (ProviderError.isInstance(error) || error === ofListener || signal.aborted) throw error
      const message = 'The answer could not be read: it is built as no answer should be.'
      throw new ProviderError(message, { reason: 'malformed-response', status: answered, cause: error })
    }
  }
  return {
    emit(event) {
      try {
        return emit(event)
      } catch (error) {
        ofListener = error
        throw error
      }
    },
    linger:
      linger === undefined
        ? undefined
        : (listener, forMs) => linger(listener === undefined ? undefined : () => blamed(listener), forMs),
    guard(reader, status) {
      answered = status
      const { isOver, lost } = reader
      return {
        write: text => blamed(() => reader.write(text)),
        end: () => blamed(() => reader.end()),
        ...(isOver === undefined ? undefined : { isOver }),
        ...(lost === undefined ? undefined : { lost: () => blamed(lost) }),
      }
    },
  }
}
