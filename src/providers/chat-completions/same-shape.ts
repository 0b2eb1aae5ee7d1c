/** The fields in which servers send a piece of an answer. */
export type TextField = 'content' | 'reasoning_content' | 'reasoning'

/**
 * The chunk that was learned: its text stands between these two. One that differs from it in nothing but its text is read without
 * parsing it again: nearly all of what a stream costs is `JSON.parse` of 290 bytes for one token.
 */
export type SameShape = {
  field: TextField
  before: string
  after: string
  /** How often in a row a chunk was learned and none like it came. */
  vain: number
}

export type PlainText = {
  readonly field: TextField
  readonly text: string
  /** Where a parsed chunk has its text: proves that the place that was found is the right one. */
  find(value: unknown, field: TextField): unknown
}

/** What is longer holds no single token: to parse it a second time would cost more than it saves. */
const longestLearned = 4_096

/** Chunks of a server that puts something new into each one (OpenAI's `obfuscation`) are not worth learning. */
const mostVain = 4

const quote = 0x22
const backslash = 0x5c
const space = 0x20

const probe = 'unbusy-probe'

export function noShape(): SameShape {
  return { field: 'content', before: '', after: '', vain: 0 }
}

/** The text of `data` when all the rest of it is as in the chunk that was learned; else undefined, and it must be parsed. */
export function textOfSame(shape: SameShape, data: string): string | undefined {
  const { before, after } = shape
  const end = data.length - after.length
  if (before === '' || end <= before.length) return undefined
  // comparing slices takes half as long as `startsWith` and `endsWith`
  if (data.slice(0, before.length) !== before || data.slice(end) !== after) return undefined
  const text = data.slice(before.length, end)
  if (isEscaped(text)) return undefined
  shape.vain = 0
  return text
}

/** Such a text is not written as it is, or ends where it seems not to. A loop: for the few characters of a token no pattern is started. */
function isEscaped(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === quote || code === backslash || code < space) return true
  }
  return false
}

/** `data` is a chunk with this text and nothing else that is news. */
export function learnShape(shape: SameShape, data: string, { field, text, find }: PlainText): void {
  if (shape.vain >= mostVain || data.length > longestLearned) return
  const literal = `"${field}":${JSON.stringify(text)}`
  const at = data.indexOf(literal)
  if (at === -1) return
  shape.vain += 1
  const before = data.slice(0, at + field.length + 4)
  const after = data.slice(at + literal.length - 1)
  if (find(JSON.parse(`${before}${probe}${after}`), field) !== probe) return
  shape.field = field
  shape.before = before
  shape.after = after
}
