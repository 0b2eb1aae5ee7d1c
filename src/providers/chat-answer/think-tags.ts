import { choiceOf, type Chunk } from './chunk.ts'

/** Where to send the two channels of an answer that arrives as one text. */
export type ThinkTagsOptions = {
  /**
   * The chat template has already opened the tag, as R1's does: the text begins inside it and only `</think>` ever appears. Text
   * is then reasoning until the tag closes. If it never closes, the text was the answer and is emitted as text at the end.
   */
  readonly opened: boolean
  onText(text: string): void
  onReasoning(text: string): void
}

export type ThinkTags = {
  write(text: string): void
  /** No tag can follow: the rest is text, and nothing is held back. */
  isOver(): boolean
  /** Emits what is still held back. `complete`: the model stopped by itself and was not cut off by the token limit. */
  end(complete: boolean): void
}

const open = '<think>'
const close = '</think>'
/** Whitespace before a tag is held back. No model sends this much before one. */
const mostBlanks = 256

type State = ThinkTagsOptions & {
  place: 'start' | 'thinking' | 'gap' | 'text'
  /** A possible beginning of a tag. */
  held: string
  /** A tag was seen, so the text taken for reasoning is reasoning. */
  certain: boolean
  doubtful: string
  reasoned: boolean
}

/**
 * Splits inline `<think>...</think>` from the beginning of an answer, however the chunks are cut. A tag later in the text stays
 * text, because a model may write about tags. Whitespace around the tags is dropped; nothing else is lost, even when `<thin`
 * turns out to be no tag.
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

/** Handles text between the tag and the answer. */
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

/**
 * Whether a complete text closes a think tag that it never opened. Only a complete text shows this before anything is emitted.
 */
export function closesUnopened(chunk: Chunk): boolean {
  const content = choiceOf(chunk)?.message?.content
  if (typeof content !== 'string') return false
  const closedAt = content.indexOf('</think>')
  return closedAt !== -1 && !content.slice(0, closedAt).includes('<think>')
}
