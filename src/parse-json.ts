/**
 * How deep a JSON text of others may be nested. A schema library and `JSON.stringify` take several frames of the stack for each level: at
 * 4,000 levels they throw a `RangeError`. No answer that was ever seen comes near a tenth of this.
 */
export const deepestJson = 256

/** A valid text of so many levels is longer than this: shorter ones need not be looked at. */
const shortText = 2 * deepestJson

/**
 * What a text may cost, because `JSON.parse` cannot be interrupted: 2 MiB of `[],` stop a process for 100 ms, of objects with a new key
 * each for 300. An object counts 8, a list 3, a comma and a colon 1. So much takes at most about 40 ms; 2 MiB of log probabilities
 * are just let through. A longer text may cost more in proportion.
 */
const mostWork = 840_000
const freeLength = 2 * 1024 * 1024
export const workOf = { object: 8, list: 3, item: 1 } as const

/** What a text of this length may cost. */
export function mostWorkFor(length: number): number {
  return mostWork * Math.max(1, length / freeLength)
}

export type KeyCount = { keys: number; readonly names: Set<string> }

/**
 * V8 lays out another kind of object for each order of keys: where keys vary, an object takes ten times as long. These many names are
 * usual, and the first keys of a text are not looked at.
 */
const mostUsualNames = 500
const mostFreeKeys = 2_000
const unusualKey = 12

export function countOfKeys(): KeyCount {
  return { keys: 0, names: new Set() }
}

/** @param name in any way of writing, if it is always the same */
export function costOfKey(count: KeyCount, name: string): number {
  const { names } = count
  count.keys += 1
  if (count.keys > mostFreeKeys && names.size <= mostUsualNames) names.add(name)
  return names.size > mostUsualNames ? unusualKey : workOf.item
}

/**
 * `JSON.parse` for what others wrote. Throws a `SyntaxError` like `JSON.parse`, also for a text that is nested deeper than 256 levels or
 * would stop the process for long.
 */
export function readJson(text: string): unknown {
  if (text.length > shortText) weigh(text, 1)
  return JSON.parse(text)
}

/** The same for values that are handed on unchecked: a key that would reach a prototype when somebody merges the value is dropped. */
export function parseJson(text: string): unknown {
  if (!mayReachPrototype(text)) return readJson(text)
  // to look for such keys takes as long again
  if (text.length > shortText) weigh(text, 2)
  const value: unknown = JSON.parse(text)
  dropPrototypeKeys(value)
  return value
}

/** Cheap and never wrong in the dangerous direction: a key can also be written with `\u` escapes. */
export function mayReachPrototype(text: string): boolean {
  if (text.includes('__proto__') || text.includes('constructor')) return true
  // `\u005f` to `\u0075` are the letters of the two; what servers escape (`\u003c`, Chinese) is not among them
  return text.includes('\\u00') && /\\u00[5-7]/.test(text)
}

type Weighing = { depth: number; work: number; readonly keys: KeyCount }

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]

/** Goes through the text once; strings are jumped over. Throws a `SyntaxError` for one that is too deep or too much. */
function weigh(text: string, share: number): void {
  const most = mostWorkFor(text.length) / share
  const weighing: Weighing = { depth: 0, work: 0, keys: countOfKeys() }
  let stringAt = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      stringAt = at
      at = endOfJsonString(text, at) - 1
      // what is cut is for the parser to complain of
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

/** Short strings are gone through character by character: to call for each of them costs more. */
const nearby = 32

/** Where the string that opens at `start` is over; -1 when it never is. Looks at each character once. */
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

function dropPrototypeKeys(root: unknown): void {
  const open: { [key: string]: unknown }[] = []
  const visit = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) open.push(value as { [key: string]: unknown })
  }
  visit(root)
  for (let object = open.pop(); object !== undefined; object = open.pop()) {
    if (Object.hasOwn(object, '__proto__')) delete object['__proto__']
    if (Object.hasOwn(object, 'constructor') && reachesPrototype(object['constructor'])) delete object['constructor']
    for (const inner of Object.values(object)) visit(inner)
  }
}

function reachesPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
}
