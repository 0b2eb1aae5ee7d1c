import type { Call, Message, Reasoning } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Dialect } from '../chat-completions/dialect.ts'
import { failureNumbers, type FailureNumbers } from '../chat-failure/failure-numbers.ts'
import { withoutCallersText } from '../chat-failure/quoted-text.ts'
import { namesState } from '../service-state.ts'
import { fieldRows } from './fix-fields.ts'
import { noInstructions, otherRole, otherToolCallIds, withoutStream, withStream } from './fix-habits.ts'
import {
  type Asked,
  isAboutRequest,
  isRefusedField,
  mayBeAboutRequest,
  type Refused,
  type RequestFix,
  type FixRow,
  withDialect,
} from './fix-row.ts'
import { schemaRows } from './fix-schemas.ts'

/** The fixes that a target has learned about its server and keeps. */
export type FixMemory = { fixes: readonly RequestFix[] }

/** A call may need several fixes, one after the other: a model may reject both temperature and topP. */
const mostFixes = 4
/** A server that needs more fixes than this does not speak our format. */
const mostKept = 32

type RefusedRequest = Pick<Refused, 'fields' | 'limit' | 'reasoned'> & {
  readonly asked: Asked
  /** The fixes that this call has found so far. */
  readonly fixes: readonly RequestFix[]
}

