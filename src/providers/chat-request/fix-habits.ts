import type { Dialect } from '../chat-completions/dialect.ts'
import { textInQuotes } from '../chat-failure/quoted-text.ts'
import { isRefusedField, type FixRow, type Refused, type RequestFix, withDialect } from './fix-row.ts'
import { type ToolCallIds, withToolCallIds } from '../tool-call-ids.ts'

/** F40: an unverified organization, or a model or gateway that cannot stream. */
export const withoutStream: FixRow = refused => {
  const { error, said, stream } = refused
  if (!stream || error.status === undefined || !(isAboutStream(said) || isAdvised(refused))) return undefined
  return {
    field: 'stream',
    setting: 'stream',
    message: 'The server does not stream here. The request was sent again without streaming.',
    keep: 'target',
    change: asked => (asked.stream ? { ...asked, stream: false } : asked),
  }
}

/** The reverse, for a target that does not stream: "This model only support stream mode" (Alibaba). */
export const withStream: FixRow = ({ error, said, stream }) => {
  if (stream || error.status === undefined || !onlyStreams.test(plainWords(said))) return undefined
  return {
    field: 'stream',
    setting: 'stream',
    message: 'The server only streams here. The request was sent again with streaming.',
    keep: 'target',
    change: asked => (asked.stream ? asked : { ...asked, stream: true }),
  }
}

const onlyStreams =
  /\bonly supports? stream|\bstream(?:ing)?:? (?:must|should|needs to|has to) be (?:set to )?true|\bfalse for non-streaming calls|[仅只]支持流式/

function isAboutStream(said: string): boolean {
  const words = plainWords(said)
  return streamRefusals.some(pattern => pattern.test(words))
}

/**
 * "Please set stream to false" is no refusal: it may be advice about something else. It counts where the server says nothing else, or
 * speaks of streaming in another sentence too.
 */
