/** What a running server reports about its cache. */
export type Printed = {
  /** The tokens that fit into the cache of one engine. */
  readonly kvTokens: number
  /** The `--max-model-len` of the server, if the second line was given. */
  readonly context: number | undefined
}

/** Reads a number, or the lines that vLLM prints at start. */
export function readPrinted(printed: number | string): Printed {
  if (typeof printed === 'number') return { kvTokens: Math.floor(printed), context: undefined }
  const size = /KV cache size: *([\d,]+) *tokens/i.exec(printed)?.[1]
  const [, context, times] = /concurrency for ([\d,]+) tokens per request: *([\d.]+)/i.exec(printed) ?? []
  const length = context === undefined ? undefined : plain(context)
  if (size !== undefined) return { kvTokens: plain(size), context: length }
  if (length !== undefined && times !== undefined) return { kvTokens: Math.floor(length * Number(times)), context: length }
  const bare = /^\s*[\d,_]+\s*$/.test(printed) ? plain(printed) : 0
  if (bare > 0) return { kvTokens: bare, context: undefined }
  throw new TypeError(
    `sizeDeployment: kvCacheSize must be a number of tokens, or vLLM's line 'GPU KV cache size: 123,456 tokens'.`,
  )
}

function plain(written: string): number {
  return Number(written.replaceAll(/[,_\s]/g, ''))
}
