import type { Work } from './jobs.ts'

/** What is profiled or compared: one kind of call. */
export type Scene = { readonly tokens: number; readonly pace: 'whole' | 'each'; readonly kind: Work['kind'] }

export const scenes: { readonly [name: string]: Scene } = {
  call: { tokens: 27, pace: 'whole', kind: 'call' },
  stream: { tokens: 27, pace: 'whole', kind: 'stream' },
  chunk: { tokens: 420, pace: 'whole', kind: 'stream' },
  each: { tokens: 420, pace: 'each', kind: 'stream' },
  fallback: { tokens: 27, pace: 'whole', kind: 'fallback' },
}

/** `json`: plain calls of this client get one JSON document instead of a stream. */
export const workOf = ({ tokens, pace, kind }: Scene, { origin, json }: { origin: string; json: boolean }): Work => {
  const url = json && kind !== 'stream' ? `${origin}/json` : `${origin}/stream/${tokens}/${pace}`
  return kind === 'fallback' ? { kind, busyUrl: `${origin}/busy`, url } : { kind, url }
}
