import { endOfJson as endOfPiece, startOfJson } from '../../http/json-lines.ts'
import { asObject, type JsonWork, jsonWork, parseJson, readJson } from '../json.ts'

/** A call that was found in a text; `input` is the JSON text of an object. */
export type FoundCall = { readonly name: string; readonly input: string }

/** One more than an answer may hold. Parsing stops here, and the answer is rejected (F71). */
export const mostCalls = 1_001

/** The work of the texts in one markup. The inputs are written and parsed once more after it, in the same step. */
export function markupWork(): JsonWork {
  return jsonWork(2)
}

export type FoundCalls = { readonly calls: readonly FoundCall[]; readonly text: string }

/** `[TOOL_CALLS][{"name":...,"arguments":{...}}]`, and `[TOOL_CALLS]name[ARGS]{...}`, also with `[CALL_ID]...` between. */
export function mistralCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  const work = markupWork()
  let at = 0
  while (calls.length < mostCalls) {
    const rest = markup.slice(at, at + 400)
    const [marker = ''] = /^\s*(?:\[tool_calls\]\s*)?/i.exec(rest) ?? []
    const head = /^([\w.-]{1,128})?(?:\[call_id\][\w-]{1,64})?(?:\[args\])?\s*/i.exec(rest.slice(marker.length))
    const from = at + marker.length + (head?.[0].length ?? 0)
    const end = endOfJson(markup, from)
    if (end === undefined) break
    const found = callsIn(markup.slice(from, end), work, head?.[1])
    if (found === undefined) return undefined
    calls.push(...found)
    at = end
  }
  const text = markup.slice(at)
  return /\[(?:tool_calls|args)\]/i.test(text) ? undefined : { calls, text }
}

/** `<|python_tag|>{"name":...,"parameters":{...}}`, several with `;` between them; also a list between two such tokens or tags. */
export function tokenCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  const work = markupWork()
  let at = markup.indexOf('>') + 1
  while (calls.length < mostCalls) {
    const from = at + (/^[\s;]*(?:<\|(?:python_tag|plugin)\|>)?\s*/.exec(markup.slice(at, at + 200))?.[0].length ?? 0)
    const end = markup[from] === '{' || markup[from] === '[' ? endOfJson(markup, from) : undefined
    if (end === undefined) break
    const found = callsIn(markup.slice(from, end), work)
    if (found === undefined) return undefined
    calls.push(...found)
    at = end
  }
  const text = markup.slice(at).replace(/<\|(?:eom_id|eot_id|end_action|action_end|tools_suffix)\|>|<\/toolcall>|^[\s;]+/gi, '')
  // Python code, or an incomplete object
  return text.trim() === '' ? { calls, text: '' } : undefined
}

/**
 * Parses `{"name", "arguments"}` and similar objects, or a list of them. With a separate `name`, the object is the input itself.
 */
export function callsIn(json: string, work: JsonWork, name?: string): readonly FoundCall[] | undefined {
  let value: unknown
  try {
    value = readJson(json, work)
  } catch {
    return undefined
  }
  if (name !== undefined) return asObject(value) === undefined ? undefined : [{ name, input: json }]
  const calls = (Array.isArray(value) ? (value as unknown[]).slice(0, mostCalls) : [value]).map(call => callOf(call, work))
  return calls.some(call => call === undefined) ? undefined : calls.filter(call => call !== undefined)
}

function callOf(value: unknown, work: JsonWork): FoundCall | undefined {
  const object = asObject(value)
  const inner = asObject(object?.['function']) ?? object
  if (inner === undefined) return undefined
  const name = inner['name'] ?? inner['tool_name']
  if (name === undefined) return namedByKey(inner)
  if (typeof name !== 'string' || name === '') return undefined
  const given = ['arguments', 'parameters', 'input']
    .map(field => inner[field])
    .find(input => input !== undefined && input !== null)
  const input = typeof given === 'string' ? given : JSON.stringify(given ?? {})
  return isObjectText(input, work) ? { name, input } : undefined
}

/** Apertus: `{"get_weather":{...}}`. */
function namedByKey(object: { readonly [key: string]: unknown }): FoundCall | undefined {
  const [entry, ...others] = Object.entries(object)
  if (entry === undefined || others.length > 0 || asObject(entry[1]) === undefined) return undefined
  return { name: entry[0], input: JSON.stringify(entry[1]) }
}

/** The index after the first object or list; undefined when it is incomplete or missing. */
function endOfJson(text: string, from: number): number | undefined {
  if (text[from] !== '{' && text[from] !== '[') return undefined
  const end = endOfPiece(startOfJson(), text.slice(from))
  return end === undefined ? undefined : from + end
}

export function isObjectText(text: string, work: JsonWork): boolean {
  try {
    return text.trim() === '' || asObject(parseJson(text, work)) !== undefined
  } catch {
    return false
  }
}

/**
 * gpt-oss writes messages with headers: `<|channel|>commentary to=functions.x <|constrain|>json<|message|>{...}<|call|>`. The
 * channel `analysis` is reasoning, `final` is text, and a message to a function is a tool call.
 */
export function harmonyCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  const work = markupWork()
  let text = ''
  let at = 0
  while (calls.length < mostCalls) {
    const begin = find(/<[|｜]message[|｜]>/g, markup, at)
    if (begin === undefined) break
    const header = markup.slice(Math.max(at, begin.from - longestHeader), begin.from)
    const end = find(/<[|｜](?:end|call|return|start|channel)[|｜]>/g, markup, begin.to)
    const body = markup.slice(begin.to, end?.from)
    const name = /\bto=(?:functions\.)?([\w.:-]{1,128})/.exec(header)?.[1]
    const found = name === undefined ? [] : callsIn(body, work, name)
    if (found === undefined) return undefined
    calls.push(...found)
    if (name === undefined && !/[|｜]>\s*analysis\b/.test(header)) text += body
    // the next header begins with one of these two tokens
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
