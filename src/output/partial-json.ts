import { escaped, readEscapes, valueOfBare } from './json-scalars.ts'
import {
  countClosing,
  countItem,
  countKey,
  countOpening,
  deepestJson,
  type JsonWork,
  jsonWork,
  mostWorkOf,
} from '../json-cost.ts'

/** A JSON text that is parsed while it arrives: each character once, whatever the size of the value. */
export type PartialJson = {
  /** Takes the next piece of the text. Returns whether more of the value is visible now. */
  feed(piece: string): boolean
  /** The text has ended, which also ends a number that is the whole value. Returns whether the value is complete. */
  end(): boolean
  /** Returns the value so far: always the same growing object. Undefined before the value begins. */
  value(): unknown
  /** Returns how many items of this list, a part of the value, are complete. */
  wholeItems(list: readonly unknown[]): number
}

type Container = unknown[] | { [key: string]: unknown }

/** What may come next. Before a `first` item the container may also be closed. */
type Expected = 'value' | 'first value' | 'key' | 'first key' | 'colon' | 'comma' | 'string' | 'bare' | 'nothing' | 'failed'

type State = {
  expected: Expected
  root: unknown
  /** The open containers, outermost first. */
  readonly stack: Container[]
  top: Container | undefined
  isList: boolean
  /** The key of the next value in the top container. */
  key: string
  isKey: boolean
  /** The string, number, `true`, `false` or `null` being read. V8 holds it as a rope: reading characters of it before its end is slow. */
  text: string
  /** An incomplete escape sequence. */
  escape: string
  /** The string so far ends between the two halves of a surrogate pair. */
  isHalf: boolean
  /** A part of the string is already in the value. */
  isShown: boolean
  /** The position of the next quote and of the next escape in this piece; -1: not searched yet. */
  nextQuote: number
  nextEscape: number
  changed: boolean
  readonly work: JsonWork
}

/**
 * Strings are visible as far as they have arrived; numbers, `true`, `false` and `null` only when complete: `1` may become `12`. The visible
 * value is always a beginning of the final one; nothing is ever filled in. Parsing stops at invalid JSON, and at a text that `readJson`
 * would reject: one that is nested too deep, or would block the process for long.
 */
export function createPartialJson(): PartialJson {
  const state: State = {
    ...{ expected: 'value', root: undefined, stack: [], top: undefined, isList: false, key: '', isKey: false },
    ...{ text: '', escape: '', isHalf: false, isShown: false, nextQuote: -1, nextEscape: -1, changed: false },
    work: jsonWork(),
  }
  return {
    feed: piece => feed(state, piece),
    end() {
      if (state.expected === 'bare') endBare(state)
      return state.expected === 'nothing'
    },
    value: () => state.root,
    wholeItems(list) {
      const isOpen = state.stack.some(container => container === list)
      const isBetween = state.top === list && !(state.expected === 'string' && state.isShown)
      return isOpen && !isBetween ? list.length - 1 : list.length
    },
  }
}

/** The maximum work of one piece, about 10 ms: 200 KB of `1,`. No delta of a model is a hundredth of that. */
const mostWorkOfPiece = 100_000

function feed(state: State, piece: string): boolean {
  let at = 0
  state.changed = false
  state.nextQuote = -1
  state.nextEscape = -1
  state.work.length += piece.length
  const mostWork = Math.min(mostWorkOf(state.work), state.work.done + mostWorkOfPiece)
  while (at < piece.length) {
    if (state.expected === 'string') at = readString(state, piece, at)
    else if (state.expected === 'bare') at = readBare(state, piece, at)
    else if (state.expected === 'failed') break
    else {
      readMark(state, piece.charCodeAt(at))
      at += 1
      if (state.work.done > mostWork) fail(state)
    }
  }
  if (state.expected === 'string' && !state.isKey && !state.isHalf) showString(state)
  return state.changed
}

const mark = {
  ...{ openObject: 0x7b, closeObject: 0x7d, openArray: 0x5b, closeArray: 0x5d },
  ...{ comma: 0x2c, colon: 0x3a, quote: 0x22, backslash: 0x5c },
} as const

function readMark(state: State, code: number): void {
  if (isBlank(code)) return
  const { expected } = state
  if (expected === 'comma') readAfterItem(state, code)
  else if (expected === 'colon') state.expected = code === mark.colon ? 'value' : 'failed'
  else if (expected === 'key' || expected === 'first key') readKey(state, code)
  else if (expected === 'nothing') fail(state)
  else readValue(state, code)
}

function isBlank(code: number): boolean {
  return code <= 0x20 && (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)
}

function readKey(state: State, code: number): void {
  if (code === mark.quote) beginString(state, true)
  else if (code === mark.closeObject && state.expected === 'first key') close(state)
  else fail(state)
}

function readAfterItem(state: State, code: number): void {
  if (code === mark.comma) {
    countItem(state.work)
    state.expected = state.isList ? 'value' : 'key'
  } else if (code === (state.isList ? mark.closeArray : mark.closeObject)) close(state)
  else fail(state)
}

