import type { Attempt } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'

/** How a reader reports to its attempt. */
export type Ways = { readonly emit: Attempt['emit']; readonly linger: Attempt['linger'] }

/**
 * Stands between an answer and its reader. A malicious answer that breaks its reader must not end the call, which has other
 * targets: an exception while reading becomes this target's failure. Exceptions of an event listener are not the answer's fault
 * (a bug in the caller's schema, for example) and pass through.
 */
export function guarded(attempt: Attempt, status: number, open: (ways: Ways) => BodyReader): BodyReader {
  const { emit, linger, signal } = attempt
  let ofListener: unknown
  // as few closures as possible for each answer: a thousand slow streams hold a thousand of each
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

/** Blames the answer for anything thrown while it is read, except provider errors, the listener's own errors and aborts. */
function blamed(error: unknown, ofListener: unknown, { signal, status }: Read): unknown {
  if (ProviderError.isInstance(error) || error === ofListener || signal.aborted) return error
  const message = 'The answer could not be read, because it does not have the structure of an answer.'
  return new ProviderError(message, { reason: 'malformed-response', status, cause: error })
}
