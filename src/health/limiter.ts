import type { LimiterSettings } from './settings.ts'

/**
 * How many requests a target takes at once. Nothing is known, and nothing limited, until it refuses one; from then on the limit falls
 * by a third with every refusal and grows with every success at it (AIMD). Gradients of the response time, as Vegas
 * or Envoy use them, do not fit: an answer may last a hundred times longer than another one.
 */
export type Limiter = {
  hasRoom(now: number): boolean
  enter(): void
  /** Gives one place back. `answeredMs`: how long it was held, when it ended with an answer. */
  leave(answeredMs?: number): void
  /** A first content came. */
  succeed(): void
  /** The target said that it is too busy. */
  refuse(now: number): void
  /** The target said how many it takes. */
  obey(limit: number, now: number): void
  /** Its share of what the target takes, as the fleet has divided it. */
  share(limit: number, now: number): void
  /** The target was out and is back: begins small and doubles with every round. */
  startSlowly(): void
  /** The target is out: what was in flight at its best is remembered. */
  stop(): void
  inFlight(): number
  limit(now: number): number
}

export function createLimiter(settings: LimiterSettings): Limiter {
  let inFlight = 0
  let limit = Infinity
  /** A limit that has grown above this is none any more. */
  let liftAt = Infinity
  let isSlowStart = false
  let peak = 0
  let lastPeak = 0
  let lastDecreaseAt = Number.NEGATIVE_INFINITY
  const round = createRound()
  const named = createNamedLimit(settings)

  const limitAt = (now: number) => Math.min(limit, named.at(now))

  function decrease(now: number): void {
    // All that was in flight together is refused together: one decrease a round, or a single hiccup would end at 1.
    if (now - lastDecreaseAt < round.ms()) return
    lastDecreaseAt = now
    isSlowStart = false
    liftAt = Infinity
    limit = Math.max(1, Math.floor(Math.min(limit, inFlight) * settings.decrease))
  }

  return {
    hasRoom: now => inFlight < limitAt(now),
    enter() {
      inFlight += 1
    },
    leave(answeredMs) {
      inFlight -= 1
      if (answeredMs !== undefined) round.add(answeredMs)
    },
    succeed() {
      // What was in flight when answers came, not when a black hole piled them up.
      if (inFlight > peak) peak = inFlight
      if (limit === Infinity || !(isSlowStart || inFlight >= limit)) return
      limit += 1
      if (limit > liftAt) {
        limit = Infinity
        isSlowStart = false
      }
    },
    refuse: decrease,
    obey(told, now) {
      if (!(told >= 1)) return
      named.set(Math.floor(told), now)
      // Others of the same account may hold the rest of it.
      if (inFlight <= told) decrease(now)
    },
    share(limit, now) {
      named.set(limit, now)
    },
    stop() {
      lastPeak = Math.max(peak, lastPeak / 2, 1)
      peak = 0
    },
    startSlowly() {
      limit = Math.max(settings.slowStartLimit, Math.ceil(settings.slowStartShare * lastPeak))
      liftAt = 1.2 * lastPeak
      isSlowStart = true
      lastDecreaseAt = Number.NEGATIVE_INFINITY
    },
    inFlight: () => inFlight,
    limit: limitAt,
  }
}

/** How long an answer holds its place, as a moving average: the round trip of the limiter. Fast refusals would make it short. */
function createRound() {
  const shortestMs = 1_000
  let averageMs: number | undefined
  return {
    add(heldMs: number): void {
      averageMs = averageMs === undefined ? heldMs : averageMs + (heldMs - averageMs) * 0.1
    },
    ms: () => Math.max(shortestMs, averageMs ?? 0),
  }
}

/** A limit that the server named is taken at its word, and slowly doubted later: accounts are raised. */
function createNamedLimit(settings: LimiterSettings) {
  let told = Infinity
  let toldAt = 0
  return {
    set(limit: number, now: number): void {
      told = limit
      toldAt = now
    },
    at(now: number): number {
      if (told === Infinity) return Infinity
      return Math.floor(told * settings.relaxPerMinute ** Math.floor((now - toldAt) / 60_000))
    },
  }
}
