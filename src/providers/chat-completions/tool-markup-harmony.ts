import type { FoundCall, FoundCalls } from './tool-markup-json.ts'
import { callsIn, mostCalls } from './tool-markup-json.ts'

/**
 * gpt-oss writes messages with headers: `<|channel|>commentary to=functions.x <|constrain|>json<|message|>{...}<|call|>`. The channel
 * `analysis` is thought, `final` is text, and a message to a function is a call.
 */
export function harmonyCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  let text = ''
  let at = 0
  while (calls.length < mostCalls) {
    const begin = find(/<[|｜]message[|｜]>/g, markup, at)
    if (begin === undefined) break
    const header = markup.slice(Math.max(at, begin.from - longestHeader), begin.from)
    const end = find(/<[|｜](?:end|call|return|start|channel)[|｜]>/g, markup, begin.to)
    const body = markup.slice(begin.to, end?.from)
    const name = /\bto=(?:functions\.)?([\w.:-]{1,128})/.exec(header)?.[1]
    const found = name === undefined ? [] : callsIn(body, name)
    if (found === undefined) return undefined
    calls.push(...found)
    if (name === undefined && !/[|｜]>\s*analysis\b/.test(header)) text += body
    // the next header begins with these two itself
    at = end === undefined ? markup.length : /start|channel/.test(end.word) ? end.from : end.to
  }
  const isCut =
    markup
      .slice(at)
      .replace(/<[|｜](?:end|call|return)[|｜]>/g, '')
      .trim() !== ''
  return isCut ? undefined : { calls, text }
}

const longestHeader = 400

function find(pattern: RegExp, text: string, from: number) {
  pattern.lastIndex = from
  const found = pattern.exec(text)
  return found === null ? undefined : { from: found.index, to: pattern.lastIndex, word: found[0] }
}
