const unitMs: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
}

/** `6m0s`, `1s`, `20ms`, `7.66s`, `1d2h` as Go writes durations, or bare seconds; in whole milliseconds, rounded up. */
export function durationMs(value: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:d|h|ms|m|s|us|µs|ns))+$/.test(value)) return decimalMs(value, 1000)
  let sum = 0
  for (const [, count = '', unit = ''] of value.matchAll(/([\d.]+)(d|h|ms|m|s|us|µs|ns)/g))
    sum += Number(count) * (unitMs[unit] ?? 0)
  return wholeMs(sum)
}

export function decimalMs(value: string, factor: number): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(value) ? wholeMs(Number(value) * factor) : undefined
}

/** Rounded up, but not for what only floating point adds: 1.1 s are 1100 ms, not 1101. */
export function wholeMs(value: number): number | undefined {
  return Number.isFinite(value) ? Math.ceil(Number(value.toFixed(3))) : undefined
}

/** A number this large is no duration but a point in time: seconds, or from a hundred times as much on milliseconds (F22). */
const leastEpochSeconds = 1_000_000_000
const leastEpochMs = 100_000_000_000
/** Beyond this it is a number of some other kind: microseconds, a serial number. */
const mostEpochMs = 100_000_000_000_000

/** How long until a point in time that a server names: epoch seconds or milliseconds, or ISO 8601 with its zone; undefined: none, or past. */
export function untilMs(value: string, now: number): number | undefined {
  const at = epochOf(value) ?? isoOf(value)
  return at === undefined || at < now ? undefined : wholeMs(at - now)
}

export function isEpoch(value: string): boolean {
  return epochOf(value) !== undefined
}

function epochOf(value: string): number | undefined {
  const number = /^\d{10,15}(?:\.\d+)?$/.test(value) ? Number(value) : 0
  if (number < leastEpochSeconds || number > mostEpochMs) return undefined
  return number < leastEpochMs ? number * 1000 : number
}

/** Without a zone nobody knows which moment is meant. */
function isoOf(value: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/i.test(value)) return undefined
  const at = Date.parse(value.replace(' ', 'T'))
  return Number.isNaN(at) ? undefined : at
}
