/**
 * The maximum nesting of untrusted JSON text. Schema libraries and `JSON.stringify` use several stack frames per level, and throw a
 * `RangeError` at 4,000 levels. No real answer comes near a tenth of this limit.
 */
export const deepestJson = 256

/** A valid text with that many levels is longer than this, so a shorter text need not be weighed. */
export const shortText = 2 * deepestJson

/**
 * The maximum work of parsing a text, because `JSON.parse` cannot be interrupted: 2 MiB of `[],` block a process for 100 ms, 2 MiB of
 * objects with a new key each for 300 ms. An object counts 8, a list 3, a comma and a colon 1. The maximum takes about 40 ms, and just
 * admits 2 MiB of log probabilities. The limit of a longer text grows in proportion.
 */
const mostWork = 840_000
const freeLength = 2 * 1024 * 1024
export const workOf = { object: 8, list: 3, item: 1 } as const

/** Returns the maximum work for a text of this length. */
export function mostWorkFor(length: number): number {
  return mostWork * Math.max(1, length / freeLength)
}

export type KeyCount = { keys: number; readonly names: Set<string> }

/**
 * V8 creates a new object layout for each order of keys: with varying keys, an object takes ten times as long. Texts with up to this many
 * names are usual, and the first keys of a text are not counted.
 */
const mostUsualNames = 500
const mostFreeKeys = 2_000
const unusualKey = 12

export function countOfKeys(): KeyCount {
  return { keys: 0, names: new Set() }
}

/** @param name the key in any notation, as long as it is always the same */
export function costOfKey(count: KeyCount, name: string): number {
  const { names } = count
  count.keys += 1
  if (count.keys > mostFreeKeys && names.size <= mostUsualNames) names.add(name)
  return names.size > mostUsualNames ? unusualKey : workOf.item
}

type Weighing = { depth: number; work: number; readonly keys: KeyCount }

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]

/** Scans the text once and skips its strings. Throws a `SyntaxError` for a text that is too deep or has too many values. */
export function weighJson(text: string, share: number): void {
  const most = mostWorkFor(text.length) / share
  const weighing: Weighing = { depth: 0, work: 0, keys: countOfKeys() }
  let stringAt = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      stringAt = at
      at = endOfJsonString(text, at) - 1
      // `JSON.parse` reports the truncated text
      if (at < 0) return
    } else if (code === colon) weighing.work += costOfKey(weighing.keys, text.slice(stringAt, at))
    else weighMark(weighing, code)
    if (weighing.work > most) throw new SyntaxError('The JSON holds too many values.')
  }
}

function weighMark(weighing: Weighing, code: number): void {
  if (code === comma) weighing.work += workOf.item
  else if (code === openObject || code === openArray) {
    weighing.work += code === openObject ? workOf.object : workOf.list
    weighing.depth += 1
    if (weighing.depth > deepestJson) throw new SyntaxError(`The JSON is nested deeper than ${deepestJson} levels.`)
  } else if (code === closeObject || code === closeArray) weighing.depth -= 1
}

/** Strings up to this length are read character by character, because an `indexOf` call costs more. */
const nearby = 32

/** Returns the end of the string that begins at `start`; -1 if it has none. Reads each character once. */
export function endOfJsonString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length) {
    for (const far = at + nearby; at < far; at += 1) {
      const code = text.charCodeAt(at)
      if (code === quote) return at + 1
      if (code === backslash) at += 1
    }
    const end = text.indexOf('"', at)
    if (end === -1) return -1
    let before = end - 1
    while (before >= at && text.charCodeAt(before) === backslash) before -= 1
    if ((end - before) % 2 === 1) return end + 1
    at = end + 1
  }
  return -1
}
