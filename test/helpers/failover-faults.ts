import { answer, type AnswerOptions, hang, json, refuse, type Reply, status } from 'unbusy/testing'
import type { FlowingTime } from './flowing-time.ts'

/** Replies to request number `number` of a server, from 1. */
export type Script = (number: number, time: FlowingTime, body: string) => Reply

export type FailoverFault = {
  readonly what: string
  readonly primary: Script
  /** @default it answers */
  readonly fallback?: Script
  /** The call must be over by then. */
  readonly withinMs: number
  /** The reader has seen text when it breaks: a stream may end in a clean error. @default false */
  readonly breaksLate?: boolean
  /** Nobody is to answer, for this reason. @default somebody is */
  readonly refusedFor?: string
  /** The most requests to the primary. @default any number */
  readonly primaryRequests?: number
}

const words = Array.from({ length: 60 }, (_, index) => `word${index} `)
export const text = words.join('')
export const whole = (options: AnswerOptions = {}): Reply => answer(words, options)
const refusal = (code: string) => json({ error: { message: 'No.', type: 'invalid_request_error', code } }, { status: 400 })

/** Faults of FailoverBench (failoverbench/failoverbench, methodology v0.1) with its bounds. S15, an outage of a minute, is many calls. */
export const failoverFaults: { readonly [number: string]: FailoverFault } = {
  S01: {
    what: '429 with Retry-After: 2, then healthy',
    primary: number => (number === 1 ? status(429, undefined, { 'retry-after': '2' }) : whole()),
    withinMs: 40_000,
  },
  S02: { what: '429 without Retry-After, always', primary: () => status(429), withinMs: 40_000, primaryRequests: 6 },
  S03: {
    what: '500, then healthy',
    primary: number => (number === 1 ? status(500) : whole()),
    withinMs: 20_000,
    primaryRequests: 2,
  },
  S04: { what: '503, always', primary: () => status(503), withinMs: 40_000, primaryRequests: 6 },
  S05: {
    what: 'a reset before any byte, then healthy',
    primary: number => (number === 1 ? refuse('rst') : whole()),
    withinMs: 20_000,
  },
  S06: { what: 'never answered', primary: () => hang(), withinMs: 100_000, primaryRequests: 1 },
  S07: {
    what: 'headers at once, the first token after 20 s',
    primary: (_, time) => whole({ firstChunkUntil: time.after(20_000) }),
    withinMs: 15_000,
  },
  S08: {
    what: 'the stream dies after 40 of 60 tokens, always',
    primary: () => whole({ cutAfterChunks: 40, cutBy: 'fin' }),
    withinMs: 40_000,
    breaksLate: true,
  },
  S09: {
    what: 'after 20 tokens silent for 30 s, then closed',
    primary: (_, time) => whole({ stallAfterChunks: 20, stallUntil: time.after(30_000), cutAfterChunks: 20, cutBy: 'fin' }),
    withinMs: 45_000,
    breaksLate: true,
  },
  S10: {
    what: 'the tenth event is no JSON, the rest is normal',
    primary: number => whole(number === 1 ? { malformedChunk: 9 } : {}),
    withinMs: 40_000,
    breaksLate: true,
  },
  S11: { what: 'a whole stream without [DONE]', primary: () => whole({ noDone: true }), withinMs: 8_000, primaryRequests: 1 },
  S12: {
    what: '400 context_length_exceeded, always',
    primary: () => refusal('context_length_exceeded'),
    withinMs: 40_000,
    primaryRequests: 1,
  },
  S13: {
    what: '400 content_policy_violation, always',
    primary: () => refusal('content_policy_violation'),
    withinMs: 40_000,
    refusedFor: 'content-filter',
    primaryRequests: 1,
  },
  S14: {
    what: 'as S08, and the fallback refuses to continue a text',
    primary: () => whole({ cutAfterChunks: 40, cutBy: 'fin' }),
    fallback: (_number, _time, body) => (body.includes('"assistant"') ? refusal('prefill_not_supported') : whole()),
    withinMs: 40_000,
    breaksLate: true,
  },
  S16: { what: '503 always, and the fallback answers', primary: () => status(503), withinMs: 40_000, primaryRequests: 6 },
}
