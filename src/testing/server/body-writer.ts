import { setImmediate } from 'node:timers/promises'
import { createBrotliCompress, createDeflate, createGzip, constants } from 'node:zlib'
import type { Conduct } from '../reply.ts'

/** Writes the parts of a body to the socket, compressed and split as the reply requires. */
export type BodyWriter = {
  write(part: string | Uint8Array): Promise<void>
  /** Sends bytes that were held back because a piece was not full. */
  flush(): Promise<void>
  /** Sends all bytes that were held back, and the end of a compressed body. */
  end(): Promise<void>
}

type Send = (bytes: Uint8Array) => Promise<void>

export function createBodyWriter(
  send: Send,
  conduct: { split: Conduct['split']; contentEncoding: Conduct['contentEncoding'] },
): BodyWriter {
  const splitter = createSplitter(send, conduct.split)
  const { contentEncoding } = conduct
  if (contentEncoding === undefined) {
    return { write: part => splitter.write(Buffer.from(part)), flush: () => splitter.flush(), end: () => splitter.flush() }
  }
  const compressor = createCompressor(contentEncoding)
  return {
    write: async part => splitter.write(await compressor.compress(part)),
    flush: () => splitter.flush(),
    async end() {
      await splitter.write(await compressor.finish())
      await splitter.flush()
    },
  }
}

function createSplitter(
  send: Send,
  split: Conduct['split'],
): { write(bytes: Uint8Array): Promise<void>; flush(): Promise<void> } {
  if (split === undefined || split === 'event')
    return { write: bytes => (bytes.length === 0 ? Promise.resolve() : send(bytes)), flush: async () => {} }
  const size = split === 'byte' ? 1 : split === 'whole' ? Infinity : split
  let held = Buffer.alloc(0)
  const sendPiece = async (length: number): Promise<void> => {
    const piece = held.subarray(0, length)
    held = held.subarray(length)
    await send(piece)
    // Wait one turn of the event loop, so that a client in this process reads the piece before the next one can be merged with it.
    await setImmediate()
  }
  return {
    async write(bytes) {
      held = Buffer.concat([held, bytes])
      while (held.length >= size) await sendPiece(size)
    },
    async flush() {
      if (held.length > 0) await sendPiece(held.length)
    },
  }
}

function createCompressor(encoding: NonNullable<Conduct['contentEncoding']>): {
  compress(part: string | Uint8Array): Promise<Uint8Array>
  finish(): Promise<Uint8Array>
} {
  const stream = { gzip: () => createGzip(), deflate: () => createDeflate(), br: () => createBrotliCompress() }[encoding]()
  let pieces: Buffer[] = []
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  const taken = (): Uint8Array => {
    const bytes = Buffer.concat(pieces)
    pieces = []
    return bytes
  }
  const flushKind = encoding === 'br' ? constants.BROTLI_OPERATION_FLUSH : constants.Z_SYNC_FLUSH
  return {
    async compress(part) {
      stream.write(part)
      // Without the flush, the compressor would buffer small events and nothing would be streamed.
      await new Promise<void>(resolve => stream.flush(flushKind, resolve))
      return taken()
    },
    async finish() {
      await new Promise<void>(resolve => {
        stream.once('end', resolve)
        stream.end()
      })
      return taken()
    },
  }
}
