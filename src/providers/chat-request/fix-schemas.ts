import type { Call, Capabilities, JsonSchema, Tool } from '../../contract.ts'
import type { Enforceable } from './json-schema.ts'
import type { Asked, Refused, RequestFix, FixRow } from './fix-row.ts'

/**
 * "Invalid schema for response_format 'answer': In context=(), 'allOf' is not permitted." (OpenAI), "Invalid schema for function
 * 'x': ..." (OpenAI, DeepSeek). The keywords that strict mode accepts differ between services and change over time. The same
 * schema is accepted without `strict`, and we validate the answer in any case.
 */
const withoutStrict: FixRow = refused => {
  const { error, said, call } = refused
  const [, place, name = ''] = /invalid schema for (response_format|function) ['"`]?([\w-]*)/i.exec(said) ?? []
  if (error.reason !== 'invalid-request' || place === undefined) return undefined
  const message = 'The server cannot enforce this schema strictly. The request was sent again without strict.'
  const tools = call.tools ?? {}
  if (Object.hasOwn(tools, name)) {
    return tools[name]?.strict !== true
      ? undefined
      : { field: 'tools', setting: 'tools', message, keep: 'call', change: withLooseTools }
  }
  return !isEnforced(refused)
    ? undefined
    : { field: 'output:strict', setting: 'output', message, keep: 'call', change: withLooseOutput }
}

function isEnforced({ call, dialect }: Refused): boolean {
  return call.output?.schema !== undefined && dialect.enforceable !== asItIs
}

function withLooseTools(asked: Asked): Asked {
  const loose = ([name, tool]: [string, Tool]) => [name, { ...tool, strict: tool.strict === true ? false : tool.strict }]
  const tools = Object.fromEntries(Object.entries(asked.call.tools ?? {}).map(loose)) as Call['tools']
  return { ...asked, call: { ...asked.call, tools } }
}

function withLooseOutput(asked: Asked): Asked {
  const { capabilities } = asked.dialect
  const output = capabilities.output === 'strict-tool' ? 'json-object' : capabilities.output
  return { ...asked, dialect: { ...asked.dialect, enforceable: asItIs, capabilities: { ...capabilities, output } } }
}

function asItIs(schema: JsonSchema): Enforceable {
  return { schema, strict: false }
}

/**
 * F43: llama-server cannot convert the schema, xgrammar or outlines lack a feature of it, or a server has no `json_schema` at
 * all. The schema is then given in words, and the answer is validated here as always.
 */
const withoutEnforcement: FixRow = refused => {
  const { said, call, dialect } = refused
  if (!isAboutGrammar(refused) || call.output === undefined) return undefined
  const weaker = dialect.capabilities.output === 'json-object' || call.output.schema === undefined ? 'prompt' : 'json-object'
  const isKind =
    /response_format|json_object|json_schema/.test(said) && !/convert|compil|xgrammar|grammar|invalid schema|feature/i.test(said)
  return {
    field: `output:${weaker}`,
    setting: 'output',
    message:
      weaker === 'prompt'
        ? 'The server has no JSON mode. The request was sent again with an instruction in words, and unbusy checks the answer.'
        : 'The server cannot enforce this schema. The request was sent again with the schema in words, and unbusy checks the answer.',
    keep: isKind ? 'target' : 'call',
    change: asked => withForm(asked, weaker),
  }
}

function withForm(asked: Asked, output: Capabilities['output']): Asked {
  if (asked.call.output === undefined || asked.dialect.capabilities.output === output) return asked
  return { ...asked, dialect: { ...asked.dialect, capabilities: { ...asked.dialect.capabilities, output } } }
}

/**
 * Likewise for tools: keywords that a grammar may not support are removed from the schemas; each input is validated here as
 * always.
 */
const withPlainTools: FixRow = refused => {
  if (!isAboutGrammar(refused) || refused.call.output !== undefined || refused.call.tools === undefined) return undefined
  return plainTools
}

const plainTools: RequestFix = {
  field: 'tools:schema',
  setting: 'tools',
  message:
    'The server cannot enforce the schema of a tool. The request was sent again with a simpler schema, and unbusy checks the input.',
  keep: 'call',
  change(asked) {
    const plain = ([name, tool]: [string, Tool]) => [name, { ...tool, inputSchema: plainSchema(tool.inputSchema, 0) }]
    const tools = Object.fromEntries(Object.entries(asked.call.tools ?? {}).map(plain)) as Call['tools']
    return JSON.stringify(tools) === JSON.stringify(asked.call.tools) ? asked : { ...asked, call: { ...asked.call, tools } }
  },
}

/** The keywords that every grammar converter supports. */
const plainKeywords = new Set(['type', 'description', 'title', 'properties', 'required', 'items', 'enum', 'default'])
const deepest = 32

function plainSchema(schema: JsonSchema, depth: number): JsonSchema {
  if (depth > deepest) return {}
  const entries = Object.entries(schema).filter(([keyword]) => plainKeywords.has(keyword))
  return Object.fromEntries(
    entries.map(([keyword, value]) => {
      if (keyword === 'items') return [keyword, isSchema(value) ? plainSchema(value, depth + 1) : {}]
      if (keyword !== 'properties' || !isSchema(value)) return [keyword, value]
      return [
        keyword,
        Object.fromEntries(
          Object.entries(value).map(([name, inner]) => [name, isSchema(inner) ? plainSchema(inner, depth + 1) : {}]),
        ),
      ]
    }),
  )
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAboutGrammar({ error, said }: Refused): boolean {
  if (!['invalid-request', 'server-error', 'invalid-output', 'not-found'].includes(error.reason)) return false
  // vLLM rejects a stream this way before any content; later failures are never reported as an invalid request
  if (error.status === 200 && error.reason !== 'invalid-request') return false
  return /grammar|function_declarations|json[ _-]?schema|response_format|guided|xgrammar|outlines|llguidance|structured (?:output|generation|decoding)|invalid schema|response_?schema|too many states|format\.schema|\bjson[ _-]?mode\b|结构化输出|json ?模式|schema (?:conversion|compilation)/i.test(
    said,
  )
}

export const schemaRows: readonly FixRow[] = [withoutStrict, withoutEnforcement, withPlainTools]
