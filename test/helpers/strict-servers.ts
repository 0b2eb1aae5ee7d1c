/**
 * What DeepSeek, OpenAI and llama-server refuse, as their documentation and their users' bug reports say it: the message of a 400, or
 * undefined when the request is fine.
 */
type Fields = { readonly [key: string]: unknown }

export type WireRequest = { readonly url: string; readonly body: Fields }

export function deepseekRefuses({ url, body }: WireRequest): string | undefined {
  const { messages, tools, thinking, tool_choice: choice } = partsOf(body)
  const thinks = thinking?.['type'] !== 'disabled' && body['reasoning_effort'] !== 'none'
  const beta = url.startsWith('/beta/')
  const foreign = ['max_completion_tokens', 'seed', 'n', 'logit_bias', 'parallel_tool_calls'].find(name => name in body)
  if (foreign !== undefined) return `${foreign} is not in the schema`
  for (const message of messages) {
    const role = String(message['role'])
    if (!['system', 'user', 'assistant', 'tool'].includes(role)) return `unknown variant \`${role}\``
    if (role === 'assistant' && typeof message['content'] !== 'string')
      return 'Invalid assistant message: content or tool_calls must be set'
    if (role === 'assistant' && thinks && tools.length > 0 && typeof message['reasoning_content'] !== 'string') {
      return 'The `reasoning_content` in the thinking mode must be passed back to the API.'
    }
    if (message['prefix'] === true && (!beta || message !== messages.at(-1))) return 'prefix is for the last message, under /beta'
  }
  const last = messages.at(-1)
  if (last?.['role'] === 'assistant' && last['prefix'] !== true) return 'The last message must be a user message'
  if (thinks && choice !== undefined && choice !== 'auto' && choice !== 'none')
    return 'tool_choice is not supported with thinking'
  if (tools.some(tool => (tool['function'] as Fields)['strict'] === true) && !beta) return 'strict is for /beta'
  return refusesJson(body) ?? refusesStream(body)
}

export function openaiRefuses({ body }: WireRequest): string | undefined {
  const { messages, tools } = partsOf(body)
  const known = new Set([
    ...[
      'model',
      'messages',
      'tools',
      'tool_choice',
      'response_format',
      'max_completion_tokens',
      'temperature',
      'top_p',
      'stop',
      'seed',
    ],
    ...['reasoning_effort', 'stream', 'stream_options'],
  ])
  const foreign = Object.keys(body).find(name => !known.has(name))
  if (foreign !== undefined) return `Unrecognized request argument supplied: ${foreign}`
  for (const message of messages) {
    const field = Object.keys(message).find(name => !['role', 'content', 'tool_calls', 'tool_call_id', 'name'].includes(name))
    if (field !== undefined) return `Unrecognized field in a message: ${field}`
    if (!['developer', 'system', 'user', 'assistant', 'tool'].includes(String(message['role']))) return 'Invalid role'
  }
  const reasons = body['reasoning_effort'] !== 'none'
  if (reasons && tools.length > 0)
    return "Function tools with reasoning_effort are not supported. Set reasoning_effort to 'none'."
  if (reasons && 'temperature' in body) return "Unsupported parameter: 'temperature' is not supported with this model."
  return refusesSchema(body) ?? refusesStream(body)
}

export function llamaRefuses({ body }: WireRequest): string | undefined {
  const { messages } = partsOf(body)
  const kwargs = body['chat_template_kwargs'] as Fields | undefined
  for (const message of messages) {
    if (!['system', 'user', 'assistant', 'tool'].includes(String(message['role']))) return 'Unexpected message role.'
    if (typeof message['content'] !== 'string' && !Array.isArray(message['content'])) return "Missing 'content'"
  }
  if (messages.at(-1)?.['role'] === 'assistant' && kwargs?.['enable_thinking'] !== false) {
    return 'Assistant response prefill is incompatible with enable_thinking.'
  }
  return refusesStream(body)
}

function partsOf(body: Fields) {
  return {
    messages: body['messages'] as readonly Fields[],
    tools: (body['tools'] ?? []) as readonly Fields[],
    thinking: body['thinking'] as Fields | undefined,
    tool_choice: body['tool_choice'],
  }
}

function refusesJson(body: Fields): string | undefined {
  const format = body['response_format'] as Fields | undefined
  if (format?.['type'] === 'json_schema') return 'This response_format type is unavailable now'
  if (format?.['type'] !== 'json_object') return undefined
  return /json/i.test(JSON.stringify(body['messages'])) ? undefined : "Prompt must contain the word 'json'"
}

/** OpenAI's strict schemas: a part of JSON Schema in which every property is required. */
function refusesSchema(body: Fields): string | undefined {
  const format = body['response_format'] as { json_schema?: { strict?: boolean; schema: Fields } } | undefined
  const tools = (body['tools'] ?? []) as readonly { function: { name: string; strict?: boolean; parameters: Fields } }[]
  const strict = tools
    .filter(tool => tool.function.strict === true)
    .map(({ function: { name, parameters } }) => ({ name, schema: parameters }))
  if (format?.json_schema?.strict === true) strict.push({ name: 'response_format', schema: format.json_schema.schema })
  for (const { name, schema } of strict) {
    const fault = strictFault(schema)
    if (fault !== undefined) return `Invalid schema for ${name}: ${fault}`
  }
  return undefined
}

const forbidden = [
  ...['oneOf', 'allOf', 'not', 'if', 'default', 'minLength', 'maxLength', 'prefixItems', 'patternProperties', 'propertyNames'],
  ...['uniqueItems', 'contains'],
]

function strictFault(schema: Fields): string | undefined {
  const found = forbidden.find(keyword => keyword in schema)
  if (found !== undefined) return `'${found}' is not permitted`
  if (schema['format'] === 'uri') return "'uri' is not a valid format"
  if ('$ref' in schema && Object.keys(schema).length > 1) return '$ref cannot have keywords beside it'
  if (!['type', 'anyOf', '$ref', 'enum', 'const'].some(keyword => keyword in schema)) return "schema must have a 'type' key"
  const properties = (schema['properties'] ?? {}) as { readonly [name: string]: Fields }
  const names = Object.keys(properties)
  if (schema['type'] === 'object' && schema['additionalProperties'] !== false) return "'additionalProperties' must be false"
  const required = (schema['required'] ?? []) as readonly string[]
  const missing = names.find(name => !required.includes(name))
  if (missing !== undefined) return `'required' must include every key in properties. Missing '${missing}'`
  const inner = [
    ...Object.values(properties),
    ...((schema['anyOf'] ?? []) as readonly Fields[]),
    ...Object.values((schema['$defs'] ?? {}) as { readonly [name: string]: Fields }),
    ...(schema['items'] === undefined ? [] : [schema['items'] as Fields]),
  ]
  return inner.map(strictFault).find(fault => fault !== undefined)
}

function refusesStream(body: Fields): string | undefined {
  return body['stream_options'] !== undefined && body['stream'] !== true
    ? 'stream_options should be set along with stream = true'
    : undefined
}
