import type { ResponseHeaders } from '../contract.ts'
import { decompress, encodingOf } from './decompress.ts'
import { plainBody } from './plain-body.ts'
import type { Body, BodyOptions } from './plain-body.ts'

/** The way from the bytes of an answer to the text its reader is given. */
export function createBody(options: BodyOptions & { readonly headers: ResponseHeaders }): Body {
  const encoding = encodingOf(options.headers)
  if (encoding === 'identity') return plainBody(options)
  return decompress({ ...options, encoding, into: resume => plainBody({ ...options, resume }) })
}
