/** Half a character at the end of a text whose other half has not come. */
export type Halves = { text: string; thought: string }

/**
 * Some servers cut between the two halves of a character, a surrogate pair (F62): the first waits for the second, so that each event can
 * be shown as it is. Answers what is whole.
 */
export function wholeCharacters(halves: Halves, channel: keyof Halves, part: string): string {
  // the road of every token: nothing is written
  if (halves[channel] === '' && !endsInHalf(part)) return part
  const text = halves[channel] === '' ? part : halves[channel] + part
  const isHalf = endsInHalf(text)
  halves[channel] = isHalf ? text.slice(-1) : ''
  return isHalf ? text.slice(0, -1) : text
}

export function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

/** What becomes of a half whose other half never came: U+FFFD, or nothing where there is none. */
export function restOf(halves: Halves, channel: keyof Halves): string {
  const rest = halves[channel] === '' ? '' : '\uFFFD'
  halves[channel] = ''
  return rest
}
