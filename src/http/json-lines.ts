import { ProviderError } from '../errors.ts'
import { inMebibytes, maxEventLength } from './limits.ts'

export type LineReaderHandlers = {
  /** One line that is not blank, without its line end. */
  onLine(line: string): void
  /** A blank line: a sign of life, and nothing else. */
  onBlank?(): void
  /** The longest line, in UTF-16 units. @default 8 Mi */
  readonly maxLineBytes?: number | undefined
}

/** Reads newline-delimited JSON line by line; a last line without its line end is read too. Parses nothing. */
export function createLineReader(handlers: LineReaderHandlers): { write(text: string): void; end(): void } {
  const limit = handlers.maxLineBytes ?? maxEventLength
  // Pieces of one line are joined once: to append each of them would copy a long line again for every piece.
  let pieces: string[] = []
  let length = 0

  const hold = (piece: string) => {
    length += piece.length
    if (length > limit) throw tooLong(limit)
    pieces.push(piece)
  }
  const endLine = () => {
    const line = pieces.join('')
    pieces = []
    length = 0
    if (line.trim() === '') handlers.onBlank?.()
    else handlers.onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
  }

  return {
    write(text) {
      let start = 0
      for (let lineEnd = text.indexOf('\n'); lineEnd !== -1; lineEnd = text.indexOf('\n', start)) {
        hold(text.slice(start, lineEnd))
        start = lineEnd + 1
        endLine()
      }
      if (start < text.length) hold(text.slice(start))
    },
    end() {
      if (length > 0) endLine()
    },
  }
}

function tooLong(limit: number): ProviderError {
  return new ProviderError(`One line of the answer is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
