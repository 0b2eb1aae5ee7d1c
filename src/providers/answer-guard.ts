import type { Attempt } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'

/** A reader's ways to the attempt. */
export type Ways = { readonly emit: Attempt['emit']; readonly linger: Attempt['linger'] }

/**
 * Between an answer and who reads it. An answer that is built to break its reader must not end the call, which has other targets: what
 * is thrown while it is read is this target's failure. Only what who hears the events throws is not the answer's: a bug in a schema of
 * the caller's, for example.
 */
export function guarded(attempt: Attempt, status: number, open: (ways: Ways) => BodyReader): BodyReader {
  const { emit, linger, signal } = attempt
  let ofListener: unknown
  // for each answer as few functions as can be: a thousand slow streams hold a thousand of each
  const reader = open({
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
        : (listener, forMs) => {
            const step = () => {
              try {
                listener?.()
              } catch (error) {
                throw blamed(error, ofListener, { signal, status })
              }
            }
            linger(listener === undefined ? undefined : step, forMs)
          },
  })
  const { isOver, lost } = reader
  return {
    write(text) {
      try {
        return reader.write(text)
      } catch (error) {
        throw blamed(error, ofListener, { signal, status })
      }
    },
    end() {
      try {
        reader.end()
      } catch (error) {
        throw blamed(error, ofListener, { signal, status })
      }
    },
    isOver,
    lost:
      lost === undefined
        ? undefined
        : () => {
            try {
              return lost()
            } catch (error) {
              throw blamed(error, ofListener, { signal, status })
            }
          },
  }
}

type Read = { readonly signal: AbortSignal; readonly status: number }

/** Whatever is thrown while an answer is read the answer is to blame for. */
function blamed(error: unknown, ofListener: unknown, { signal, status }: Read): unknown {
  if (ProviderError.isInstance(error) || error === ofListener || signal.aborted) return error
  const message = 'The answer could not be read: it is built as no answer should be.'
  return new ProviderError(message, { reason: 'malformed-response', status, cause: error })
}