/** "Tip: set stream to false to see every error." is about something else. */
const tip = /\b(?:tip|hint): [^.!?\n(]+[.!?]?/gi

/** The next fix of a failed call, if the failure names its own remedy. Undefined: the failure stands. */
export function fixFor(error: unknown, { asked, fixes, fields, limit, reasoned }: RefusedRequest): RequestFix | undefined {
  if (!ProviderError.isInstance(error) || fixes.length >= mostFixes) return undefined
  // what the server quotes of the conversation names no remedy (F74)
  const said = withoutCallersText(error.said ?? '', asked.call).replace(tip, '')
  const refused: Refused = { ...asked, error, said, numbers: numbersOf(error, said), fields, limit, reasoned }
  for (const row of fixRows) {
    const fix = row(refused)
    if (fix === undefined || fixes.some(({ field }) => field === fix.field)) continue
    if (fix.change(asked) !== asked) return fix
  }
  return undefined
}

/** The request after all fixes, and the fixes that changed something in it. */
export function withFixes(
  asked: Asked,
  fixes: readonly RequestFix[],
): { readonly asked: Asked; readonly applied: readonly RequestFix[] } {
  if (fixes.length === 0) return { asked, applied: fixes }
  let changed = asked
  const applied: RequestFix[] = []
  for (const fix of fixes) {
    const next = fix.change(changed)
    if (next !== changed) applied.push(fix)
    changed = next
  }
  return { asked: changed, applied }
}

/** The server has accepted the changed request, so later requests are changed in the same way. */
export function keepFixes(memory: FixMemory, fixes: readonly RequestFix[]): void {
  const fresh = fixes.filter(fix => fix.keep === 'target' && !memory.fixes.includes(fix))
  if (fresh.length === 0) return
  const others = memory.fixes.filter(({ field }) => fresh.every(fix => fix.field !== field))
  memory.fixes = [...others, ...fresh].slice(-mostKept)
}

/** llama-server reports both numbers of a context overflow in fields. */
function numbersOf(error: ProviderError, said: string): FailureNumbers {
  const told = failureNumbers(said)
  const contextTokens = told.contextTokens ?? error.contextTokens
  return { ...told, contextTokens, requestedTokens: told.requestedTokens ?? error.requestedTokens }
}

/** An answer with fewer tokens would be useless. */
const smallestAnswer = 16

/** Asks for fewer tokens, if the server says how many it allows. `failureNumbers` reads the numbers from any wording. */
function fewerTokens(
  kind: 'room' | 'ceiling' | 'affordable',
  most: number | undefined,
  { call, numbers, limit }: Refused,
): RequestFix | undefined {
  // the caller sets no limit, so the server's own default is too large
  const asked = limit?.tokens ?? numbers.outputTokens
  // `extraBody` overrides the call's own limit
  const extra = limit !== undefined && limit.tokens !== call.maxOutputTokens ? limit.field : undefined
  if (most === undefined || most < smallestAnswer || (asked !== undefined && asked <= most)) return undefined
  const why = {
    room: 'The conversation leaves room for',
    ceiling: 'The model gives at most',
    affordable: 'The balance pays for',
  }[kind]
  const ofAsked = asked === undefined ? '' : ` of the ${asked} requested`
  return {
    field: `maxOutputTokens:${kind}`,
    setting: 'maxOutputTokens',
    message: `${why} ${most}${ofAsked} tokens. The request was sent again with ${most}.`,
    keep: kind === 'ceiling' ? 'target' : 'call',
    change: request => withAtMost(request, most, extra),
  }
}

function withAtMost(asked: Asked, most: number, extra: string | undefined): Asked {
  const { maxOutputTokens, extraBody } = asked.call
  if (extra !== undefined) {
    const given = extraBody?.[extra]
    const isLess = typeof given === 'number' && given <= most
    return isLess ? asked : { ...asked, call: { ...asked.call, extraBody: { ...extraBody, [extra]: most } } }
  }
  if (maxOutputTokens !== undefined && maxOutputTokens <= most) return asked
  return { ...asked, call: { ...asked.call, maxOutputTokens: most } }
}

/** F41: "supports at most 16384 completion tokens, whereas you provided 32000". The limit applies to all later answers. */
const ceiling: FixRow = refused =>
  mayBeAboutRequest(refused) ? fewerTokens('ceiling', refused.numbers.outputCeiling, refused) : undefined

/**
 * F12: "You requested up to 65536 tokens, but can only afford 30104". Not kept, because the balance may change within a minute.
 */
const affordable: FixRow = refused => fewerTokens('affordable', refused.numbers.affordableTokens, refused)

/** F42, F19: the conversation fits, but the requested output does not: in the context, or in the limit for one minute. */
const room: FixRow = refused => {
  const { numbers, limit } = refused
  if (!mayBeAboutRequest(refused)) return undefined
  const { contextTokens, requestedTokens, inputTokens } = numbers
  if (contextTokens === undefined) return undefined
  const output = numbers.outputTokens ?? limit?.tokens ?? 0
  // a total above the limit without itemized parts: our requested output is the part that we know
  const input = inputTokens ?? (requestedTokens === undefined ? undefined : requestedTokens - output)
  const left = numbers.roomTokens ?? (input === undefined ? undefined : contextTokens - input)
  return output === 0 ? undefined : fewerTokens('room', left, refused)
}

/**
 * DeepSeek answers 400 when an earlier turn has no reasoning_content (R127, R128); here at a host not known to require the field.
 */
const withReasoning: FixRow = ({ said }) => {
  if (!/reasoning_content/.test(said) || !/passed back|missing/i.test(said)) return undefined
  const wanted: Partial<Dialect> = { reasoningHistory: 'required', reasoningField: 'reasoning_content' }
  return {
    field: 'reasoningHistory',
    setting: 'messages',
    message:
      'The server requires the reasoning of every earlier turn. The request was sent again with it, and with empty reasoning where it is unknown.',
    keep: 'target',
    change: asked => (asked.dialect.reasoningHistory === 'required' ? asked : withDialect(asked, wanted)),
  }
}

/**
 * "Extra inputs are not permitted, field: 'messages[1].reasoning_content'". Strict hosts and the R1 of 2025 reject the field that
 * later models require.
 */
const withoutTurnsReasoning: FixRow = ({ said, dialect, call }) => {
  const sent = call.messages.some(message => message.role === 'assistant' && message.reasoningText !== undefined)
  const isInTurn = new RegExp(String.raw`messages?\W|\b${dialect.reasoningField}\b`).test(said)
  if (!sent || !isInTurn || !said.includes(dialect.reasoningField) || !isRefusedField(said)) return undefined
  return {
    field: 'reasoningHistory',
    setting: 'messages',
    message: 'The server rejects the reasoning of earlier turns. The request was sent again without it.',
    keep: 'target',
    change: asked => (asked.dialect.reasoningHistory === 'strip' ? asked : withDialect(asked, { reasoningHistory: 'strip' })),
  }
}

/** Some services reject state that they themselves sent. The conversation can continue without it. */
const withoutState: FixRow = ({ said, dialect }) => {
  if (dialect.keepsState === false || !namesState(said) || !isRefusedField(said)) return undefined
  return {
    field: 'state',
    setting: 'messages',
    message: 'The server rejects the providerMetadata of earlier turns. The request was sent again without it.',
    keep: 'target',
    change: asked => (asked.call.messages.some(hasState) ? withDialect(asked, { keepsState: false }) : asked),
  }
}

function hasState(message: Message): boolean {
  if (message.role !== 'assistant') return false
  const { providerMetadata, toolCalls = [] } = message
  return providerMetadata !== undefined || toolCalls.some(call => call.providerMetadata !== undefined)
}

/**
 * OpenAI: "Function tools with reasoning_effort are not supported for ... To use function tools, ... set reasoning_effort to
 * 'none'."
 */
const toolsWithoutReasoning: FixRow = ({ said, dialect }) => {
  if (dialect.reasoning === undefined || !/set reasoning_effort to .?none/i.test(said)) return undefined
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: 'The model calls tools only without reasoning. The request was sent again with reasoning off.',
    keep: 'target',
    change: asked => (asked.call.tools === undefined ? asked : withReasoningLevel(asked, 'off')),
  }
}

