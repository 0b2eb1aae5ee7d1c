import type { Call, Reasoning } from '../../contract.ts'
import type { Dialect } from './dialect.ts'
import type { Asked, Refused, Repair, RepairRow } from './repair-row.ts'
import { isAboutRequest, isRefusedField, mayBeAboutRequest, withDialect } from './repair-row.ts'
import { schemaRows } from './repair-schemas.ts'
import { fieldRows } from './repair-fields.ts'
import { otherRole, otherToolCallIds, withoutStream } from './repair-habits.ts'

/** Less than this and the answer would be a stump. */
const smallestAnswer = 16

/** Fewer tokens, where the server says how many: each number comes from `failureNumbers`, whatever the wording. */
function fewerTokens(
  kind: 'room' | 'ceiling' | 'affordable',
  most: number | undefined,
  { call, numbers, limit }: Refused,
): Repair | undefined {
  // without a limit of the caller's it is the server's own default that is too large
  const asked = limit?.tokens ?? numbers.outputTokens
  // what `extraBody` sets goes before what the call does
  const extra = limit !== undefined && limit.tokens !== call.maxOutputTokens ? limit.field : undefined
  if (most === undefined || most < smallestAnswer || (asked !== undefined && asked <= most)) return undefined
  const why = {
    room: 'The conversation leaves room for',
    ceiling: 'The model gives at most',
    affordable: 'The balance pays for',
  }[kind]
  const ofAsked = asked === undefined ? '' : ` of the ${asked}`
  return {
    field: `maxOutputTokens:${kind}`,
    setting: 'maxOutputTokens',
    message: `${why} ${most}${ofAsked} tokens asked for: asked again with ${most}.`.replace(
      `${most} tokens asked for`,
      `${most} tokens`,
    ),
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

/** F41: "supports at most 16384 completion tokens, whereas you provided 32000". Every later answer is as short. */
const ceiling: RepairRow = refused =>
  mayBeAboutRequest(refused) ? fewerTokens('ceiling', refused.numbers.outputCeiling, refused) : undefined

/** F12: "You requested up to 65536 tokens, but can only afford 30104". The balance may be another a minute later. */
const affordable: RepairRow = refused => fewerTokens('affordable', refused.numbers.affordableTokens, refused)

/** F42, F19: the conversation fits, only the answer does not; of the whole context, or of what one minute takes. */
const room: RepairRow = refused => {
  const { numbers, limit } = refused
  if (!mayBeAboutRequest(refused)) return undefined
  const { contextTokens, requestedTokens, inputTokens } = numbers
  if (contextTokens === undefined) return undefined
  const output = numbers.outputTokens ?? limit?.tokens ?? 0
  // a total that is larger than the limit and has no parts: what we asked for is the part that we know
  const input = inputTokens ?? (requestedTokens === undefined ? undefined : requestedTokens - output)
  const left = numbers.roomTokens ?? (input === undefined ? undefined : contextTokens - input)
  return output === 0 ? undefined : fewerTokens('room', left, refused)
}

/** DeepSeek's 400 where an earlier turn has no reasoning_content (R127, R128), at a host of which we did not know that it asks for it. */
const withReasoning: RepairRow = ({ said }) => {
  if (!/reasoning_content/.test(said) || !/passed back|missing/i.test(said)) return undefined
  const wanted: Partial<Dialect> = { reasoningHistory: 'required', reasoningField: 'reasoning_content' }
  return {
    field: 'reasoningHistory',
    setting: 'messages',
    message: 'The server wants the reasoning of every earlier turn: asked again with it, empty where none is known.',
    keep: 'target',
    change: asked => (asked.dialect.reasoningHistory === 'required' ? asked : withDialect(asked, wanted)),
  }
}

/** "Extra inputs are not permitted, field: 'messages[1].reasoning_content'" of strict hosts, and R1's of 2025, which refuse what later ones demand. */
const withoutTurnsReasoning: RepairRow = ({ said, dialect, call }) => {
  const sent = call.messages.some(message => message.role === 'assistant' && message.reasoningText !== undefined)
  const isInTurn = new RegExp(String.raw`messages?\W|\b${dialect.reasoningField}\b`).test(said)
  if (!sent || !isInTurn || !said.includes(dialect.reasoningField) || !isRefusedField(said)) return undefined
  return {
    field: 'reasoningHistory',
    setting: 'messages',
    message: 'The server refuses the reasoning of earlier turns: asked again without it.',
    keep: 'target',
    change: asked => (asked.dialect.reasoningHistory === 'strip' ? asked : withDialect(asked, { reasoningHistory: 'strip' })),
  }
}

/** "Function tools with reasoning_effort are not supported for ... To use function tools, ... set reasoning_effort to 'none'." of OpenAI. */
const toolsWithoutReasoning: RepairRow = ({ said, dialect }) => {
  if (dialect.reasoning === undefined || !/set reasoning_effort to .?none/i.test(said)) return undefined
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: 'The model calls tools only without reasoning: asked again so.',
    keep: 'target',
    change: asked => (asked.call.tools === undefined ? asked : withReasoningLevel(asked, 'off')),
  }
}

/** Models of one service differ in the ends of the scale; without the field they would think as much as they please. */
const nearest: Partial<Record<Reasoning, Reasoning>> = { off: 'low', max: 'high' }

/** "body.reasoning_effort: Input should be 'low', 'medium' or 'high'" of vLLM and SGLang; "Unsupported value: 'reasoning_effort' does not support 'max'". */
const otherEffort: RepairRow = ({ said, call }) => {
  const { reasoning: refused } = call
  const isInput = /reasoning_effort\W{0,3} input should be/i.test(said)
  const isValue =
    /(?:unsupported|invalid) value\W{0,3}\W?reasoning_effort|reasoning_effort[^]{0,40}(?:must be one of|does not support|unknown variant)/i.test(
      said,
    )
  if (refused === undefined || (!isInput && !isValue)) return undefined
  const other = isInput && refused === 'off' ? undefined : nearest[refused]
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: `The model does not take reasoning "${refused}": asked again with ${other === undefined ? 'its default' : `"${other}"`}.`,
    keep: 'target',
    change: asked => (asked.call.reasoning === refused ? withReasoningLevel(asked, other) : asked),
  }
}

