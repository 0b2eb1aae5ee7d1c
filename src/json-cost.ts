/**
 * The maximum nesting of untrusted JSON text. Schema libraries and `JSON.stringify` use several stack frames per level, and throw a
 * `RangeError` at 4,000 levels. No real answer comes near a tenth of this limit.
 */
export const deepestJson = 256

/** A valid text with that many levels is longer than this, so a shorter text need not be weighed. */
export const shortText = 2 * deepestJson

/**
 * The maximum work of parsing in one step, because `JSON.parse` cannot be interrupted: 2 MiB of `[],` block a process for 100 ms, 2 MiB of
 * objects with a new key each for 300 ms. An object counts 8, a list 3, a comma and a colon 1. The maximum takes about 40 ms, and just
 * admits 2 MiB of log probabilities. The limit of a longer text grows in proportion.
 */
const mostWork = 840_000
const freeLength = 2 * 1024 * 1024
const workOf = { object: 8, list: 3, item: 1 } as const

/**
 * V8 creates a new object layout for each new order of keys, even if the keys are few: such a key takes fifty times as long. Texts with
 * up to this many layouts are usual, and the first keys are not counted.
 */
const mostUsualLayouts = 500
const mostFreeKeys = 2_000
const unusualKey = 20

/**
 * V8 looks up each string of up to ten characters in a table, and a new one takes twenty times as long as a number. This many are free:
 * log probabilities of 2 MiB have 45,000.
 */
const mostFreeStrings = 50_000
const furtherString = 16
const shortString = 12

/** An object layout: the layouts that it becomes by one more key. */
type Layout = Map<string, Layout>

/** The work of what is parsed in one step, be it one text or many. */
export type JsonWork = {
  done: number
  /** The length of the texts. */
  length: number
  keys: number
  layouts: number
  strings: number
  readonly empty: Layout
  /** The layout of each open object so far. A list has one too, which nothing uses. */
  readonly open: Layout[]
  readonly share: number
}

/** @param share the texts may take only this part of the usual work, because more work follows in the same step */
export function jsonWork(share = 1): JsonWork {
  return { done: 0, length: 0, keys: 0, layouts: 0, strings: 0, empty: new Map(), open: [], share }
}

/** Returns the maximum work for texts of this length. */
export function mostWorkOf({ length, share }: JsonWork): number {
  return (mostWork / share) * Math.max(1, length / freeLength)
}

export function countItem(work: JsonWork): void {
  work.done += workOf.item
}

export function countOpening(work: JsonWork, isList: boolean): void {
  work.done += isList ? workOf.list : workOf.object
  work.open.push(work.empty)
}

export function countClosing(work: JsonWork): void {
  work.open.pop()
}

/** @param name the key in any notation, as long as it is always the same */
export function countKey(work: JsonWork, name: string): void {
  work.keys += 1
  if (work.keys > mostFreeKeys && work.layouts <= mostUsualLayouts) addToLayout(work, name)
  work.done += work.layouts > mostUsualLayouts ? unusualKey : workOf.item
}

function addToLayout(work: JsonWork, name: string): void {
  const before = work.open.pop() ?? work.empty
  let after = before.get(name)
  if (after === undefined) {
    after = new Map()
    before.set(name, after)
    work.layouts += 1
  }
  work.open.push(after)
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d]

/**
 * Adds a text to the work of a step, which parses it so many `times`. Scans the text once and skips its strings. Throws a `SyntaxError`
 * for a text that is too deep, and when the texts have too many values.
 */
export function weighJson(text: string, work: JsonWork, times = 1): void {
  work.length += text.length
  if (work.length <= shortText) return
  work.open.length = 0
  const most = mostWorkOf(work) / times
  const freeStrings = mostFreeStrings * (most / mostWork)
  let stringAt = 0
  let isShort = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      stringAt = at
      at = endOfJsonString(text, at) - 1
      // `JSON.parse` reports the truncated text
      if (at < 0) return
      isShort = at - stringAt < shortString
      if (isShort) work.strings += 1
    } else if (code === colon) {
      // the string was a key
      if (isShort) work.strings -= 1
      countKey(work, text.slice(stringAt, at))
    } else if (!weighMark(work, code)) continue
    const further = Math.max(0, work.strings - freeStrings)
    if (work.done + further * furtherString > most) throw new SyntaxError('The JSON holds too many values.')
  }
}

/** Returns whether the character counts. */
function weighMark(work: JsonWork, code: number): boolean {
  if (code === comma) countItem(work)
  else if (code === openObject || code === openArray) {
    countOpening(work, code === openArray)
    if (work.open.length > deepestJson) throw new SyntaxError(`The JSON is nested deeper than ${deepestJson} levels.`)
  } else if (code === closeObject || code === closeArray) countClosing(work)
  else return false
  return true
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
