import type { FailureReason } from '../contract.ts'
import type { Guard, Trial } from './guard.ts'
import type { GateSettings } from './settings.ts'
import { tokensOf } from './size.ts'
import type { Sized } from './size.ts'

/**
 * Keeps calls away until a time that the server named. Up to `obeyedMs` it is obeyed to the letter (R92). A longer one shuts a whole
 * deployment for a day because of one long prompt (F20): while it lasts one call in each `obeyedMs` looks whether it still holds, and a
 * request of at most half the size of the refused one may go.
 */
export type Gate = Guard & {
  /** Also asked with the call: a much smaller one than the refused may pass a long time. */
  openAt(now: number, call?: Sized): number
  /** Answers until when it is shut now. `tokens`: the size of the refused request. */
  shut(refusal: Refusal, now: number, tokens?: number): number
  /** Shuts it until a time that somebody else has drawn already. */
  shutUntil(until: number, refusal: Refusal, at: { readonly now: number; readonly tokens?: number | undefined }): number
  /** The one call that looks; undefined when there is nothing to look for, or when it is not time yet. */
  take(now: number): Trial | undefined
  /** A call was answered: refusals in a row are over. */
  answered(): void
  /** Somebody found that a long time does not hold any more. */
  lift(): void
  /** Whether one of its times is long, and holds. */
  isLong(now: number): boolean
}

export type Refusal = {
  readonly reason: FailureReason
  readonly message: string
  /** Undefined: no time was named. */
  readonly retryAfterMs: number | undefined
  /** The longest that it can last, where no time was named. */
  readonly atMostMs?: number | undefined
}

type Memory = {
  readonly settings: GateSettings
  readonly random: () => number
  /** Obeyed to the letter. */
  until: number
  longUntil: number
  /** When the next call may look whether the long time still holds. */
  lookAt: number
  /** The size of the smallest request that the long time is about; undefined: not known. */
  tokens: number | undefined
  /** Refusals in a row that named no time. */
  unnamed: number
  why: { reason: FailureReason; message: string }
}

const never = Number.NEGATIVE_INFINITY

export function createGate(settings: GateSettings, random: () => number): Gate {
  const why = { reason: 'rate-limit' as FailureReason, message: '' }
  const memory: Memory = { settings, random, until: never, longUntil: never, lookAt: never, tokens: undefined, unnamed: 0, why }
  return {
    openAt: (now, call) => openAt(memory, now, call),
    onTrial: now => now < memory.longUntil && now >= memory.lookAt && now >= memory.until,
    why: () => memory.why,
    shut: (refusal, now, tokens) =>
      shutUntil(memory, now + closedMs(memory, refusal, now), {
        refusal,
        now,
        tokens,
        isLong: isLongTime(refusal.retryAfterMs, settings),
      }),
    shutUntil: (until, refusal, { now, tokens }) =>
      shutUntil(memory, until, {
        refusal,
        now,
        tokens,
        isLong: isLongTime((until - now) / (1 + settings.jitterShare), settings),
      }),
    take: now => take(memory, now),
    answered: () => void (memory.unnamed = 0),
    lift: () => void (memory.longUntil = never),
    isLong: now => now < memory.longUntil,
  }
}

function isLongTime(namedMs: number | undefined, { obeyedMs }: GateSettings): boolean {
  return isDuration(namedMs) && namedMs > obeyedMs
}

function openAt({ until, longUntil, lookAt, tokens }: Memory, now: number, call?: Sized): number {
  if (now >= longUntil) return Math.max(until, longUntil)
  if (call !== undefined && tokens !== undefined && tokensOf(call) <= tokens / 2) return until
  return Math.max(until, Math.min(lookAt, longUntil))
}

type Shutting = { readonly refusal: Refusal; readonly now: number; readonly tokens: number | undefined; readonly isLong: boolean }

/** The later of two times stays (R99): an old answer with a short time must not open what a newer one has shut. */
function shutUntil(memory: Memory, at: number, { refusal, now, tokens, isLong }: Shutting): number {
  const latest = Math.max(memory.until, memory.longUntil)
  if (at > latest) memory.why = { reason: refusal.reason, message: refusal.message }
  if (isLong) shutForLong(memory, at, { now, tokens })
  else memory.until = Math.max(memory.until, at)
  return Math.max(latest, at)
}

function shutForLong(
  memory: Memory,
  at: number,
  { now, tokens }: { readonly now: number; readonly tokens: number | undefined },
): void {
  const { settings, random, longUntil } = memory
  const isNew = now >= longUntil
  memory.tokens = isNew || memory.tokens === undefined ? tokens : Math.min(memory.tokens, tokens ?? memory.tokens)
  memory.longUntil = Math.max(longUntil, at)
  memory.lookAt = Math.max(isNew ? never : memory.lookAt, now + settings.obeyedMs * (1 + settings.jitterShare * random()))
}

function take(memory: Memory, now: number): Trial | undefined {
  const { settings, longUntil, lookAt, until } = memory
  if (now >= longUntil || now < lookAt || now < until) return undefined
  const nextLookAt = now + settings.obeyedMs
  memory.lookAt = nextLookAt
  let isOver = false
  return {
    end(verdict, at) {
      if (isOver) return
      isOver = true
      // a refusal that has come in the meantime is newer
      if (memory.lookAt !== nextLookAt) return
      if (verdict === 'good') memory.longUntil = never
      // it never found out: the next call may look
      else if (verdict === 'none') memory.lookAt = at
    },
  }
}

/** Never shorter than what the server asked for (R92), and spread, so that a fleet does not come back in one moment (R140). */
function closedMs(memory: Memory, { retryAfterMs, atMostMs }: Refusal, now: number): number {
  const { settings, random } = memory
  if (isDuration(retryAfterMs)) return retryAfterMs + random() * Math.max(settings.jitterShare * retryAfterMs, settings.jitterMs)
  // Refusals of calls that were under way together are one refusal.
  if (now >= memory.until) memory.unnamed += 1
  const longestMs = Math.max(settings.unnamedMs, atMostMs ?? 0)
  return Math.min(longestMs, settings.unnamedMs * 2 ** (memory.unnamed - 1)) * (0.5 + 0.5 * random())
}

/** A time that can be waited for: garbage counts as no time at all. */
export function isDuration(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value >= 0
}