function readValue(state: State, code: number): void {
  if (code === mark.quote) beginString(state, false)
  else if (code === mark.openObject) open(state, {}, 'first key')
  else if (code === mark.openArray) open(state, [], 'first value')
  else if (code === mark.closeArray && state.expected === 'first value') close(state)
  else beginBare(state, code)
}

function fail(state: State): void {
  state.expected = 'failed'
}

function open(state: State, container: Container, expected: Expected): void {
  if (state.stack.length >= deepestJson) return fail(state)
  put(state, container)
  state.stack.push(container)
  state.top = container
  state.isList = Array.isArray(container)
  countOpening(state.work, state.isList)
  state.expected = expected
}

function close(state: State): void {
  state.stack.pop()
  countClosing(state.work)
  state.top = state.stack.at(-1)
  state.isList = Array.isArray(state.top)
  endValue(state)
}

function endValue(state: State): void {
  state.expected = state.top === undefined ? 'nothing' : 'comma'
}

// ---- strings

function beginString(state: State, isKey: boolean): void {
  state.expected = 'string'
  state.isKey = isKey
  state.isHalf = false
  state.text = ''
  state.isShown = false
}

/** Returns the end of what was read. Accepts control characters: the complete text is parsed again anyway. */
function readString(state: State, piece: string, start: number): number {
  if (state.escape !== '') return readEscape(state, piece, start)
  // both positions are cached, so that many quotes do not force a rescan for the next escape, or the other way round
  if (state.nextQuote < start) state.nextQuote = next(piece, '"', start)
  if (state.nextEscape < start) state.nextEscape = next(piece, '\\', start)
  const stop = Math.min(state.nextQuote, state.nextEscape)
  if (stop > start)
    append(state, start === 0 && stop === piece.length ? piece : piece.slice(start, stop), piece.charCodeAt(stop - 1))
  if (stop === piece.length) return stop
  if (stop === state.nextQuote) {
    endString(state)
    return stop + 1
  }
  const run = readEscapes(piece, stop)
  if (run === undefined) fail(state)
  else if (run.end > stop) {
    append(state, run.text, run.last)
    return run.end
  }
  state.escape = '\\'
  return stop + 1
}

function next(piece: string, character: string, from: number): number {
  const at = piece.indexOf(character, from)
  return at === -1 ? piece.length : at
}

function append(state: State, text: string, last: number): void {
  state.text = state.text === '' ? text : state.text + text
  state.isHalf = last >= 0xd800 && last <= 0xdbff
}

function readEscape(state: State, piece: string, at: number): number {
  const character = piece.charAt(at)
  if (state.escape === '\\') {
    const plain = escaped[character]
    state.escape = character === 'u' ? '\\u' : ''
    if (plain !== undefined) append(state, plain, 0)
    else if (character !== 'u') fail(state)
    return at + 1
  }
  state.escape += character
  if (!hexadecimal.test(state.escape)) fail(state)
  else if (state.escape.length === 6) {
    const code = Number.parseInt(state.escape.slice(2), 16)
    state.escape = ''
    append(state, String.fromCharCode(code), code)
  }
  return at + 1
}

const hexadecimal = /^\\u[\da-f]{0,4}$/i

function endString(state: State): void {
  if (state.isKey) {
    state.key = state.text
    state.expected = 'colon'
    return countKey(state.work, state.key)
  }
  countItem(state.work)
  showString(state)
  endValue(state)
}

/** Adds the string to the value the first time, and replaces it by its longer form later. */
function showString(state: State): void {
  const { top, text } = state
  if (!state.isShown) put(state, text)
  else if (top === undefined) state.root = text
  else if (Array.isArray(top)) top[top.length - 1] = text
  else define(top, state.key, text)
  state.isShown = true
  state.changed = true
}

// ---- numbers, true, false, null

function beginBare(state: State, code: number): void {
  state.expected = 'bare'
  state.text = String.fromCharCode(code)
}

const bare = /[-+.\w]*/y

function readBare(state: State, piece: string, start: number): number {
  bare.lastIndex = start
  bare.test(piece)
  const at = bare.lastIndex
  // the text began in this piece: one slice instead of joining characters
  if (start > 0 && state.text.length === 1) state.text = piece.slice(start - 1, at)
  else state.text += piece.slice(start, at)
  if (at < piece.length) endBare(state)
  return at
}

function endBare(state: State): void {
  const value = valueOfBare(state.text)
  if (value === undefined) return fail(state)
  put(state, value)
  endValue(state)
}

// ---- the value under construction

function put(state: State, value: unknown): void {
  const { top } = state
  if (top === undefined) state.root = value
  else if (Array.isArray(top)) top.push(value)
  else define(top, state.key, value)
  state.changed = true
}

/** A plain assignment to `__proto__` would change the prototype; `JSON.parse` creates a field of that name, and so do we. */
function define(object: { [key: string]: unknown }, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}
