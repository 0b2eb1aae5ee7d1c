import { choiceOf } from './chunk.ts'
import { choiceFinish } from './finish-reason.ts'
import { asObject, parseJson } from './parse-json.ts'

const lineFeed = 10

/** Longer than any finish. */
const mostTail = 8_192

/** The line of a stream that has no line end yet, after another piece; undefined when it is too long to be a finish. */
export function tailOf(tail: string | undefined, part: string): string | undefined {
  if (part.charCodeAt(part.length - 1) === lineFeed) return ''
  const start = part.lastIndexOf('\n') + 1
  if (start === 0 && tail === undefined) return undefined
  const next = start === 0 ? `${tail}${part}` : part.slice(start)
  return next.length > mostTail ? undefined : next
}

/** An event that lacks only its line end, and says that the answer is over (F1). */
export function isUnendedFinish(tail: string | undefined): boolean {
  if (tail?.endsWith('}') !== true || !tail.startsWith('data:')) return false
  try {
    const choice = choiceOf(asObject(parseJson(tail.slice('data:'.length))) ?? {})
    return choice !== undefined && choiceFinish(choice) !== undefined
  } catch {
    return false
  }
}

/** The rest of an event comes right behind what is there, or never. */
export const unendedWithinMs = 1_000
