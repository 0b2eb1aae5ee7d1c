/**
 * How much of one answer is taken before it counts as broken. The longest answer on offer, 393,216 tokens in chunks of about 300
 * bytes each, is 118 MB on the wire. It is read chunk by chunk, so its size stops nobody; twice that much is no answer.
 */
export const maxBodyBytes = 256 * 1024 * 1024

/**
 * The longest single event or line, in UTF-16 units. It is parsed in one step, which stops the process: about 10 ms for each MiB of
 * text. The largest thing that comes in one event is an image of 4 to 6 MiB as base64.
 */
export const maxEventLength = 8 * 1024 * 1024

/**
 * The longest answer in one JSON document, in UTF-16 units, parsed in one step as well. The longest on offer is about 2 MiB of text and
 * as much of thought; the rest is room for escapes and log probabilities.
 */
export const maxDocumentLength = 16 * 1024 * 1024

/** A limit as a person reads it. */
export function inMebibytes(bytes: number): string {
  return `${Number((bytes / (1024 * 1024)).toFixed(3))} MiB`
}
