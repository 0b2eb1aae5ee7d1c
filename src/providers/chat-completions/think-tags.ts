import type { Chunk } from './chunk.ts'
import { choiceOf } from './chunk.ts'

/** The two channels of an answer that come as one text. */
export type ThinkTagsOptions = {
  /**
   * The chat template has opened the tag already, as R1's does: the text begins inside it and only `</think>` is ever seen. Text is
   * then reasoning until the tag closes; when it never does, it was the answer after all and is handed on as text at the end.
   */
  readonly opened: boolean
  onText(text: string): void
  onReasoning(text: string): void
}

export type ThinkTags = {
  write(text: string): void
  /** No tag can come any more: all that follows is text, and nothing is held back. */
  isOver(): boolean
  /** Hands on what is still held back. `complete`: the model ended by itself, and was not cut by the token limit. */
  end(complete: boolean): void
}

const open = '<think>'
const close = '</think>'
/** Blanks before a tag are held back; nobody sends this many before one. */
const mostBlanks = 256

type State = ThinkTagsOptions & {
  place: 'start' | 'thinking' | 'gap' | 'text'
  /** What may be the beginning of a tag. */
  held: string
  /** A tag was seen: what was taken for reasoning is. */
  certain: boolean
  doubtful: string
  reasoned: boolean
}

/**
 * Splits inline `<think>...</think>` off the beginning of an answer, wherever the chunks are cut. A tag later in the text is text: a
 * model may write about tags. Blanks around the tags belong to nobody; apart from them nothing is lost, also when `<thin` turns out
 * to be no tag.
 */
export function createThinkTags(options: ThinkTagsOptions): ThinkTags {
  const { opened, onText, onReasoning } = options
  const state: State = { opened, onText, onReasoning, place: 'start', held: '', certain: !opened, doubtful: '', reasoned: false }
  return {
    write(text) {
      if (state.place === 'text') return state.onText(text)
      if (state.place === 'gap') return gap(state, text)
      const whole = state.held + text
      state.held = ''
      if (state.place === 'start') start(state, whole)
      else thinking(state, whole)
    },
    isOver: () => state.place === 'text',
    end: complete => end(state, complete),
  }
}

function start(state: State, text: string): void {
  const trimmed = text.trimStart()
  if (trimmed.startsWith(open)) {
    state.certain = true
    state.place = 'thinking'
    thinking(state, trimmed.slice(open.length))
  } else if (trimmed.startsWith(close)) {
    state.place = 'gap'
    gap(state, trimmed.slice(close.length))
  } else if ((open.startsWith(trimmed) || close.startsWith(trimmed)) && text.length < mostBlanks) {
    state.held = text
  } else if (state.opened) {
    state.place = 'thinking'
    thinking(state, text)
  } else {
    state.place = 'text'
    state.onText(text)
  }
}

function thinking(state: State, text: string): void {
  const at = text.indexOf(close)
  const known = at === -1 ? text.length - partialTag(text) : at
  reason(state, text.slice(0, known))
  if (at === -1) {
    state.held = text.slice(known)
    return
  }
  state.certain = true
  state.place = 'gap'
  gap(state, text.slice(at + close.length))
}

function reason(state: State, text: string): void {
  if (!state.certain) state.doubtful += text
  const shown = state.reasoned ? text : text.trimStart()
  if (shown === '') return
  state.reasoned = true
  state.onReasoning(shown)
}

/** Between the tag and the answer. */
function gap(state: State, text: string): void {
  const trimmed = text.trimStart()
  if (trimmed === '') return
  state.place = 'text'
  state.onText(trimmed)
}

function end(state: State, complete: boolean): void {
  const { held, place } = state
  state.held = ''
  if (place === 'start' && held !== '') state.onText(held)
  if (place !== 'thinking') return
  if (held !== '') reason(state, held)
  if (!state.certain && complete && state.doubtful !== '') state.onText(state.doubtful)
}

/** How many characters at the end may be the beginning of `</think>`. */
function partialTag(text: string): number {
  const at = text.lastIndexOf('<')
  return at !== -1 && text.length - at < close.length && close.startsWith(text.slice(at)) ? text.length - at : 0
}

/** In a whole text a tag that was never opened is seen before anything was handed on. */
export function closesUnopened(chunk: Chunk): boolean {
  const content = choiceOf(chunk)?.message?.content
  if (typeof content !== 'string') return false
  const closedAt = content.indexOf('</think>')
  return closedAt !== -1 && !content.slice(0, closedAt).includes('<think>')
}
