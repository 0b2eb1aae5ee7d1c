import { createBreaker } from './breaker.ts'
import type { Breaker, BreakerOptions, BreakerPermit } from './breaker.ts'
import type { BreakerSettings } from './settings.ts'

/** A breaker, or with `false` one that never opens: a target is then left only by gates (R98). */
export function breakerOf(settings: BreakerSettings | false, options: Omit<BreakerOptions, 'settings'>): Breaker {
  return settings === false ? neverOpen() : createBreaker({ settings, ...options })
}

function neverOpen(): Breaker {
  const permit: BreakerPermit = { epoch: 0, probe: 0, success: undefined }
  const nothing = () => {}
  return {
    openAt: () => Number.NEGATIVE_INFINITY,
    onTrial: () => false,
    why: () => ({ reason: 'server-error', message: '' }),
    state: () => 'closed',
    enter: () => permit,
    enterOpen: () => permit,
    succeed: nothing,
    finish: nothing,
    fail: nothing,
    abandon: nothing,
    pass: nothing,
    openUntil: nothing,
    close: nothing,
    pardon: nothing,
  }
}