function isAdvised(refused: Refused): boolean {
  if (refused.error.reason === 'server-error') return false
  const [words = ''] = withoutPhrases(refused.said).split(/ ?\((?:type|code|param): /)
  const sentences = plainWords(words)
    .split(/[.!?;\n]+(?:\s|$)/)
    .filter(sentence => sentence.trim().split(/\s+/).length > 2)
  const at = sentences.findIndex(sentence => advice.test(sentence))
  if (at === -1 || refused.fields.some(field => field !== 'stream' && field.includes('_') && words.includes(field))) return false
  return sentences.length === 1 || sentences.some((sentence, index) => index !== at && /stream/.test(sentence))
}

const advice = /\bset(?:ting)? stream ?(?:=|to|:) ?false/

/** Without quoted sentences. Names and values in quotes are kept. */
function withoutPhrases(said: string): string {
  return said.replace(textInQuotes, quote => (quote.split(' ').length > 2 ? '' : quote))
}

function plainWords(said: string): string {
  return said.toLowerCase().replace(/["'`“”‘’]/g, '')
}

/** The word "stream", except in `stream_options` and in negated forms. */
const stream = String.raw`(?<!\bnon[- ]?|[\w.])stream(?:ing)?(?![\w-]|\.\w|[=: ]+false)`
const streamRefusals = [
  /\bparam: stream(?![\w.])|verified to stream\b/,
  // "Streaming is not yet supported", "stream=true is not supported", "streaming responses are disabled"
  new RegExp(
    String.raw`${stream}(?: ?=? ?true)?(?: [a-z]+){0,3} (?:(?:not |un)(?:yet |currently )?(?:supported|available|allowed|enabled|permitted|implemented)|disabled)\b`,
  ),
  // "does not support streaming", "... tool use in streaming mode", "is unsupported for streaming"
  new RegExp(String.raw`(?:not|nt|un) ?support(?:ed)?(?: [a-z]+){0,4} ${stream}`),
  new RegExp(String.raw`(?:cannot|cant|not able to|unable to) (?:be )?stream(?:ed|ing)?\b`),
  new RegExp(String.raw`no endpoints found that support ${stream}`),
  /\bonly supports? non-?stream/,
  // "stream does not support true", "stream must be set to false", "body.stream: Input should be False"
  /(?<![\w]|non-)stream(?:ing)? (?:does not|doesnt) support true/,
  /(?<![\w]|non-)stream(?:ing)?:? (?:only supports|(?:input )?(?:must|should)(?: be)?(?: set to)?):? false/,
  /(?:不支持|无法|不能|未开通|禁止|关闭)[^，。,.]{0,8}(?:(?<!非)流式|sse)|仅支持非流式|只支持非流式|只能[^，。,.]{0,4}非流式|(?<!非)流式[^，。,.]{0,8}(?:不支持|不可用|未开通|被禁用)/,
]

/** F45: Gemma behind Gemini's API takes no instructions, whatever the role is called. */
export const noInstructions: FixRow = ({ said, dialect }) =>
  /\b(?:developer|system) instructions? (?:is|are) not (?:enabled|supported)/i.test(said)
    ? withRole(dialect.instructionRole, 'user')
    : undefined

/** F45: the server names roles, and rejects the role that carries our instructions or does not list it. */
export const otherRole: FixRow = ({ said, dialect }) => {
  if (!isAboutRoles(said)) return undefined
  const role = dialect.instructionRole
  const names = (name: string) => new RegExp(String.raw`\b${name}\b`, 'i').test(said)
  const isListed = ['user', 'assistant'].every(names)
  const isWrong = isRefusedField(said) || wrongRole.test(said)
  const isRefused = names(role) && isWrong
  // no role is named: of the roles we send, only `developer` is not supported everywhere
  const isLikely = role === 'developer' && isWrong && !['user', 'assistant', 'tool'].some(names)
  if (!isRefused && !isLikely && !(isListed && !names(role))) return undefined
  // "unknown variant `developer`, expected one of `system`, `user`" names both: the first is the refused one
  const other = role === 'developer' ? 'system' : names('developer') ? 'developer' : 'user'
  return withRole(role, other)
}

function withRole(role: Dialect['instructionRole'], other: Dialect['instructionRole']): RequestFix {
  return {
    field: `instructionRole:${other}`,
    setting: 'system',
    message: `The server does not accept the role ${role}. The request was sent again with the instructions as ${other}.`,
    keep: 'target',
    change: asked => (asked.dialect.instructionRole === other ? asked : withDialect(asked, { instructionRole: other })),
  }
}

function isAboutRoles(said: string): boolean {
  return namesRoles.test(said) && !namesOrder.test(said)
}

const namesRoles = /\broles?\b|unknown variant|invalid value\W{1,4}developer\b|latest_reminder|角色/i
/** "Conversation roles must alternate": another role for the instructions would change nothing. */
const namesOrder = /\balternat|\blast (?:message|role|turn)\b/i
const wrongRole =
  /\bnot (?:one of|in|match)\b|unknown variant|invalid|incorrect|must be|should be|expected|不正确|非法|无效|只能|错误/i

/** F56: the server rejects tool call ids that came from another service. */
export const otherToolCallIds: FixRow = ({ said, call }) => {
  if (!namesIds.test(said)) return undefined
  const form = idForm(said)
  if (form === undefined) return undefined
  // the required format may be narrower than all known ones: nine letters and digits are accepted everywhere
  const ids = changesIds(call.messages, form) ? form : 'nine'
  return {
    field: `toolCallIds:${ids}`,
    setting: 'messages',
    message: 'The server does not accept the ids of earlier tool calls. The request was sent again with other ids.',
    keep: 'target',
    change: asked => {
      const isSame = asked.dialect.toolCallIds === ids || !changesIds(asked.call.messages, ids)
      return isSame ? asked : withDialect(asked, { toolCallIds: ids })
    },
  }
}

const namesIds =
  /tool_?\s?(?:call|use)s?\b[^]{0,40}\bids?\b|tool_?(?:call|use)_?id|tool_calls?\W{0,3}\d*\W{0,3}(?:function\W)?\.?id\b/i

function idForm(said: string): Dialect['toolCallIds'] {
  if (/length of 9\b|9 characters|nine|\{9\}|9 ?(?:个|位)/i.test(said)) return 'nine'
  if (
    /pattern|(?:must|should) match|only contain|alphanumeric|characters? (?:are|is) (?:not )?allowed|invalid characters?|只能包含/i.test(
      said,
    )
  )
    return 'plain'
  return /too long|maximum length|at most \d+|max(?:imum)? \d+ characters|长度|超过/i.test(said) ? 'short' : undefined
}

function changesIds(messages: Parameters<typeof withToolCallIds>[0], ids: ToolCallIds): boolean {
  const written = withToolCallIds(messages, ids)
  return JSON.stringify(idsOf(written)) !== JSON.stringify(idsOf(messages))
}

function idsOf(messages: Parameters<typeof withToolCallIds>[0]): readonly unknown[] {
  return messages.map(message =>
    message.role === 'tool'
      ? message.toolCallId
      : message.role === 'assistant' && message.toolCalls?.map(call => call.toolCallId),
  )
}
