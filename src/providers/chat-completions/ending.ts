import type { FinishReason, Usage } from '../../contract.ts'
import { laterUsage } from './usage.ts'

/**
 * When an answer is over. One for each answer, whatever dialect it comes in:
 *
 * | state      | what comes                  | then                                                                         |
 * | ---------- | --------------------------- | ---------------------------------------------------------------------------- |
 * | `open`     | content, usage, a comment   | `open`                                                                       |
 * | `open`     | a finish                    | `finished`                                                                   |
 * | `open`     | `[DONE]`, the end, a reset  | `over`: the answer was cut (a JSON document that is whole needs no finish)    |
 * | `open`     | silence                     | the clocks of the attempt decide                                             |
 * | `finished` | content                     | `open`: the finish was said too early, and counts no more (F4)               |
 * | `finished` | another finish, usage       | `finished`: the last one counts                                              |
 * | `finished` | a comment                   | `finished`: it holds nothing off                                             |
 * | `finished` | `[DONE]`, the end, a reset  | `over`: what there is is the answer                                          |
 * | `finished` | silence                     | `over` after `lingerMs`, and the line is closed (F1)                         |
 * | `over`     | anything                    | `over`: nothing of it is read                                                |
 *
 * Whether what there is then is an answer, or nothing, is said by `verdictOf`.
 */
export type Ending = {
  state: 'open' | 'finished' | 'over'
  /** The last one that was said; undefined while the answer is open. */
  finishReason: FinishReason | undefined
  /** What was reported last. */
  usage: Usage | undefined
  /** For how long more may come from now on; undefined where that has been told, or where the attempt's own clocks go on. */
  lingerMs: number | undefined
  /** The finish was followed by figures, or had them beside it. */
  isCounted: boolean
  /** The finish stood in a chunk with content. */
  saidWithContent: boolean
  /** This server says a finish with each piece: it means nothing before the end. */
  saysItAlways: boolean
}

/** Usage comes right behind the finish, or never (F1). */
const usageWithinMs = 1_000

/** Finish and usage are here; what may still come is `[DONE]`, or content of a server that does not mean what it says. */
const doneWithinMs = 100

/** Where each piece is called the last one, only a long silence is the end. */
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

/** What a chunk that says a finish holds beside it. */
export type Beside = {
  /** Text, a thought or a piece of a tool call. */
  readonly content: boolean
  /** It begins the message, and nothing has come of it yet: no model is done there, so it may take the time it needs (F4). */
  readonly opening: boolean
  /** A thought, and nothing of the answer has come: such a finish is said too early, mostly (F4). */
  readonly thinking?: boolean
}

/** The server has said that it is done. */
export function finishSaid(ending: Ending, finishReason: FinishReason, beside: Beside): void {
  const { content, opening, thinking = false } = beside
  const isNew = ending.state === 'open'
  if (ending.state === 'over') return
  ending.state = 'finished'
  // a word that nobody knows says less than one before it
  if (finishReason !== 'other' || ending.finishReason === undefined) ending.finishReason = finishReason
  ending.saidWithContent = content
  if (isNew && !opening) ending.lingerMs = ending.saysItAlways || thinking ? piecesWithinMs : usageWithinMs
}

/** Something of an answer has come that is handed on. */
export function contentCame(ending: Ending): void {
  if (ending.state !== 'finished') return
  ending.state = 'open'
  ending.saysItAlways ||= ending.saidWithContent
  ending.finishReason = undefined
  ending.isCounted = false
  ending.lingerMs = undefined
}

/** Figures have come. What comes last counts (F7, F36). */
export function usageCame(ending: Ending, usage: Usage | undefined): void {
  if (usage !== undefined) ending.usage = laterUsage(ending.usage, usage)
}

/** Figures came with the finish or behind it, and there is an answer: only the end is missing. `alone`: in a chunk of their own. */
export function usageClosed(ending: Ending, alone: boolean): void {
  if (ending.state !== 'finished' || ending.isCounted) return
  if (ending.saysItAlways || (ending.saidWithContent && !alone)) return
  ending.isCounted = true
  ending.lingerMs = doneWithinMs
}

/** Nothing that comes counts any more. False: it was over already. */
export function endSaid(ending: Ending): boolean {
  if (ending.state === 'over') return false
  ending.state = 'over'
  ending.lingerMs = undefined
  return true
}

/** For how long more may come; undefined unless that has changed since it was asked last. */
export function takeLinger(ending: Ending): number | undefined {
  const { lingerMs } = ending
  ending.lingerMs = undefined
  return lingerMs
}
