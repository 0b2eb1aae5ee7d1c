import type { Dialect } from './dialect.ts'
import type { RepairRow } from './repair-row.ts'
import { isRefusedField, withDialect } from './repair-row.ts'
import type { ToolCallIds } from './tool-call-ids.ts'
import { withToolCallIds } from './tool-call-ids.ts'

/** F40: an organization that is not verified, a model or a gateway that cannot stream. */
export const withoutStream: RepairRow = ({ error, said, stream }) => {
  if (!stream || error.status === undefined || !isAboutStream(said)) return undefined
  return {
    field: 'stream',
    setting: 'stream',
    message: 'The server does not stream here: asked again for the whole answer at once.',
    keep: 'target',
    change: asked => (asked.stream ? { ...asked, stream: false } : asked),
  }
}

function isAboutStream(said: string): boolean {
  const words = said.toLowerCase().replace(/["'`“”‘’]/g, '')
  return streamRefusals.some(pattern => pattern.test(words))
}

/** The word, where it is neither `stream_options` nor the opposite. */
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
  // "stream does not support true", "stream must be set to false", "body.stream: Input should be False"
  /(?<![\w]|non-)stream(?:ing)? (?:does not|doesnt) support true/,
  /(?<![\w]|non-)stream(?:ing)?:? (?:only supports|(?:input )?(?:must|should)(?: be)?(?: set to)?):? false/,
  /\bset(?:ting)? stream ?(?:=|to|:) ?false/,
  /(?:不支持|无法|不能|未开通|禁止|关闭)[^，。,.]{0,8}(?<!非)流式|仅支持非流式|只支持非流式|只能[^，。,.]{0,4}非流式|(?<!非)流式[^，。,.]{0,8}(?:不支持|不可用|未开通|被禁用)/,
]

/** F45: roles are named, and the one that we write instructions in is not among them, or is refused. */
export const otherRole: RepairRow = ({ said, dialect }) => {
  if (!/\broles?\b|unknown variant|latest_reminder|角色/i.test(said)) return undefined
  const role = dialect.instructionRole
  const names = (name: string) => new RegExp(String.raw`\b${name}\b`, 'i').test(said)
  const isListed = ['user', 'assistant'].every(names)
  const isWrong = isRefusedField(said) || wrongRole.test(said)
  const isRefused = names(role) && isWrong
  // no role is named: of those that we write, only this one is not known everywhere
  const isLikely = role === 'developer' && isWrong && !['user', 'assistant', 'tool'].some(names)
  if (!isRefused && !isLikely && !(isListed && !names(role))) return undefined
  // "unknown variant `developer`, expected one of `system`, `user`" names both: the first is the refused one
  const other = role === 'developer' ? 'system' : names('developer') ? 'developer' : 'user'
  return {
    field: `instructionRole:${other}`,
    setting: 'system',
    message: `The server does not take the role ${role}: asked again with instructions as ${other}.`,
    keep: 'target',
    change: asked => (asked.dialect.instructionRole === other ? asked : withDialect(asked, { instructionRole: other })),
  }
}

const wrongRole =
  /\bnot (?:one of|in|match)\b|unknown variant|invalid|incorrect|must be|should be|expected|不正确|非法|无效|只能|错误/i

/** F56: ids of another service's tool calls. */
export const otherToolCallIds: RepairRow = ({ said, call }) => {
  if (!namesIds.test(said)) return undefined
  const form = idForm(said)
  if (form === undefined) return undefined
  // what is named may be narrower than the forms that are known: nine letters and digits are taken everywhere
  const ids = changesIds(call.messages, form) ? form : 'nine'
  return {
    field: `toolCallIds:${ids}`,
    setting: 'messages',
    message: 'The server does not take the ids of earlier tool calls: asked again with others.',
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
  if (/pattern|only contain|alphanumeric|characters? (?:are|is) (?:not )?allowed|invalid characters?|只能包含/i.test(said))
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
