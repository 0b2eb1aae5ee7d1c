import { asObject, parseJson } from './parse-json.ts'

/** One call that was found in a text: its input is the JSON text of an object. */
export type FoundCall = { readonly name: string; readonly input: string }

/** One more than an answer may hold: it is refused then, and what comes behind is not read (F71). */
export const mostCalls = 1_001

export type FoundCalls = { readonly calls: readonly FoundCall[]; readonly text: string }

/** `[TOOL_CALLS][{"name":...,"arguments":{...}}]`, and `[TOOL_CALLS]name[ARGS]{...}`, also with `[CALL_ID]...` between. */
export function mistralCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  let at = 0
  while (calls.length < mostCalls) {
    const rest = markup.slice(at, at + 400)
    const [marker = ''] = /^\s*(?:\[tool_calls\]\s*)?/i.exec(rest) ?? []
    const head = /^([\w.-]{1,128})?(?:\[call_id\][\w-]{1,64})?(?:\[args\])?\s*/i.exec(rest.slice(marker.length))
    const from = at + marker.length + (head?.[0].length ?? 0)
    const end = endOfJson(markup, from)
    if (end === undefined) break
    const found = callsIn(markup.slice(from, end), head?.[1])
    if (found === undefined) return undefined
    calls.push(...found)
    at = end
  }
  const text = markup.slice(at)
  return /\[(?:tool_calls|args)\]/i.test(text) ? undefined : { calls, text }
}

/** `<|python_tag|>{"name":...,"parameters":{...}}`, several with `;` between them; also a list between two such tokens. */
export function tokenCalls(markup: string): FoundCalls | undefined {
  const calls: FoundCall[] = []
  let at = markup.indexOf('>') + 1
  while (calls.length < mostCalls) {
    const from = at + (/^[\s;]*(?:<\|(?:python_tag|plugin)\|>)?\s*/.exec(markup.slice(at, at + 200))?.[0].length ?? 0)
    const end = markup[from] === '{' || markup[from] === '[' ? endOfJson(markup, from) : undefined
    if (end === undefined) break
    const found = callsIn(markup.slice(from, end))
    if (found === undefined) return undefined
    calls.push(...found)
    at = end
  }
  const text = markup.slice(at).replace(/<\|(?:eom_id|eot_id|end_action|action_end)\|>|^[\s;]+/gi, '')
  // python code, or half an object
  return text.trim() === '' ? { calls, text: '' } : undefined
}

/** `{"name", "arguments"}` and its like, or a list of them. With a name given apart the object is the input itself. */
export function callsIn(json: string, name?: string): readonly FoundCall[] | undefined {
  let value: unknown
  try {
    value = parseJson(json)
  } catch {
    return undefined
  }
  if (name !== undefined) return asObject(value) === undefined ? undefined : [{ name, input: json }]
  const calls = (Array.isArray(value) ? (value as unknown[]) : [value]).map(callOf)
  return calls.some(call => call === undefined) ? undefined : calls.filter(call => call !== undefined)
}

function callOf(value: unknown): FoundCall | undefined {
  const object = asObject(value)
  const inner = asObject(object?.['function']) ?? object
  if (inner === undefined) return undefined
  const name = inner['name'] ?? inner['tool_name']
  if (typeof name !== 'string' || name === '') return undefined
  const given = ['arguments', 'parameters', 'input']
    .map(field => inner[field])
    .find(input => input !== undefined && input !== null)
  const input = typeof given === 'string' ? given : JSON.stringify(given ?? {})
  return isObjectText(input) ? { name, input } : undefined
}

/** Behind the first object or list; undefined when it is cut, or there is none. */
function endOfJson(text: string, from: number): number | undefined {
  if (text[from] !== '{' && text[from] !== '[') return undefined
  const scan = { depth: 0, inString: false, escaped: false }
  for (let at = from; at < text.length; at++) {
    step(scan, text[at])
    if (scan.depth === 0) return at + 1
  }
  return undefined
}

function step(scan: { depth: number; inString: boolean; escaped: boolean }, character: string | undefined): void {
  if (scan.escaped) scan.escaped = false
  else if (scan.inString) {
    scan.escaped = character === '\\'
    scan.inString = character !== '"'
  } else if (character === '"') scan.inString = true
  else if (character === '{' || character === '[') scan.depth += 1
  else if (character === '}' || character === ']') scan.depth -= 1
}

export function isObjectText(text: string): boolean {
  try {
    return text.trim() === '' || asObject(parseJson(text)) !== undefined
  } catch {
    return false
  }
}
