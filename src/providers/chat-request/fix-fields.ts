import { isAboutRequest, isRefusedField, mayBeAboutRequest, type RequestFix, type FixRow, withDialect } from './fix-row.ts'

/**
 * "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", or the reverse.
 */
const otherTokenLimit: FixRow = refused => {
  const { said, dialect, call } = refused
  const other = dialect.tokenLimit === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  const isRefused = names(said, dialect.tokenLimit) && isRefusedField(said)
  if (!isAboutRequest(refused) || call.maxOutputTokens === undefined || !isRefused) return undefined
  return {
    field: 'tokenLimit',
    setting: 'maxOutputTokens',
    message: `The server requires ${other}. The request was sent again with it.`,
    keep: 'target',
    change: asked => (asked.dialect.tokenLimit === other ? asked : withDialect(asked, { tokenLimit: other })),
  }
}

/** Without one of these it would be a different question, or none. */
const needed: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'tools', 'stream'])

/** The call option behind each field of the body. */
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
 * F44: omits a field of ours that a strict server rejects as extra, unknown or unsupported. A field is also omitted when the
 * server rejects a field inside it, because then the server does not support the outer field.
 */
const withoutField: FixRow = refused => {
  const { said, fields, call } = refused
  // a 500 with "something unexpected" does not reject a field
  const isMeant = isAboutRequest(refused) ? isRefusedField(said) : mayBeAboutRequest(refused) && unknownArgument.test(said)
  if (!isMeant) return undefined
  // dropping a forced tool choice would change the question
  const mayGo = (field: string) => !needed.has(field) && (field !== 'tool_choice' || call.toolChoice === 'auto')
  const free = fields.filter(mayGo)
  const field = free.find(name => names(said, name)) ?? free.find(name => namesInside(said, name))
  return field === undefined ? undefined : leftOut(field)
}

const unknownArgument =
  /unexpected keyword argument|unknown (?:field|parameter|argument)|unsupported (?:field|parameter|argument)|extra (?:inputs|fields)|not permitted|不支持的参数/i

function leftOut(field: string): RequestFix {
  return {
    field,
    setting: settings[field] ?? field,
    message: `The server does not accept ${field}. The request was sent again without it.`,
    keep: 'target',
    change: asked =>
      asked.dialect.omit?.includes(field) === true ? asked : withDialect(asked, { omit: [...(asked.dialect.omit ?? []), field] }),
  }
}

/**
 * Whether the server names the field. A distinctive name counts as a bare word; any other name only in quotes, after a dot or as
 * `param`. "messages.0.name" does not name `name`.
 */
function names(said: string, field: string): boolean {
  const word = field.replace(/[^\w]/g, String.raw`\$&`)
  const quoted = String.raw`['"\x60“‘(]${word}['"\x60”’),]`
  const placed = String.raw`(?:\bbody\W{1,4}|\bparam: |(?:parameter|argument|field|property|name|input|key|option)(?:s|\(s\))?(?: supplied| name)?\W{1,3})${word}\b(?![.\[]\w)`
  const bare = field.includes('_') ? String.raw`|(?<![\w.\]])${word}\b(?![.\[]\w)` : ''
  const leading = String.raw`|^${word}\b\W`
  // "Argument not supported on this model: seed", "The following parameters are not supported: seed, top_k"
  const listed = String.raw`|(?:supported|permitted|allowed|accepted|recogni[sz]ed|unknown|forbidden|extraneous key)[^.:]{0,30}[:：[] ?(?:[\w-]+, ?){0,8}${word}\b(?![.\[]\w)`
  const chinese = String.raw`|(?:参数|字段|属性)[^\w。，]{0,6}${word}\b(?![.\[]\w)|(?<![\w.])${word} ?(?:参数|字段|属性)`
  return new RegExp(`${quoted}|${placed}${bare}${leading}${listed}${chinese}`, 'i').test(said)
}

/** Whether the server names a path inside the field: "body.stream_options.include_usage: Extra inputs are not permitted". */
function namesInside(said: string, field: string): boolean {
  const word = field.replace(/[^\w]/g, String.raw`\$&`)
  return new RegExp(String.raw`(?:^|["'\x60(\s]|body\.)${word}(?:\.\w+|\[\W?\w+\W?\])+`, 'i').test(said)
}

/** A nested field that a dialect can omit: a tool's `strict`. */
const withoutStrictField: FixRow = refused => {
  const { said, call } = refused
  const isMeant = isAboutRequest(refused) && /\bstrict\b/.test(said) && /tools?\W|function/i.test(said) && isRefusedField(said)
  if (!isMeant || !Object.values(call.tools ?? {}).some(tool => tool.strict !== undefined)) return undefined
  return {
    field: 'tools.strict',
    setting: 'tools',
    message: 'The server does not support strict tools. The request was sent again without strict.',
    keep: 'target',
    change: asked => {
      const tools = Object.entries(asked.call.tools ?? {})
      if (!tools.some(([, tool]) => tool.strict !== undefined)) return asked
      const loose = Object.fromEntries(tools.map(([name, tool]) => [name, { ...tool, strict: undefined }]))
      return { ...asked, call: { ...asked.call, tools: loose } }
    },
  }
}

export const fieldRows: readonly FixRow[] = [otherTokenLimit, withoutStrictField, withoutField]

/** The body without the fields that this server rejects. */
export function withoutOmitted(
  body: Readonly<Record<string, unknown>>,
  omit: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !omit.includes(name)))
}
