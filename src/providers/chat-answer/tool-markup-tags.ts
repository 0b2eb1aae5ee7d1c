import type { Call, JsonSchema } from '../../contract.ts'
import { asObject, type JsonWork, parseJson } from '../json.ts'
import { callsIn, type FoundCall, type FoundCalls, isObjectText, markupWork, mostCalls } from './tool-markup-json.ts'

type Tools = NonNullable<Call['tools']>

type Tag = {
  /**
   * What the tag does, whatever its model family calls it: `calls`, `call`, `invoke`, `parameter`, `sep`, `key`, `value`, `end`.
   */
  readonly kind: Kind
  readonly closes: boolean
  /** Written as a special token, which only another special token can end. */
  readonly special: boolean
  readonly name: string
  readonly isText: boolean | undefined
  readonly from: number
  readonly to: number
}
type Kind = 'calls' | 'call' | 'invoke' | 'parameter' | 'sep' | 'key' | 'value'

const tagPattern =
  /<(\/?)([|｜‖]{1,2}\s?DSML\s?[|｜‖]{1,2}\s?)?(?:minimax:|seed:|longcat_|longcat:|steptml:|xai:)?(function_calls|function_call|tool_calls|calls|tool_call|invoke|function|parameter|arg_key|arg_value)([= ][^<>]{0,300})?>|<([|｜‖]{0,2})\s?(\/?)(tool[▁_ ][a-z▁_ ]{3,40}?)\s?[|｜‖]{0,2}>/gi

/** A thousand calls with a few parameters each need fewer tags. Reading one takes microseconds. */
const mostTags = 16_000

/** Returns undefined when there are more tags than any real answer has. */
function tagsOf(markup: string): Tag[] | undefined {
  const tags: Tag[] = []
  for (const found of markup.matchAll(tagPattern)) {
    const tag = tagOf(found)
    if (tag !== undefined) tags.push(tag)
    if (tags.length > mostTags) return undefined
  }
  return tags
}

