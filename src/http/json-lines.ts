import { ProviderError } from '../errors.ts'
import { inMebibytes, maxEventLength } from './limits.ts'

type LineReaderHandlers = {
  /** Receives one JSON document, or one line of other text without its line end. */
  onLine(line: string): void
  /** Called for a blank line, which only shows that the connection is alive. */
  onBlank?(): void
  /** The maximum length of a document or line, in UTF-16 units. @default 8 Mi */
  readonly maxLineBytes?: number | undefined
}

export type LineReader = {
  write(text: string): void
  /** Reads a last line that has no line end, or the part of a document that has arrived. */
  end(): void
  /** Whether the last bracket of a document has not arrived yet. */
  isOpen(): boolean
}

/**
 * Reads JSON documents that follow each other, as a rule one for each line. A document ends with its last bracket, so that one without a
 * line end is not waited for, and one that is spread over lines is read too. The JSON is not parsed here.
 */
export function createLineReader(handlers: LineReaderHandlers): LineReader {
  const { onLine, onBlank, maxLineBytes: limit = maxEventLength } = handlers
  const line = emptyLine()

  const endLine = () => {
    const text = line.pieces.length === 1 ? (line.pieces[0] as string) : line.pieces.join('')
    line.pieces = []
    line.length = 0
    line.isDocument = false
    line.isEnded = true
    restart(line.json)
    onLine(text.endsWith('\r') ? text.slice(0, -1) : text)
  }

  const endBlank = () => {
    if (line.isEnded) line.isEnded = false
    else onBlank?.()
  }

  return {
    write(text) {
      let at = 0
      while (at < text.length) {
        if (line.length === 0) {
          at = afterBlanks(text, at, endBlank)
          if (at === text.length) return
        }
        if (line.length < '[done]'.length) line.isDocument = beginsDocument.test(line.pieces.join('') + text.slice(at, at + 64))
        const end = line.isDocument ? endOfJson(line.json, text, at) : endOfLine(text, at)
        hold(line, text.slice(at, end), limit)
        at = end ?? text.length
        if (end !== undefined) endLine()
      }
    },
    end() {
      if (line.length > 0) endLine()
    },
    isOpen: () => line.isDocument,
  }
}

/** The pieces of a line are joined once: appending each piece would copy a long line again and again. */
type Line = {
  pieces: string[]
  length: number
  isDocument: boolean
  json: JsonEnd
  /** The line end after the last document or line has not arrived yet. It is not a blank line. */
  isEnded: boolean
}

function emptyLine(): Line {
  return { pieces: [], length: 0, isDocument: false, json: startOfJson(), isEnded: false }
}

/** Returns where the next line begins. Also skips record separators (RFC 7464) and a byte order mark. */
function afterBlanks(text: string, from: number, endBlank: () => void): number {
  let at = from
  for (; at < text.length && isBlank(text.charCodeAt(at)); at += 1) if (text.charCodeAt(at) === lineFeed) endBlank()
  return at
}

const lineFeed = 0x0a
const space = 0x20
const byteOrderMark = 0xfeff

/** Control characters count too: a record separator is one. */
function isBlank(code: number): boolean {
  return code <= space || code === byteOrderMark
}

/** The beginning of a JSON document, as far as it has arrived. Other text in brackets, such as `[Errno 111] refused`, is a line. */
const beginsDocument = /^(?:\{\s*(?:["}]|$)|\[\s*(?:["{[\]]|$)|\[[done]{1,4}(?:\]|$))/i

function endOfLine(text: string, from: number): number | undefined {
  const end = text.indexOf('\n', from)
  return end === -1 ? undefined : end
}

function hold(line: Line, piece: string, limit: number): void {
  line.length += piece.length
  if (line.length > limit) throw tooLong(limit)
  line.pieces.push(piece)
}

function tooLong(limit: number): ProviderError {
  return new ProviderError(`One document of the answer is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}

/** The state of the scan of one JSON text. */
export type JsonEnd = { depth: number; inText: boolean; escaped: boolean }

export function startOfJson(): JsonEnd {
  return { depth: 0, inText: false, escaped: false }
}

function restart(json: JsonEnd): void {
  json.depth = 0
  json.inText = false
  json.escaped = false
}

const quote = 0x22
const backslash = 0x5c

/**
 * Scans the next piece of a JSON object or array. Returns the index after its closing bracket; undefined while it is open. There the
 * document is complete, even if the server does not end the body. The JSON is not validated: that is the parser's work.
 */
export function endOfJson(at: JsonEnd, piece: string, from = 0): number | undefined {
  for (let index = from; index < piece.length; index += 1) {
    if (at.inText) index = endOfText(at, piece, index)
    const code = piece.charCodeAt(index)
    if (code === quote) at.inText = true
    else if (code === 0x7b || code === 0x5b) at.depth += 1
    else if (code === 0x7d || code === 0x5d) {
      at.depth -= 1
      if (at.depth <= 0) return index + 1
    }
  }
  return undefined
}

/** Returns where the JSON string that is open ends; the length of the piece if its end has not arrived. */
function endOfText(at: JsonEnd, piece: string, from: number): number {
  for (let index = from; index < piece.length; index += 1) {
    const code = piece.charCodeAt(index)
    if (at.escaped) at.escaped = false
    else if (code === backslash) at.escaped = true
    else if (code === quote) {
      at.inText = false
      return index + 1
    }
  }
  return piece.length
}
