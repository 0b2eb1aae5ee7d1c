import { ProviderError } from '../errors.ts'
import { decodeEnd, decodePiece } from './decode-text.ts'
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
  /** What it waits for has come: nothing that is still on its way is read. */
  readonly isOver?: (() => boolean) | undefined
  /**
   * The rest of the body is lost. Answers whether what came before was whole without it; then it is told, as by `end`. Throws a
   * `ProviderError` when it was whole and is no answer.
   */
  readonly lost?: (() => boolean) | undefined
}

/** The way from the bytes of one answer to the text that its reader is given. */
export type Body = {
  readonly reader: BodyReader
  readonly maxBytes: number
  bytes: number
  carried: Buffer | undefined
}

/** Answers `false` when the reader is behind. Throws what the reader throws. */
export function readPiece(body: Body, piece: Buffer): boolean {
  const { reader, maxBytes } = body
  body.bytes += piece.length
  if (body.bytes > maxBytes) throw tooLarge(maxBytes)
  const text = decodePiece(body, piece)
  return text === '' || reader.write(text)
}

/** Throws what the reader throws. */
export function readEnd(body: Body): void {
  const rest = decodeEnd(body)
  if (rest !== '') body.reader.write(rest)
  body.reader.end()
}

function tooLarge(limit: number): ProviderError {
  return new ProviderError(`The answer is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
