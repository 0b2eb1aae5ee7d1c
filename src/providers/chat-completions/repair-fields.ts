import type { Dialect } from './dialect.ts'
import type { Repair, RepairRow } from './repair-row.ts'
import { isAboutRequest, isRefusedField, mayBeAboutRequest, withDialect } from './repair-row.ts'

/** "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", or the other way round. */
const otherTokenLimit: RepairRow = refused => {
  const { said, dialect, call } = refused
  const other = dialect.tokenLimit === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  const isRefused = names(said, dialect.tokenLimit) && isRefusedField(said)
  if (!isAboutRequest(refused) || call.maxOutputTokens === undefined || !isRefused) return undefined
  return {
    field: 'tokenLimit',
    setting: 'maxOutputTokens',
    message: `The server wants ${other}: asked again with it.`,
    keep: 'target',
    change: asked => (asked.dialect.tokenLimit === other ? asked : withDialect(asked, { tokenLimit: other })),
  }
}

/** Without these it would be another question, or none. */
const needed: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'tools', 'stream'])

/** The options of the input that a field of the body was made from. */
const settings: Readonly<Record<string, string>> = {
  top_p: 'topP',
  stop: 'stopSequences',
  reasoning_effort: 'reasoning',
  thinking: 'reasoning',
  enable_thinking: 'reasoning',
  thinking_budget: 'reasoning',
  chat_template_kwargs: 'reasoning',
  tool_choice: 'toolChoice',
  response_format: 'output',
  max_tokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  stream_options: 'streamUsage',
}

/**
 * F44: any field of ours that a strict server names as extra, unknown or not supported is left out, and so is one in which it names
 * another: the server does not know what it is for.
 */
const withoutField: RepairRow = refused => {
  const { said, fields, call } = refused
  // a 500 of "something unexpected" says nothing of a field
  const isMeant = isAboutRequest(refused) ? isRefusedField(said) : mayBeAboutRequest(refused) && unknownArgument.test(said)
  if (!isMeant) return undefined
  // a tool that must be called is what the caller wants to know
  const mayGo = (field: string) => !needed.has(field) && (field !== 'tool_choice' || call.toolChoice === 'auto')
  const free = fields.filter(mayGo)
  const field = free.find(name => names(said, name)) ?? free.find(name => namesInside(said, name))
  return field === undefined ? undefined : leftOut(field)
}

const unknownArgument =
  /unexpected keyword argument|unknown (?:field|parameter|argument)|unsupported (?:field|parameter|argument)|extra (?:inputs|fields)|not permitted|不支持的参数/i

function leftOut(field: string): Repair {
  return {
    field,
    setting: settings[field] ?? field,
    message: `The server does not take ${field}: asked again without it.`,
    keep: 'target',
    change: asked =>
      asked.dialect.omit?.includes(field) === true ? asked : withDialect(asked, { omit: [...(asked.dialect.omit ?? []), field] }),
  }
}

/**
 * Whether a field is named: as a word of its own where no other word looks like it, else only in quotes, behind a dot or as `param`.
 * "messages.0.name" does not name `name`.
 */
function names(said: string, field: string): boolean {
  const word = field.replace(/[^\w]/g, String.raw`\$&`)
  const quoted = String.raw`['"\x60“‘(]${word}['"\x60”’),]`
  const placed = String.raw`(?:\bbody\W{1,4}|\bparam: |(?:parameter|argument|field|property|name|input|key|option)s?(?: supplied| name)?\W{1,3})${word}\b(?![.\[]\w)`
  const bare = field.includes('_') ? String.raw`|(?<![\w.\]])${word}\b(?![.\[]\w)` : ''
  const leading = String.raw`|^${word}\b\W`
  // "Argument not supported on this model: seed", "The following parameters are not supported: seed, top_k"
  const listed = String.raw`|(?:supported|permitted|allowed|accepted|recogni[sz]ed|unknown|forbidden|extraneous key)[^.:]{0,30}[:：[] ?(?:[\w-]+, ?){0,8}${word}\b(?![.\[]\w)`
  const chinese = String.raw`|(?:参数|字段|属性)[^\w。，]{0,6}${word}\b(?![.\[]\w)|(?<![\w.])${word} ?(?:参数|字段|属性)`
  return new RegExp(`${quoted}|${placed}${bare}${leading}${listed}${chinese}`, 'i').test(said)
}

/** "body.stream_options.include_usage: Extra inputs are not permitted": as a path, whole. */
function namesInside(said: string, field: string): boolean {
  const word = field.replace(/[^\w]/g, String.raw`\$&`)
  return new RegExp(String.raw`(?:^|["'\x60(\s]|body\.)${word}(?:\.\w+|\[\W?\w+\W?\])+`, 'i').test(said)
}

/** A nested field that a dialect can leave out: `strict` of a tool. */
const withoutStrictField: RepairRow = refused => {
  const { said, call } = refused
  const isMeant = isAboutRequest(refused) && /\bstrict\b/.test(said) && /tools?\W|function/i.test(said) && isRefusedField(said)
  if (!isMeant || !Object.values(call.tools ?? {}).some(tool => tool.strict !== undefined)) return undefined
  return {
    field: 'tools.strict',
    setting: 'tools',
    message: 'The server does not know strict tools: asked again without holding them to the letter.',
    keep: 'target',
    change: asked => {
      const tools = Object.entries(asked.call.tools ?? {})
      if (!tools.some(([, tool]) => tool.strict !== undefined)) return asked
      const loose = Object.fromEntries(tools.map(([name, tool]) => [name, { ...tool, strict: undefined }]))
      return { ...asked, call: { ...asked.call, tools: loose } }
    },
  }
}

export const fieldRows: readonly RepairRow[] = [otherTokenLimit, withoutStrictField, withoutField]

/** The body without the fields that this server refuses. */
export function withoutOmitted(body: Readonly<Record<string, unknown>>, { omit }: Dialect): Readonly<Record<string, unknown>> {
  if (omit === undefined || omit.length === 0) return body
  return Object.fromEntries(Object.entries(body).filter(([name]) => !omit.includes(name)))
}