/**
 * The model thought, stopped, and said nothing (R39). No text was emitted, so nothing can be doubled; what a reader of `stream()` saw
 * of the reasoning was this model's own, and the answer that follows is too.
 */
const withoutThinking: RepairRow = ({ error, reasoned, dialect }) => {
  if (error.reason !== 'empty' || !reasoned || dialect.reasoning === undefined) return undefined
  return {
    field: 'reasoning',
    setting: 'reasoning',
    message: 'The model only thought and gave no answer: asked again with reasoning off.',
    keep: 'call',
    change: asked => withReasoningLevel(asked, 'off'),
  }
}

function withReasoningLevel(asked: Asked, reasoning: Call['reasoning']): Asked {
  return asked.call.reasoning === reasoning ? asked : { ...asked, call: { ...asked.call, reasoning } }
}

function only(isMeant: (refused: Refused) => boolean, rows: readonly RepairRow[]): RepairRow[] {
  return rows.map(row => refused => (isMeant(refused) ? row(refused) : undefined))
}

/** Looked at in this order: what names one thing before what names any. */
export const repairRows: readonly RepairRow[] = /* @__PURE__ */ inOrder()

function inOrder(): readonly RepairRow[] {
  return [
    withoutThinking,
    affordable,
    ceiling,
    room,
    ...only(
      refused => mayBeAboutRequest(refused) || ['permission', 'not-found'].includes(refused.error.reason),
      [withoutStream, otherToolCallIds],
    ),
    ...only(mayBeAboutRequest, [otherRole]),
    ...only(isAboutRequest, [withReasoning, withoutTurnsReasoning, toolsWithoutReasoning, otherEffort]),
    ...schemaRows,
    ...fieldRows,
  ]
}
