/** How far a request came: no connection yet, sent and no headers yet, or headers are here. */
export type Phase = 'connecting' | 'waiting' | 'reading'

export type TransportError = Error & {
  readonly code?: string | undefined
  readonly socket?: { readonly bytesRead?: number | undefined } | undefined
}

/** The parser's complaints, except that the end came too soon. undici means to give them codes, but up to 8.12 has none in them. */
export function isGarbled(error: TransportError): boolean {
  return error.name === 'HTTPParserError' && !/eof/i.test(error.message)
}

export function reasonOf(error: TransportError): string {
  const { code = '', message } = error
  // undici's own codes are one for many things, a system's message repeats its code
  if (code.startsWith('UND_ERR') || code === '') return message === '' ? error.name : message
  return code
}
