import type { Call } from '../../contract.ts'
import { mergeBody } from '../merge-body.ts'
import type { Dialect, Warn } from './dialect.ts'
import { prefixOf, translateHistory } from './history.ts'
import { outputTool } from './output-tool.ts'
import { responseFormat, withJsonInstruction } from './output-format.ts'
import { withoutOmitted } from './repair-fields.ts'
import { toolFields } from './tools.ts'

export type EncodeSettings = {
  readonly stream: boolean
  /** The target's own fields; the call's come after them. */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined
}

export type Encoded = {
  readonly body: Readonly<Record<string, unknown>>
  readonly warnings: readonly { readonly setting: string; readonly message: string }[]
  /** The call as it was sent, after everything that this service forbids was changed. */
  readonly call: Call
  /** The tool whose input is the answer, where a schema is enforced in that way. */
  readonly outputTool: string | undefined
}

/** A call as the body of a request in one dialect. Pure: the same call gives the same bytes, at every retry. */
export function encode(call: Call, dialect: Dialect, settings: EncodeSettings): Encoded {
  const warnings: { setting: string; message: string }[] = []
  const warn = (setting: string, message: string) => void warnings.push({ setting, message })
  const plain = plainCall(call, dialect, settings)
  const tool = outputTool(plain, dialect)
  const asked = withJsonInstruction(tool?.call ?? plain, dialect)
  const adapted = dialect.adapt?.(asked, warn) ?? asked
  const own = {
    model: adapted.model,
    messages: translateHistory(adapted, dialect),
    ...toolFields(adapted),
    ...responseFormat(adapted, dialect),
    ...sampling(adapted, dialect),
    ...reasoning(adapted, dialect, warn),
    ...streaming(settings.stream, dialect),
    ...(prefixOf(call) === undefined ? undefined : dialect.prefix?.body),
  }
  const body = adapted.extraBody === undefined ? own : mergeBody(own, adapted.extraBody)
  return { body: withoutOmitted(body, dialect), warnings, call: adapted, outputTool: tool?.name }
}

/** The same call where there is nothing to change: it is held as long as the answer lasts, and a copy with it. */
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
    `${dialect.service} has no switch for reasoning that we know of: the server's default holds. extraBody can set one.`,
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

/** `stream_options` without a stream is a 400 at DeepSeek. */
function streaming(stream: boolean, dialect: Dialect): Readonly<Record<string, unknown>> {
  if (!stream) return { stream: false }
  return dialect.streamUsage ? { stream: true, stream_options: { include_usage: true } } : { stream: true }
}
