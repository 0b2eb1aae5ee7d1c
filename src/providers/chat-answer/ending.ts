import type { FinishReason, Usage } from '../../contract.ts'
import { asObject, parseJson } from '../json.ts'
import { choiceOf } from './chunk.ts'
import { finishIn } from './finish.ts'
import { laterUsage } from './usage.ts'

/**
 * Decides when an answer is over. Each answer has one, whatever its dialect:
 *
 * | state      | input                       | next state                                                                   |
 * | ---------- | --------------------------- | ---------------------------------------------------------------------------- |
 * | `open`     | content, usage, a comment   | `open`                                                                       |
 * | `open`     | a finish                    | `finished`                                                                   |
 * | `open`     | `[DONE]`, the end, a reset  | `over`: truncated (unless it is a complete JSON document)                    |
 * | `open`     | silence                     | the attempt's timeouts decide                                                |
 * | `finished` | content                     | `open`: the finish came too early and is discarded (F4)                      |
 * | `finished` | another finish, usage       | `finished`: the last one wins                                                |
 * | `finished` | a comment                   | `finished`: it does not extend the wait                                      |
 * | `finished` | `[DONE]`, the end, a reset  | `over`: the answer is what has arrived                                       |
 * | `finished` | silence                     | `over` after `lingerMs`, and the connection is closed (F1)                   |
 * | `over`     | anything                    | `over`: the input is ignored                                                 |
 *
 * `verdictOf` then decides whether the result counts as an answer.
 */
export type Ending = {
  state: 'open' | 'finished' | 'over'
  /** The last finish reason that was sent; undefined while the answer is open. */
  finishReason: FinishReason | undefined
  /** The latest usage. */
  usage: Usage | undefined
  /** How long to wait for more data, starting now. Undefined once taken, or while the attempt's own timeouts apply. */
  lingerMs: number | undefined
  /** Usage came after the finish, or in the same chunk. */
  isCounted: boolean
  /** The finish came in a chunk with content. */
  saidWithContent: boolean
  /** This server sends a finish with every piece, so a finish proves nothing before the end. */
  saysItAlways: boolean
}

/** Usage follows the finish immediately, or never (F1). */
const usageWithinMs = 1_000

/** Finish and usage have arrived. Only `[DONE]` can follow, or content from a server whose finish was premature. */
const doneWithinMs = 100

/** When every piece carries a finish, only a long silence marks the end. */
const piecesWithinMs = 10_000

export function createEnding(): Ending {
  return {
    state: 'open',
    finishReason: undefined,
    usage: undefined,
    lingerMs: undefined,
    isCounted: false,
    saidWithContent: false,
    saysItAlways: false,
  }
}

/** What else the chunk with the finish contains. */
type Beside = {
  /** Text, reasoning or a piece of a tool call. */
  readonly content: boolean
  /** The chunk opens the message and nothing has come yet. No model is done at that point, so the usual timeouts apply (F4). */
  readonly opening: boolean
  /** The chunk holds reasoning, and no content has come. Such a finish is usually premature (F4). */
  readonly thinking?: boolean
}

/** Records a finish. */
export function finishSaid(ending: Ending, finishReason: FinishReason, beside: Beside): void {
  const { content, opening, thinking = false } = beside
  const isNew = ending.state === 'open'
  if (ending.state === 'over') return
  ending.state = 'finished'
  // an unknown finish reason does not replace a known one
  if (finishReason !== 'other' || ending.finishReason === undefined) ending.finishReason = finishReason
  ending.saidWithContent = content
  if (isNew && !opening) ending.lingerMs = ending.saysItAlways || thinking ? piecesWithinMs : usageWithinMs
}

/** Content after a finish reopens the answer. */
export function contentCame(ending: Ending): void {
  if (ending.state !== 'finished') return
  ending.state = 'open'
  ending.saysItAlways ||= ending.saidWithContent
  ending.finishReason = undefined
  ending.isCounted = false
  ending.lingerMs = undefined
}

/** Records usage. The latest report wins (F7, F36). */
export function usageCame(ending: Ending, usage: Usage | undefined): void {
  if (usage !== undefined) ending.usage = laterUsage(ending.usage, usage)
}

/**
 * Usage came with the finish or after it, and there is an answer, so only the end of the stream is missing. `alone`: in a chunk
 * of its own.
 */
export function usageClosed(ending: Ending, alone: boolean): void {
  if (ending.state !== 'finished' || ending.isCounted) return
  if (ending.saysItAlways || (ending.saidWithContent && !alone)) return
  ending.isCounted = true
  ending.lingerMs = doneWithinMs
}

/** Ends the answer; later input is ignored. Returns false if it was over already. */
export function endSaid(ending: Ending): boolean {
  if (ending.state === 'over') return false
  ending.state = 'over'
  ending.lingerMs = undefined
  return true
}

/** Returns how long to wait for more data; undefined if that has not changed since the last call. */
export function takeLinger(ending: Ending): number | undefined {
  const { lingerMs } = ending
  ending.lingerMs = undefined
  return lingerMs
}

const lineFeed = 10

/** Longer than any event that carries a finish. */
const mostTail = 8_192

/** The unterminated last line of a stream, with `part` appended; undefined when it is too long to be a finish. */
export function tailOf(tail: string | undefined, part: string): string | undefined {
  if (part.charCodeAt(part.length - 1) === lineFeed) return ''
  const start = part.lastIndexOf('\n') + 1
  if (start === 0 && tail === undefined) return undefined
  const next = start === 0 ? `${tail}${part}` : part.slice(start)
  return next.length > mostTail ? undefined : next
}

/** Whether this is an event that lacks only its line end and reports the end of the answer (F1). */
export function isUnendedFinish(tail: string | undefined): boolean {
  if (tail?.endsWith('}') !== true || !tail.startsWith('data:')) return false
  try {
    const chunk = asObject(parseJson(tail.slice('data:'.length))) ?? {}
    return finishIn(chunk, choiceOf(chunk)) !== undefined
  } catch {
    return false
  }
}

/** The rest of an event follows immediately, or never. */
export const unendedWithinMs = 1_000
