/**
 * The maximum size of one answer. The longest answer that a service offers, 393,216 tokens in chunks of about 300 bytes each, is
 * 118 MB on the wire. An answer is read chunk by chunk, so its size blocks nothing, but twice that size cannot be a valid answer.
 */
export const maxBodyBytes = 256 * 1024 * 1024

/**
 * The maximum length of a single event or line, in UTF-16 units. It is parsed in one step, which blocks the process for about 10 ms per
 * MiB of text. The largest content of a single event is an image of 4 to 6 MiB as base64.
 */
export const maxEventLength = 8 * 1024 * 1024

/**
 * The maximum length of an answer in one JSON document, in UTF-16 units, which is parsed in one step as well. The longest answer that a
 * service offers is about 2 MiB of text and 2 MiB of reasoning; the rest is room for escapes and log probabilities.
 */
export const maxDocumentLength = 16 * 1024 * 1024

/** Formats a limit for an error message. */
export function inMebibytes(bytes: number): string {
  return `${Number((bytes / (1024 * 1024)).toFixed(3))} MiB`
}