function tagOf(found: RegExpExecArray): Tag | undefined {
  const [all, slash, dsml, word, attributes = '', , innerSlash, token = ''] = found
  const kind = word === undefined ? tokenKind(token) : wordKinds[word.toLowerCase()]
  if (kind === undefined) return undefined
  const isText = /\bstring\s*=\s*"?(true|false)/.exec(attributes)?.[1]
  return {
    kind,
    closes: word === undefined ? innerSlash === '/' || token.toLowerCase().endsWith('end') : slash === '/',
    special: dsml !== undefined,
    name: /(?:^=|\bname\s*=)\s*["']?([\w.:-]{1,128})/.exec(attributes)?.[1] ?? '',
    isText: isText === undefined ? undefined : isText === 'true',
    from: found.index,
    to: found.index + all.length,
  }
}

const wordKinds: Readonly<Record<string, Kind>> = {
  function_calls: 'calls',
  tool_calls: 'calls',
  calls: 'calls',
  tool_call: 'call',
  invoke: 'invoke',
  // of xAI
  function_call: 'invoke',
  function: 'invoke',
  parameter: 'parameter',
  arg_key: 'key',
  arg_value: 'value',
}

/** `tool▁calls▁begin`, `tool▁call▁begin`, `tool▁sep`, Kimi's `tool_calls_section_begin` and `tool_call_argument_begin`. */
function tokenKind(token: string): Kind | undefined {
  const plain = token.toLowerCase().replace(/[▁ ]/g, '_')
  if (/^tool_sep$|argument_begin$/.test(plain)) return 'sep'
  if (plain.startsWith('tool_calls')) return 'calls'
  return plain.startsWith('tool_call') ? 'call' : undefined
}

type Reading = {
  readonly markup: string
  readonly tags: readonly Tag[]
  readonly tools: Tools
  at: number
  readonly calls: FoundCall[]
  readonly work: JsonWork
  text: string
}

export function taggedCalls(markup: string, tools: Tools): FoundCalls | undefined {
  const tags = tagsOf(markup)
  return tags === undefined ? undefined : readTags({ markup, tags, tools, at: 0, calls: [], work: markupWork(), text: '' })
}

function readTags(reading: Reading): FoundCalls | undefined {
  const { markup } = reading
  let last = 0
  while (reading.at < reading.tags.length && reading.calls.length < mostCalls) {
    const tag = reading.tags[reading.at] as Tag
    const between = markup.slice(last, tag.from)
    // `<tool_calls>` may directly contain a list of calls
    const isBody = reading.at > 0 && /^\s*[[{]/.test(between)
    if (isBody) {
      const found = callsIn(between.trim(), reading.work)
      if (found === undefined) return undefined
      reading.calls.push(...found)
    } else reading.text += between
    reading.at += 1
    if (!tag.closes && (tag.kind === 'call' || tag.kind === 'invoke') && !readCall(reading, tag)) return undefined
    last = reading.tags[reading.at - 1]?.to ?? markup.length
  }
  const rest = markup.slice(last)
  return { calls: reading.calls, text: reading.text + rest.replace(endTokens, '') }
}

const endTokens = /<[|｜]?(?:end[▁_]of[▁_]sentence|im_end|eot_id)[|｜]?>/gi

/** Reads from the tag that begins a call to just after the tag that ends it. */
function readCall(reading: Reading, start: Tag): boolean {
  if (start.kind === 'invoke') return readInvoke(reading, start)
  const next = reading.tags[reading.at]
  if (next?.kind === 'invoke') return readWrapped(reading, next)
  if (next?.kind === 'key') return readKeys(reading, start)
  if (next?.kind !== 'sep') return readBody(reading, start)
  const behind = reading.tags[reading.at + 1]
  if (behind?.kind !== 'invoke' || behind.closes) return readSeparated(reading, start, next)
  // StepFun: `function<sep><steptml:invoke name="x">`
  reading.at += 1
  return readWrapped(reading, behind)
}

/** `<tool_call><function=x>...</function></tool_call>` */
function readWrapped(reading: Reading, inner: Tag): boolean {
  reading.at += 1
  const isRead = readInvoke(reading, inner)
  const end = reading.tags[reading.at]
  if (end?.kind === 'call' && end.closes) reading.at += 1
  return isRead
}

/** `<invoke name="x"><parameter name="k" string="true">v</parameter></invoke>`, `<function=x><parameter=k>v</parameter></function>`. */
function readInvoke(reading: Reading, start: Tag): boolean {
  const { tags, markup } = reading
  const input: [string, unknown][] = []
  for (; reading.at < tags.length; reading.at += 1) {
    const tag = tags[reading.at] as Tag
    if (tag.kind === 'invoke' && tag.closes && tag.special === start.special) {
      reading.at += 1
      const body = input.length === 0 ? markup.slice(start.to, tag.from).trim() : ''
      return addCall(reading, start.name, body === '' ? JSON.stringify(Object.fromEntries(input)) : body)
    }
    if (tag.kind !== 'parameter' || tag.closes || tag.special !== start.special) continue
    const end = endOfParameter(reading, tag)
    const close = tags[end]
    if (close === undefined) return false
    const value = valueOf(reading, markup.slice(tag.to, close.from), {
      tag,
      schema: parameterSchema(reading, start.name, tag.name),
    })
    if (value === undefined) return false
    input.push([tag.name, value.value])
    reading.at = end
  }
  return false
}

/** Searches from the current position. Starting over for each parameter would make this quadratic. */
function endOfParameter({ tags, at }: Reading, start: Tag): number {
  let end = at + 1
  for (let tag = tags[end]; tag !== undefined; tag = tags[end]) {
    if (tag.kind === 'parameter' && tag.closes && tag.special === start.special) break
    end += 1
  }
  return end
}

/** GLM: `<tool_call>name<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`. */
function readKeys(reading: Reading, start: Tag): boolean {
  const { tags, markup } = reading
  const name = markup.slice(start.to, tags[reading.at]?.from).trim()
  const input: [string, unknown][] = []
  for (; reading.at < tags.length; reading.at += 4) {
    const [key, keyEnd, value, valueEnd] = tags.slice(reading.at, reading.at + 4)
    if (key?.kind === 'call' && key.closes) {
      reading.at += 1
      return addCall(reading, name, JSON.stringify(Object.fromEntries(input)))
    }
    if (key === undefined || keyEnd === undefined || value === undefined || valueEnd === undefined) return false
    if ([key, keyEnd, value, valueEnd].map(({ kind }) => kind).join(' ') !== 'key key value value') return false
    const field = markup.slice(key.to, keyEnd.from).trim()
    const read = valueOf(reading, markup.slice(value.to, valueEnd.from), {
      tag: value,
      schema: parameterSchema(reading, name, field),
    })
    if (read === undefined) return false
    input.push([field, read.value])
  }
  return false
}

/** `function<sep>name` and fenced JSON (R1, V3), `name<sep>{...}` (V3.1), `functions.name:0<argument_begin>{...}` (Kimi). */
function readSeparated(reading: Reading, start: Tag, separator: Tag): boolean {
  const { tags, markup } = reading
  const before = markup.slice(start.to, separator.from).trim()
  const end = tags[reading.at + 1]
  if (end?.kind !== 'call' && end?.kind !== 'calls') return false
  const behind = markup.slice(separator.to, end.from).trim()
  reading.at += end.kind === 'call' && end.closes ? 2 : 1
  const [head, called = ''] = /^([\w.:-]{1,128})\s*(?=```)/.exec(behind) ?? []
  if (before === 'function' && head !== undefined) return addCall(reading, called, withoutFence(behind.slice(head.length)))
  const name = before.replace(/^functions\./, '').replace(/:\d+$/, '')
  return addCall(reading, name, withoutFence(behind))
}

/** Trims only the ends. A regular expression that can start at each whitespace character would be quadratic. */
function withoutFence(text: string): string {
  const inner = text.replace(/^```(?:json)?/, '')
  return (inner.endsWith('```') ? inner.slice(0, -3) : inner).trim()
}

/** Reads the JSON between `<tool_call>` and its end tag, or the end of the answer. */
function readBody(reading: Reading, start: Tag): boolean {
  const { tags, markup } = reading
  const end = tags[reading.at]
  const behind = markup.slice(start.to, end?.from).trim()
  if (end?.kind === 'call' && end.closes) reading.at += 1
  // Hunyuan writes the name before the fence
  const [head, name = ''] = /^([\w.:-]{1,128})\s*(?=```)/.exec(behind) ?? []
  if (head !== undefined && end !== undefined) return addCall(reading, name, withoutFence(behind.slice(head.length)))
  const body = withoutFence(behind)
  const found = callsIn(body, reading.work)
  if (found === undefined) return false
  reading.calls.push(...found)
  // without an end tag the JSON is the rest of the text
  if (end === undefined) reading.at = tags.length + 1
  return true
}

function addCall({ calls, work }: Reading, name: string, input: string): boolean {
  if (name === '' || !isObjectText(input, work)) return false
  calls.push({ name, input })
  return true
}

function parameterSchema({ tools }: Reading, tool: string, name: string): JsonSchema {
  const properties = Object.hasOwn(tools, tool) ? asObject(tools[tool]?.inputSchema['properties']) : undefined
  return properties !== undefined && Object.hasOwn(properties, name) ? (asObject(properties[name]) ?? {}) : {}
}

/** A failed `JSON.parse` costs as much as ten successful ones, so obvious non-JSON is sorted out first. */
const mayBeJson = /^\s*[-\d"{[tfn]/

type ToRead = { readonly tag: Tag; readonly schema: JsonSchema }

/**
 * Parses a parameter: a string as it is, anything else as JSON. If the tag does not give the type, the schema does; otherwise it
 * is guessed from the text.
 */
function valueOf({ work }: Reading, text: string, { tag: { isText }, schema }: ToRead): { readonly value: unknown } | undefined {
  const isString = isText ?? (schema['type'] === 'string' ? true : undefined)
  // the template adds line breaks around a value
  const trimmed = isText === true ? text : text.replace(/^\n|\n$/g, '')
  if (isString === true || (isString === undefined && !mayBeJson.test(trimmed))) return { value: trimmed }
  try {
    return { value: parseJson(trimmed, work) }
  } catch {
    return isString === false ? undefined : { value: trimmed }
  }
}
