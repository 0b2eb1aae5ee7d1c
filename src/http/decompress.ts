import zlib from 'node:zlib'
import type { Transform } from 'node:stream'
import type { ResponseHeaders } from '../contract.ts'
import { ProviderError } from '../errors.ts'

export type Encoding = 'identity' | 'gzip' | 'deflate' | 'br' | 'zstd'

const encodings: Readonly<Record<string, Encoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
}

const unreadableOnes: ReadonlySet<string> = new Set(['compress', 'x-compress', 'dcb', 'dcz', 'exi', 'pack200-gzip'])

/**
 * How a body is compressed, by its header and its first bytes. Every request asks for `identity`; some gateways compress in spite of it,
 * some without saying so (F61), and some write a word there that is no coding, `none` or `utf-8` (F60): such a body is read as it is.
 */
export function encodingOf(headers: ResponseHeaders, first: Buffer): Encoding {
  const value = headers['content-encoding']
  if (value === undefined) return magicOf(first)
  const words = String(value)
    .toLowerCase()
    .split(',')
    .map(word => word.trim())
    .filter(word => Object.hasOwn(encodings, word) || unreadableOnes.has(word))
  const [word, second] = words
  if (word === undefined) return magicOf(first)
  const encoding = second === undefined && Object.hasOwn(encodings, word) ? encodings[word] : undefined
  if (encoding !== undefined) return trueOne(encoding, first)
  if (isText(first)) return 'identity'
  throw new ProviderError(`The answer is compressed as "${words.join(', ')}", though it was asked for uncompressed.`, {
    reason: 'malformed-response',
  })
}

/** A label that some proxy has left on is believed only as far as the bytes allow. */
function trueOne(told: Encoding, first: Buffer): Encoding {
  const seen = magicOf(first)
  if (seen === 'gzip' || seen === 'zstd') return seen
  if (isText(first)) return 'identity'
  // these two always have their mark
  return (told === 'gzip' || told === 'zstd') && first.length >= mostMark ? seen : told
}

/** It begins like an answer or a page, and all that is looked at can be printed. */
function isText(first: Buffer): boolean {
  return /^[\s{["<:dei][\s\x20-\x7e]{7,}/.test(first.toString('latin1', 0, 32))
}

/** The longest mark that a format has. */
const mostMark = 4

/** So little has come that it may yet be the mark of a format. */
export function mayBeMark(first: Buffer): boolean {
  return first.length < mostMark && (first[0] === 0x1f || first[0] === 0x28 || first[0] === 0x78)
}

/** By what each format begins with. No text does: the second byte is no character, or a control character. brotli has no such mark. */
function magicOf(first: Buffer): Encoding {
  if (first[0] === 0x1f && first[1] === 0x8b) return 'gzip'
  if (first.length >= 4 && first.readUInt32LE() === 0xfd2fb528) return 'zstd'
  return first[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(first[1] ?? 0) ? 'deflate' : 'identity'
}

export type UnzipOptions = {
  readonly encoding: Exclude<Encoding, 'identity'>
  /** Answers `false` when no more should come until `resume` is called. */
  readonly onData: (bytes: Buffer) => boolean
  readonly onEnd: () => void
  /** It takes bytes again, after `write` answered `false`. */
  readonly onRoom: () => void
  readonly onError: (error: unknown) => void
}

export type Unzip = {
  write(chunk: Buffer): boolean
  end(): void
  resume(): void
  close(): void
}

/** Bytes on their way through zlib. What it takes in memory is bounded, because zlib stops when its reader does. */
export function unzip({ encoding, onData, onEnd, onRoom, onError }: UnzipOptions): Unzip {
  let stream: Transform | undefined

  const open = (first: Buffer): Transform => {
    const opened = createStream(encoding, first)
    opened.on('data', (chunk: Buffer) => attempted(() => onData(chunk) || opened.pause()))
    opened.on('end', () => attempted(onEnd))
    opened.on('error', error => onError(unreadable(error)))
    opened.on('drain', onRoom)
    return opened
  }
  const attempted = (step: () => unknown) => {
    try {
      step()
    } catch (error) {
      onError(error)
    }
  }

  return {
    write(chunk) {
      stream ??= open(chunk)
      return stream.write(chunk)
    },
    end() {
      // an empty body has no compressed form: zlib would call it cut
      if (stream === undefined) onEnd()
      else stream.end()
    },
    resume: () => stream?.resume(),
    close: () => stream?.destroy(),
  }
}

/** Each hands out what it can as soon as it can: a token must not wait for the block to be full. */
function createStream(encoding: UnzipOptions['encoding'], first: Buffer): Transform {
  if (encoding === 'br') return zlib.createBrotliDecompress({ flush: zlib.constants.BROTLI_OPERATION_FLUSH })
  if (encoding === 'zstd') return zlib.createZstdDecompress()
  const options = { flush: zlib.constants.Z_SYNC_FLUSH }
  if (encoding === 'gzip') return zlib.createGunzip(options)
  // "deflate" means the zlib format, whose first byte ends in 8; some servers send the bare one
  return ((first[0] ?? 8) & 0x0f) === 8 ? zlib.createInflate(options) : zlib.createInflateRaw(options)
}

function unreadable(error: Error & { code?: string }): ProviderError {
  const cut = error.code === 'Z_BUF_ERROR' || error.code === 'ERR_STREAM_PREMATURE_CLOSE'
  return cut
    ? new ProviderError('The compressed answer broke off before its end.', { reason: 'truncated', cause: error })
    : new ProviderError('The compressed answer cannot be decompressed.', { reason: 'malformed-response', cause: error })
}
