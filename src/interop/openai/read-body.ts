import { endOfJsonString } from '../../json-cost.ts'
import { parseJson } from '../../parse-json.ts'
import { isJson } from '../typed-text.ts'
import { RequestError } from './request-error.ts'

/**
 * Parses the JSON of a request, which may begin with a byte order mark, as files of Windows do. The error says where the JSON is wrong
 * but never quotes it, because it contains the prompt.
 */
export function readBody(body: string): unknown {
  const text = body.startsWith('\uFEFF') ? body.slice(1) : body
  try {
    return parseJson(text)
  } catch (error) {
    const place = text.trim() === '' ? 'it is empty' : (tooMuch(error) ?? placeOf(text))
    throw new RequestError(`The body is not valid JSON: ${place}.`, { code: 'invalid_json' })
  }
}

/** Returns the message of our own limits, which is safe to show. Messages of the parser quote the text. */
function tooMuch(error: unknown): string | undefined {
  const [, ours] = /^The JSON (holds too many values|is nested deeper than \d+ levels)\.$/.exec((error as Error).message) ?? []
  return ours === undefined ? undefined : `it ${ours}`
}

/** Finding the position takes linear time, which a long invalid request is not worth. */
const longestSearched = 1024 * 1024

function placeOf(text: string): string {
  if (text.length > longestSearched) return 'it is too long to search for the place of the error'
  const at = brokenAt(text)
  const before = text.slice(0, at)
  const line = before.split('\n').length
  return `see line ${line}, column ${at - before.lastIndexOf('\n')}`
}

type Wanted = 'value' | 'value or end' | 'key' | 'key or end' | 'colon' | 'comma or end' | 'nothing'

/** Returns the index of the first invalid token; the length of the text if it only ends too early. */
function brokenAt(text: string): number {
  const open: string[] = []
  let wanted: Wanted = 'value'
  let at = after(blank, text, 0)
  for (;;) {
    const end = endOfToken(text, at)
    const next: Wanted | undefined = end === undefined ? undefined : step(wanted, text.slice(at, end), open)
    if (end === undefined || next === undefined) return at
    wanted = next
    at = after(blank, text, end)
  }
}

const blank = /[\t\n\r ]*/y
const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|/y

function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  pattern.exec(text)
  return pattern.lastIndex
}

/** Returns undefined if no JSON token begins here. */
function endOfToken(text: string, at: number): number | undefined {
  const first = text[at] ?? ''
  if (first !== '' && '{}[],:'.includes(first)) return at + 1
  const end = first === '"' ? endOfJsonString(text, at) : after(word, text, at)
  if (end <= at) return undefined
  return first !== '"' || isJson(text.slice(at, end)) ? end : undefined
}

const value: readonly Wanted[] = ['value', 'value or end']
const key: readonly Wanted[] = ['key', 'key or end']

/** The states in which each token is allowed. */
const places: Readonly<Record<string, readonly Wanted[]>> = {
  '{': value,
  '[': value,
  '}': ['comma or end', 'key or end'],
  ']': ['comma or end', 'value or end'],
  ':': ['colon'],
  ',': ['comma or end'],
}

/** Returns the next state; undefined if the token is not allowed here. */
function step(wanted: Wanted, token: string, open: string[]): Wanted | undefined {
  const isMark = Object.hasOwn(places, token)
  const isText = token.startsWith('"')
  const allowed = isMark ? places[token] : isText ? [...value, ...key] : value
  if (allowed?.includes(wanted) !== true) return undefined
  return isMark ? behindMark(token, open) : key.includes(wanted) ? 'colon' : behindValue(open)
}

function behindMark(mark: string, open: string[]): Wanted | undefined {
  if (mark === ':') return 'value'
  if (mark === ',') return open.at(-1) === '{' ? 'key' : 'value'
  if (mark === '}' || mark === ']') return open.pop() === (mark === '}' ? '{' : '[') ? behindValue(open) : undefined
  open.push(mark)
  return mark === '{' ? 'key or end' : 'value or end'
}

function behindValue(open: readonly string[]): Wanted {
  return open.length === 0 ? 'nothing' : 'comma or end'
}
