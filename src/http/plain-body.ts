import type { Attempt } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { createTextDecoding } from './decode-text.ts'
import { inMebibytes } from './limits.ts'

/** Reads the body of one answer. */
export type BodyReader = {
  /**
   * Decoded text in order; a byte order mark is left in. Throws a `ProviderError` to end the attempt, which closes the connection.
   * Answers `false` to pause the socket until `attempt.onDrain` calls back; what was read from the socket before may still come.
   */
  write(text: string): boolean
  /** The body ended cleanly, or the server closed it cleanly. Throws a `ProviderError` when what came is no answer. */
  end(): void
}

/** Takes the bytes of one body as they arrive. Throws what the reader throws. */
export type Body = {
  /** Answers `false` when no more should come until `resume` is called. */
  write(chunk: Buffer): boolean
  end(): void
  /** Lets go of everything; nothing is called any more. */
  close(): void
}

export type BodyOptions = {
  readonly reader: BodyReader
  readonly attempt: Pick<Attempt, 'onDrain'>
  readonly maxBodyBytes: number
  readonly resume: () => void
  /** The whole body was read, and the reader's `end` was content with it. */
  readonly done: () => void
  /** What went wrong outside of `write` and `end`. */
  readonly fail: (error: unknown) => void
}

/** A body that comes as it is. */
export function plainBody({ reader, attempt, maxBodyBytes, resume, done }: BodyOptions): Body {
  const text = createTextDecoding()
  let bytes = 0
  let waiting = false

  const pass = (piece: string): boolean => {
    if (piece === '' || reader.write(piece)) return !waiting
    if (!waiting) {
      waiting = true
      attempt.onDrain(() => {
        waiting = false
        resume()
      })
    }
    return false
  }

  return {
    write(chunk) {
      bytes += chunk.length
      if (bytes > maxBodyBytes) throw tooLarge(maxBodyBytes)
      return pass(text.write(chunk))
    },
    end() {
      const rest = text.end()
      if (rest !== '') reader.write(rest)
      reader.end()
      done()
    },
    close() {},
  }
}

function tooLarge(limit: number): ProviderError {
  return new ProviderError(`The answer is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
