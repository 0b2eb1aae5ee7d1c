import { ProviderError } from '../errors.ts'
import { endOfJson, type JsonEnd, startOfJson } from './json-end.ts'
import { inMebibytes, maxEventLength } from './limits.ts'

export type LineReaderHandlers = {
  /** One line that is not blank, without its line end. */
  onLine(line: string): void
  /** A blank line: a sign of life, and nothing else. */
  onBlank?(): void
  /** The longest line, in UTF-16 units. @default 8 Mi */
  readonly maxLineBytes?: number | undefined
}

export type LineReader = {
  write(text: string): void
  /** Reads a last line that has no line end. */
  end(): void
  /** The last line, where its JSON is closed and only the line end is missing. It is not read yet. */
  unended(): string | undefined
}

/**
 * Reads newline-delimited JSON line by line; a last line without its line end is read too, and a document that is spread over lines
 * for people to read is one line. Parses nothing.
 */
export function createLineReader(handlers: LineReaderHandlers): LineReader {
  const limit = handlers.maxLineBytes ?? maxEventLength
  const line = emptyLine()

  const endLine = () => {
    const text = line.pieces.join('')
    Object.assign(line, emptyLine())
    if (text.trim() === '') handlers.onBlank?.()
    else handlers.onLine(text.endsWith('\r') ? text.slice(0, -1) : text)
  }

  return {
    write(text) {
      let start = 0
      for (let lineEnd = text.indexOf('\n'); lineEnd !== -1; lineEnd = text.indexOf('\n', start)) {
        // megabytes of blank lines must not stop the process
        if (lineEnd === start && line.length === 0) handlers.onBlank?.()
        else {
          hold(line, text.slice(start, lineEnd), limit)
          if (!isSpread(line)) endLine()
        }
        start = lineEnd + 1
      }
      if (start < text.length) hold(line, text.slice(start), limit)
    },
    end() {
      if (line.length > 0) endLine()
    },
    unended() {
      if (line.length === 0 || !isClosed(line)) return undefined
      return line.pieces.join('')
    },
  }
}

/** Pieces of one line are joined once: to append each of them would copy a long line again for every piece. */
type Line = { pieces: string[]; length: number; seen: number; json: JsonEnd; isClosed: boolean; isSpread: boolean }

function emptyLine(): Line {
  return { pieces: [], length: 0, seen: 0, json: startOfJson(), isClosed: false, isSpread: false }
}

function hold(line: Line, piece: string, limit: number): void {
  line.length += piece.length
  if (line.length > limit) throw tooLong(limit)
  line.pieces.push(piece)
}

/** One bracket alone is no line: the document goes on until it is closed. */
function isSpread(line: Line): boolean {
  line.isSpread ||= line.length < 8 && line.pieces.join('').trim() === '{'
  return line.isSpread && !isClosed(line)
}

/** Looks only at what was not looked at yet. */
function isClosed(line: Line): boolean {
  for (; !line.isClosed && line.seen < line.pieces.length; line.seen += 1)
    line.isClosed = endOfJson(line.json, line.pieces[line.seen] ?? '') !== undefined
  return line.isClosed
}

function tooLong(limit: number): ProviderError {
  return new ProviderError(`One line of the answer is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
