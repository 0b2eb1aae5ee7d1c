/** The fields in which servers send a piece of an answer. */
export type TextField = 'content' | 'reasoning_content' | 'reasoning'

/**
 * Reads the text of a chunk that differs from an earlier one in nothing but its text, without parsing it again: nearly all of what a
 * stream costs is `JSON.parse` of 290 bytes for one token.
 */
export type SameShape = {
  readonly field: () => TextField
  /** The text of `data` when all the rest of it is as in the chunk that was learned; else undefined, and it must be parsed. */
  textOf(data: string): string | undefined
  /**
   * `data` is a chunk with this text and nothing else that is news.
   *
   * @param find where a parsed chunk has its text: proves that the place that was found is the right one
   */
  learn(data: string, told: { readonly field: TextField; readonly text: string; find(value: unknown): unknown }): void
}

/** Chunks of a server that puts something new into each one (OpenAI's `obfuscation`) are not worth learning. */
const mostVain = 4

/** Such a text is not written as it is, or ends where it seems not to. */
// eslint-disable-next-line no-control-regex -- control characters are what JSON escapes
const needsParser = /["\\\u0000-\u001f]/

const probe = 'unbusy-probe'

export function createSameShape(): SameShape {
  let field: TextField = 'content'
  let before = ''
  let after = ''
  let vain = 0
  return {
    field: () => field,
    textOf(data) {
      if (before === '') return undefined
      const end = data.length - after.length
      if (end <= before.length || data.slice(0, before.length) !== before || data.slice(end) !== after) return undefined
      const text = data.slice(before.length, end)
      if (needsParser.test(text)) return undefined
      vain = 0
      return text
    },
    learn(data, told) {
      if (vain >= mostVain) return
      const literal = `"${told.field}":${JSON.stringify(told.text)}`
      const at = data.indexOf(literal)
      if (at === -1) return
      vain += 1
      const start = data.slice(0, at + told.field.length + 4)
      const rest = data.slice(at + literal.length - 1)
      if (told.find(JSON.parse(`${start}${probe}${rest}`)) !== probe) return
      field = told.field
      before = start
      after = rest
    },
  }
}
