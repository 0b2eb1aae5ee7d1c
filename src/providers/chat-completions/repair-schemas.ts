import type { Call, Capabilities, JsonSchema, Tool } from '../../contract.ts'
import type { Enforceable } from './json-schema.ts'
import type { Asked, Refused, Repair, RepairRow } from './repair-row.ts'

/**
 * "Invalid schema for response_format 'answer': In context=(), 'allOf' is not permitted." of OpenAI, "Invalid schema for function 'x': ..."
 * of it and DeepSeek. What strict takes differs from service to service and from month to month; not strict the same schema is taken,
 * and the answer is checked by us in any case.
 */
const withoutStrict: RepairRow = refused => {
  const { error, said, call } = refused
  const [, place, name = ''] = /invalid schema for (response_format|function) ['"`]?([\w-]*)/i.exec(said) ?? []
  if (error.reason !== 'invalid-request' || place === undefined) return undefined
  const message = 'The server does not enforce this schema: asked again without holding it to the letter.'
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
 * F43: llama-server cannot convert the schema, xgrammar or outlines do not know a feature of it, a server has no `json_schema` at all.
 * The schema is then told in words, and the answer is checked here as always.
 */
const withoutEnforcement: RepairRow = refused => {
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
        ? 'The server has no JSON mode: asked again in words, and the answer is checked here.'
        : 'The server cannot enforce this schema: asked again with the schema in words, and the answer is checked here.',
    keep: isKind ? 'target' : 'call',
    change: asked => withForm(asked, weaker),
  }
}

function withForm(asked: Asked, output: Capabilities['output']): Asked {
  if (asked.call.output === undefined || asked.dialect.capabilities.output === output) return asked
  return { ...asked, dialect: { ...asked.dialect, capabilities: { ...asked.dialect.capabilities, output } } }
}

/** The same for tools: their schemas are sent without what a grammar may not know; each input is checked here as always. */
const withPlainTools: RepairRow = refused => {
  if (!isAboutGrammar(refused) || refused.call.output !== undefined || refused.call.tools === undefined) return undefined
  return plainTools
}

const plainTools: Repair = {
  field: 'tools:schema',
  setting: 'tools',
  message: 'The server cannot enforce the schema of a tool: asked again with a plainer one, and the input is checked here.',
  keep: 'call',
  change(asked) {
    const plain = ([name, tool]: [string, Tool]) => [name, { ...tool, inputSchema: plainSchema(tool.inputSchema, 0) }]
    const tools = Object.fromEntries(Object.entries(asked.call.tools ?? {}).map(plain)) as Call['tools']
    return JSON.stringify(tools) === JSON.stringify(asked.call.tools) ? asked : { ...asked, call: { ...asked.call, tools } }
  },
}

/** What every converter knows. */
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
  // vLLM refuses a stream so, before anything else of it; what comes later is never told as an invalid request
  if (error.status === 200 && error.reason !== 'invalid-request') return false
  return /grammar|json[ _-]?schema|response_format|guided|xgrammar|outlines|llguidance|structured (?:output|generation|decoding)|invalid schema|response_?schema|too many states|format\.schema|结构化输出|json ?模式|schema (?:conversion|compilation)/i.test(
    said,
  )
}

export const schemaRows: readonly RepairRow[] = [withoutStrict, withoutEnforcement, withPlainTools]
