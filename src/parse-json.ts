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

/** Each key that is new makes V8 lay out another kind of object. These many are looked at before new ones are counted. */
const mostKeys = 10_000

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

type Weighing = { depth: number; work: number; keys: number; seen: Set<string> | undefined }

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]

/** Goes through the text once; strings are jumped over. Throws a `SyntaxError` for one that is too deep or too much. */
function weigh(text: string, share: number): void {
  const most = (mostWork * Math.max(1, text.length / freeLength)) / share
  const weighing: Weighing = { depth: 0, work: 0, keys: 0, seen: undefined }
  let stringAt = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      stringAt = at
      at = endOfJsonString(text, at) - 1
      // what is cut is for the parser to complain of
      if (at < 0) return
    } else if (code === colon) weighKey(weighing, text, [stringAt, at])
    else weighMark(weighing, code)
    if (weighing.work > most) throw new SyntaxError('The JSON holds too many values.')
  }
}

function weighMark(weighing: Weighing, code: number): void {
  if (code === comma) weighing.work += 1
  else if (code === openObject || code === openArray) {
    weighing.work += code === openObject ? 8 : 3
    weighing.depth += 1
    if (weighing.depth > deepestJson) throw new SyntaxError(`The JSON is nested deeper than ${deepestJson} levels.`)
  } else if (code === closeObject || code === closeArray) weighing.depth -= 1
}

function weighKey(weighing: Weighing, text: string, place: readonly [start: number, end: number]): void {
  weighing.work += 1
  weighing.keys += 1
  if (weighing.keys <= mostKeys) return
  weighing.seen ??= new Set()
  weighing.seen.add(text.slice(...place))
  if (weighing.seen.size > mostKeys) throw new SyntaxError('The JSON holds too many different keys.')
}

/** Where the string that opens at `start` is over; -1 when it never is. Looks at each character once. */
export function endOfJsonString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1
    while (text.charCodeAt(before) === backslash) before -= 1
    if ((at - before) % 2 === 1) return at + 1
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
