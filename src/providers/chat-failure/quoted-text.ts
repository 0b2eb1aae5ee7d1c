import type { Call, Message } from '../../contract.ts'

/**
 * Removes from a server's message what it only quotes, so that neither a name nor the prompt is taken for the cause (R137, F74):
 * text in backticks or quotes, also without an end, and text in single quotes. The value of a `message` is kept, because gateways
 * put their upstream's error into their own message as JSON or as Python text.
 */
export function withoutQuotes(words: string): string {
  return words.replace(quoted, keptOf)
}

function keptOf(...[whole, , json, python, single]: readonly string[]): string {
  const message = json ?? python
  if (message !== undefined) return ` ${message} `
  // 'messages[0].content' and similar paths are needed to tell what is meant
  return single !== undefined && whole !== undefined && /^[\w-]*[.[][^\s]*$/.test(single) ? whole : 'x'
}

const inDouble = String.raw`"((?:\\.|[^"\\])*)(?:"|$)`
const inSingle = String.raw`'((?:\\.|[^'\\])*)(?:'|$)`
const quoted = new RegExp(
  [
    String.raw`(["'])(?:message|msg|detail|error_msg)\1 ?: ?(?:${inDouble}|${inSingle})`,
    // an apostrophe has a letter before it
    String.raw`(?<![\w)\]])'([^']*)'(?!\w)`,
    String.raw`"(?:\\.|[^"\\])*(?:"|$)`,
    '`[^`]*(?:`|$)',
    '“[^”]*(?:”|$)',
    '「[^」]*(?:」|$)',
  ].join('|'),
  'g',
)

/** The shortest run of the caller's text that is recognized. Shorter ones may be the server's own words. */
const shortest = 24
/** Servers quote a message from its beginning, or one close to it. */
const mostRead = 16_384

/** Removes the caller's own text, which some servers quote, also without any marks. */
export function withoutCallersText(words: string, call: Call | undefined): string {
  if (call === undefined) return words
  return withoutRuns(withoutPhrases(words, textsOf(call)), call)
}

/** A short text of the caller counts where it is quoted as such, or where it is all that the caller said. */
function withoutPhrases(words: string, texts: readonly string[]): string {
  const said = texts.map(spaced)
  const isSaid = (quote: string) => {
    const phrase = spaced(quote.slice(1, -1)).replace(/(?<![.…])[.…]+$/, '')
    return phrase.length > 3 && phrase.includes(' ') && said.some(text => text.includes(phrase))
  }
  const rest = words.replace(textInQuotes, quote => (isSaid(quote) ? 'x' : quote))
  return said.filter(isShort).reduce(without, rest)
}

/**
 * Whatever stands in quotes is read to its end, also when it is of no interest: its end would otherwise be taken for the beginning of
 * the next quote. An apostrophe has a letter before it.
 */
export const textInQuotes = /"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^“”]*”|「[^「」]*」/g

function spaced(text: string): string {
  return text
    .toLowerCase()
    .replace(/[\\\s]+/g, ' ')
    .trim()
}

function isShort(text: string): boolean {
  return text.length >= 8 && text.length < shortest * 2 && text.includes(' ')
}

function without(words: string, text: string): string {
  const at = words.toLowerCase().indexOf(text)
  return at === -1 ? words : orAll(words, `${words.slice(0, at)} ${words.slice(at + text.length)}`)
}

/** Nothing is removed from a message that would then be empty: it is the server's, and the caller asked about it. */
function orAll(words: string, rest: string): string {
  return /[\p{L}\p{N}]{2}/u.test(rest) ? rest : words
}

function withoutRuns(words: string, call: Call): string {
  if (words.length < shortest * 2) return words
  const places = new Map<string, number>()
  for (let at = 0; at + shortest <= words.length; at += 1) places.set(words.slice(at, at + shortest), at)
  const isQuoted = new Uint8Array(words.length)
  let hasQuote = false
  for (const text of textsOf(call)) {
    // a run of twice this length holds one of these pieces, wherever it begins
    for (let at = 0; at + shortest <= text.length; at += shortest) {
      const place = places.get(text.slice(at, at + shortest))
      if (place === undefined || isQuoted[place] === 1) continue
      isQuoted.fill(1, ...runAround({ words, text, apart: at - place }, place))
      hasQuote = true
    }
  }
  if (!hasQuote) return words
  const rest = Array.from(isQuoted, (quotes, at) => (quotes === 1 ? ' ' : words[at])).join('')
  return orAll(words, rest)
}

type Pair = { readonly words: string; readonly text: string; readonly apart: number }

/** Extends a common piece in both directions. Returns where the run begins and ends in the words. */
function runAround({ words, text, apart }: Pair, place: number): [from: number, to: number] {
  let [from, to] = [place, place + shortest]
  while (from > 0 && from + apart > 0 && words[from - 1] === text[from + apart - 1]) from -= 1
  while (to < words.length && words[to] === text[to + apart]) to += 1
  return [from, to]
}

function textsOf({ messages }: Call): readonly string[] {
  return messages
    .slice(-8)
    .flatMap(partsOf)
    .map(text => text.slice(0, mostRead))
}

function partsOf({ content }: Message): readonly string[] {
  return typeof content === 'string' ? [content] : content.flatMap(part => ('text' in part ? [part.text] : []))
}
