/**
 * How much of one answer is taken before it counts as broken. The longest answer on offer, 393,216 tokens in chunks of about 300
 * bytes each, is 118 MB on the wire.
 */
export const maxBodyBytes = 256 * 1024 * 1024

/** The longest single event or line, in UTF-16 units: a tool call or an image comes in one, a megabyte is far beyond both. */
export const maxEventLength = 8 * 1024 * 1024

/** A limit as a person reads it. */
export function inMebibytes(bytes: number): string {
  return `${Number((bytes / (1024 * 1024)).toFixed(3))} MiB`
}
