import type { Call, Capabilities, JsonSchema, Tool, ToolChoice } from '../../contract.ts'
import type { Failure } from '../../contract-failures.ts'
import { ProviderError } from '../../errors.ts'
import { type Dialect, hasTools, type Warn } from '../chat-completions/dialect.ts'
import { type Endpoint, missingKeyFailure } from '../endpoint.ts'
import { mergeBody } from '../json.ts'
import { withoutOmitted } from './fix-fields.ts'
import { prefixOf, translateHistory } from './history.ts'
import type { Enforceable } from './json-schema.ts'
import { outputTool, responseFormat, withJsonInstruction } from './structured-output.ts'

export type EncodeSettings = {
  readonly stream: boolean
  /** The target's own fields; the call's fields override them. */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined
}

export type Encoded = {
  readonly body: Readonly<Record<string, unknown>>
  readonly warnings: readonly { readonly setting: string; readonly message: string }[]
  /** The call as it was sent, after all changes that this service requires. */
  readonly call: Call
  /** The tool whose input is the answer, when the schema is enforced through a tool. */
  readonly outputTool: string | undefined
}

/** Encodes a call as a request body in one dialect. Pure: the same call gives the same bytes at every retry. */
export function encode(call: Call, dialect: Dialect, settings: EncodeSettings): Encoded {
  const warnings: { setting: string; message: string }[] = []
  const warn = (setting: string, message: string) => void warnings.push({ setting, message })
  const plain = plainCall(call, dialect, settings)
  const formed = plain.output === undefined ? { call: plain, outputTool: undefined } : askedForForm(plain, dialect)
  const adapted = dialect.adapt?.(formed.call, warn) ?? formed.call
  const own = {
    model: adapted.model,
    messages: translateHistory(adapted, dialect),
    ...toolFields(adapted),
    ...(adapted.output === undefined ? undefined : responseFormat(adapted, dialect)),
    ...sampling(adapted, dialect),
    ...reasoning(adapted, dialect, warn),
    ...streaming(settings.stream, dialect),
    ...(prefixOf(call) === undefined ? undefined : dialect.prefix?.body),
  }
  const body = adapted.extraBody === undefined ? own : mergeBody(own, adapted.extraBody)
  return {
    body: dialect.omit === undefined ? body : withoutOmitted(body, dialect.omit),
    warnings,
    call: adapted,
    outputTool: formed.outputTool,
  }
}

/** Adds what this server needs to answer in JSON: a tool that must be called, or an instruction. */
function askedForForm(call: Call, dialect: Dialect): { readonly call: Call; readonly outputTool: string | undefined } {
  const tool = outputTool(call, dialect)
  return { call: withJsonInstruction(tool?.call ?? call, dialect), outputTool: tool?.name }
}

/** Returns the call itself when nothing changes: the call stays alive as long as the answer, and so would a copy. */
function plainCall(call: Call, dialect: Dialect, settings: EncodeSettings): Call {
  const level = reasoningOf(call, dialect)
  if (settings.extraBody === undefined && level === call.reasoning) return call
  return { ...call, extraBody: mergeBody(settings.extraBody ?? {}, call.extraBody), reasoning: level }
}

function reasoningOf(call: Call, dialect: Dialect): Call['reasoning'] {
  return prefixOf(call) !== undefined && dialect.prefix?.stopsThinking === true ? 'off' : call.reasoning
}

function reasoning(call: Call, dialect: Dialect, warn: Warn): Readonly<Record<string, unknown>> | undefined {
  if (call.reasoning === undefined) return undefined
  if (dialect.reasoning !== undefined) return dialect.reasoning(call.reasoning)
  warn(
    'reasoning',
    `${dialect.service} has no reasoning setting that unbusy knows, so the default of the server applies. Use extraBody to set one.`,
  )
  return undefined
}

function sampling(call: Call, dialect: Dialect): Readonly<Record<string, unknown>> {
  const { temperature, topP, maxOutputTokens, stopSequences, seed } = call
  return {
    ...(maxOutputTokens === undefined ? undefined : { [dialect.tokenLimit]: maxOutputTokens }),
    ...(temperature === undefined ? undefined : { temperature }),
    ...(topP === undefined ? undefined : { top_p: topP }),
    ...(stopSequences === undefined || stopSequences.length === 0 ? undefined : { stop: stopSequences }),
    ...(seed === undefined ? undefined : { seed }),
  }
}

/** DeepSeek answers 400 to `stream_options` without a stream. */
function streaming(stream: boolean, dialect: Dialect): Readonly<Record<string, unknown>> {
  if (!stream) return { stream: false }
  return dialect.streamUsage ? { stream: true, stream_options: { include_usage: true } } : { stream: true }
}

/** `tools` and `tool_choice`. Both are omitted without tools, because several servers reject an empty list. */
function toolFields(call: Call): { readonly tools?: unknown; readonly tool_choice?: unknown } {
  if (!hasTools(call)) return {}
  const tools = Object.entries(call.tools ?? {}).map(([name, tool]) => wireTool(name, tool))
  return call.toolChoice === undefined ? { tools } : { tools, tool_choice: wireChoice(call.toolChoice) }
}

function wireTool(name: string, tool: Tool): unknown {
  const { description, inputSchema, strict } = tool
  return {
    type: 'function',
    function: {
      name,
      ...(description === undefined ? undefined : { description }),
      parameters: inputSchema,
      ...(strict === undefined ? undefined : { strict }),
    },
  }
}

function wireChoice(choice: ToolChoice): unknown {
  return typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.toolName } }
}

type StrictTools = {
  readonly warn: Warn
  readonly enforceable: (schema: JsonSchema) => Enforceable
}

/** Strict tools in a form that the service can enforce. A tool whose schema has no such form is sent as not strict. */
export function withStrictTools(call: Call, options: StrictTools): Call {
  const entries = Object.entries(call.tools ?? {})
  if (!entries.some(([, tool]) => tool.strict === true)) return call
  return { ...call, tools: Object.fromEntries(entries.map(([name, tool]) => [name, strictTool(name, tool, options)])) }
}

function strictTool(name: string, tool: Tool, { warn, enforceable }: StrictTools): Tool {
  if (tool.strict !== true) return tool
  const { schema, strict } = enforceable(tool.inputSchema)
  if (strict) return { ...tool, inputSchema: schema }
  warn('tools', `The service cannot enforce the schema of the tool ${name}, so the tool was sent without strict.`)
  return { ...tool, strict: false }
}

/** A failure that is certain without a request. The target is then skipped with this failure, and the chain continues. */
export function refusal(call: Call, capabilities: Capabilities, endpoint: Endpoint): Failure | undefined {
  const message = impossible(call, capabilities)
  if (message === undefined) return missingKeyFailure(endpoint, call.model)
  return new ProviderError(`${endpoint.service} ${call.model} ${message}`, {
    reason: 'invalid-request',
    provider: endpoint.service,
    model: call.model,
  })
}

function impossible(call: Call, capabilities: Capabilities): string | undefined {
  if (capabilities.images === false && hasImage(call)) return 'cannot see images. This call needs a target that can.'
  if (capabilities.tools === false && hasTools(call)) return 'cannot call tools. This call needs a target that can.'
  // a server without real continuation answers 400, or starts again, which would append a second beginning to the first (R30,
  // R36)
  if (capabilities.prefix !== true && prefixOf(call) !== undefined)
    return 'cannot continue a given beginning (message.prefix). This call needs a target that can.'
  return undefined
}

function hasImage(call: Call): boolean {
  return call.messages.some(message => typeof message.content !== 'string' && message.content.some(part => part.type === 'image'))
}