/** Models of one service support different ends of the scale. Without the field they would choose the effort themselves. */
const nearest: Partial<Record<Reasoning, Reasoning>> = { off: 'low', max: 'high' }

/** "body.reasoning_effort: Input should be 'low', 'medium' or 'high'" of vLLM and SGLang; "Unsupported value: 'reasoning_effort' does not support 'max'". */
const otherEffort: FixRow = ({ said, call }) => {
  const { reasoning: refused } = call
  const isInput = /reasoning_effort\W{0,3} input should be/i.test(said)
  const isValue =
    /(?:unsupported|invalid) value\W{0,3}\W?reasoning_effort|invalid value[^]{0,200}param: reasoning_effort|reasoning_effort[^]{0,40}(?:must be one of|does not support|unknown variant)/i.test(
      said,
    )
  if (refused === undefined || (!isInput && !isValue)) return undefined
  const other = isInput && refused === 'off' ? undefined : nearest[refused]
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: `The model does not accept reasoning "${refused}". The request was sent again with ${other === undefined ? 'its default' : `"${other}"`}.`,
    keep: 'target',
    change: asked => (asked.call.reasoning === refused ? withReasoningLevel(asked, other) : asked),
  }
}

/**
 * The model produced only reasoning and then stopped (R39). No text was emitted, so none can be duplicated. A reader of
 * `stream()` saw reasoning of the same model that now answers.
 */
const withoutThinking: FixRow = ({ error, reasoned, dialect }) => {
  if (error.reason !== 'empty' || !reasoned || dialect.reasoning === undefined) return undefined
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: 'The model only thought and gave no answer. The request was sent again with reasoning off.',
    keep: 'call',
    change: asked => withReasoningLevel(asked, 'off'),
  }
}

function withReasoningLevel(asked: Asked, reasoning: Call['reasoning']): Asked {
  return asked.call.reasoning === reasoning ? asked : { ...asked, call: { ...asked.call, reasoning } }
}

function only(isMeant: (refused: Refused) => boolean, rows: readonly FixRow[]): FixRow[] {
  return rows.map(row => refused => (isMeant(refused) ? row(refused) : undefined))
}

/** Checked in this order: rows for one specific thing precede rows that match any field. */
const fixRows: readonly FixRow[] = /* @__PURE__ */ inOrder()

function inOrder(): readonly FixRow[] {
  return [
    withoutThinking,
    affordable,
    ceiling,
    room,
    ...only(
      refused => mayBeAboutRequest(refused) || ['permission', 'not-found'].includes(refused.error.reason),
      [withoutStream, withStream, otherToolCallIds],
    ),
    ...only(mayBeAboutRequest, [noInstructions, otherRole]),
    ...only(isAboutRequest, [withReasoning, withoutState, withoutTurnsReasoning, toolsWithoutReasoning, otherEffort]),
    ...schemaRows,
    ...fieldRows,
  ]
}
