import { expect, test } from 'vitest'
import type { Charged, FailureReason } from '../../../../src/contract-failures.ts'
import { chargeOf } from '../../../../src/chain/policy.ts'
import { ProviderError } from '../../../../src/errors.ts'
import { readErrorBody } from '../../../../src/providers/chat-failure/error-body.ts'
import { exactRows } from '../../../../src/providers/chat-failure/failure-codes.ts'
import { isProxyPage, pageRows } from '../../../../src/providers/chat-failure/failure-rules.ts'
import { failureOf } from '../../../../src/providers/chat-failure/failure.ts'
import { wordingRows } from '../../../../src/providers/chat-failure/failure-wordings.ts'
import { leastMs } from '../../../helpers/least-ms.ts'
import { failureLines } from './failure-lines.ts'
import { replayText } from './replay.ts'
import { serviceLines } from './service-lines.ts'

const named = [...failureLines, ...serviceLines].map(([from, status, said, reason, charged, more = {}]) => {
  const body = typeof said === 'string' ? said : JSON.stringify(said)
  return { from, status, body, shown: body.slice(0, 80), reason, charged, more }
})

test.each(named)('$from: $status $shown -> $reason, $charged', ({ status, body, reason, charged, more }) => {
  const { headers = {}, message = /./ } = more
  const failure = replayText(body, { status, headers }).error
  if (!ProviderError.isInstance(failure)) throw new Error('The reader took an error for an answer.')
  expect({ reason: failure.reason, charged: chargeOf(failure) }).toEqual({ reason, charged })
  if ('retryAfterMs' in more) expect(failure.retryAfterMs).toBe(more.retryAfterMs)
  expect(failure.atMostMs).toBe(more.atMostMs)
  expect(failure.text).toBe(more.text)
  expect(failure.message).toMatch(message)
})

test('what was met in the field has its lines above (F11, F16, F18, F28, F29)', () => {
  for (const number of ['F11', 'F16', 'F18', 'F28', 'F29']) {
    expect(failureLines.filter(([from]) => from.startsWith(`${number} `)).length, number).toBeGreaterThanOrEqual(3)
  }
})

/** The words that stand in a row's expression: whatever makes it slow is made of them. */
function wordsOf({ source }: RegExp): readonly string[] {
  return [...new Set(source.match(/[a-z]{2,} ?|[\u3400-\u9fff]+|\d/gi))]
}

test('no body takes long to be understood, also when it is made of the words of the rows alone (F72)', () => {
  for (const { words, statuses } of [...exactRows, ...pageRows, ...wordingRows]) {
    for (const word of words === undefined ? [] : wordsOf(words)) {
      const body = JSON.stringify({ error: { message: word.repeat(16_384 / word.length) } })
      expect(
        leastMs(() => failureOf({ status: statuses?.[0] ?? 400, headers: {}, body }), 50),
        word,
      ).toBeLessThan(50)
    }
  }
})

test.each([
  '"',
  '"x',
  '<',
  '<a',
  '[',
  '{"error":',
  ': x\n',
  'data:',
  "{'loc': (",
  '*',
  'sk-a',
  'eyJaaaaaaaaaa.',
  'ı',
  '🦙',
  'Limit 1, ',
])('a body that is nothing but %j is understood at once, whatever carries it (F72)', piece => {
  const text = piece.repeat(65_536 / piece.length)
  for (const body of [
    text,
    JSON.stringify({ message: text, code: text }),
    JSON.stringify({ error: { metadata: { raw: text } } }),
  ]) {
    const failure = () => failureOf({ status: 429, headers: { 'x-request-id': text, 'retry-after': text }, body })
    expect(leastMs(failure, 50)).toBeLessThan(50)
  }
})

/** Codes of digits belong to one service each. */
const digits: readonly (readonly [form: (code: string) => object, reason: FailureReason, charged: Charged, codes: string])[] = [
  [zhipu, 'content-filter', 'nobody', '1301'],
  [zhipu, 'authentication', 'key', '1000 1001 1002 1003 1004'],
  [zhipu, 'quota', 'key', '1110 1111 1112 1113 1304 1308 1309 1310'],
  [zhipu, 'not-found', 'model', '1211'],
  [zhipu, 'permission', 'model', '1220 1311'],
  [zhipu, 'context-length', 'request', '1261'],
  [zhipu, 'rate-limit', 'gate', '1302 1303 1313'],
  [zhipu, 'server-error', 'target', '1230 1234'],
  [zhipu, 'overloaded', 'target', '1305 1312'],
  [miniMax, 'rate-limit', 'gate', '1002 1039 1041 2045'],
  [miniMax, 'quota', 'key', '1008 2056 2061'],
  [miniMax, 'authentication', 'key', '1004 2049'],
  [miniMax, 'content-filter', 'nobody', '1026 1027'],
  [miniMax, 'server-error', 'target', '1000 1013 1024 1033'],
  [miniMax, 'overloaded', 'target', '1001'],
  [miniMax, 'invalid-request', 'nobody', '2013 20132 1042'],
]

function zhipu(code: string): object {
  return { error: { code, message: 'x' } }
}

function miniMax(code: string): object {
  return { choices: null, base_resp: { status_code: Number(code), status_msg: 'x' } }
}

test.each(digits)('%o: codes of digits mean %s, %s: %s (F17, F28)', (form, reason, charged, codes) => {
  for (const code of codes.split(' ')) {
    for (const status of [200, 418]) {
      const failure = failureOf({ status, headers: {}, body: JSON.stringify(form(code)) })
      expect({ code, reason: failure.reason, charged: chargeOf(failure) }).toEqual({ code, reason, charged })
    }
    // in the form of nobody, the status decides
    const body = JSON.stringify({ error: { message: 'x', type: 'other', code } })
    expect(failureOf({ status: 418, headers: {}, body }).reason).toBe('invalid-request')
    expect(failureOf({ status: 500, headers: {}, body }).reason).toBe('server-error')
  }
})

test('words decide nothing under a status that is certain (R137)', () => {
  for (const { body } of named) {
    const message = readErrorBody(body).message
    const reasonAt = (status: number) => failureOf({ status, headers: {}, body: JSON.stringify({ error: { message } }) }).reason
    if (message === '' || isProxyPage(readErrorBody(message), {})) continue
    expect(['authentication', 'quota'], message).toContain(reasonAt(401))
    expect(['server-error', 'overloaded'], message).toContain(reasonAt(502))
    expect(reasonAt(413), message).toBe('context-length')
    expect(reasonAt(529), message).toBe('overloaded')
    // filters use it too (F28), and a filter of one call must not shut the key
    expect(['permission', 'content-filter'], message).toContain(reasonAt(451))
  }
})

/** What one of several wordings of a row says alone. */
const phrases: Partial<Record<FailureReason, string>> = {
  'rate-limit': 'Rate limit reached|Tokens per minute|速率限制已触发|请求频率过高|请求过快|触发限流|当前 RPM 已达上限|并发数过高',
  quota:
    'Out of credits|You need more credits|The payment is overdue|Budget has been exceeded|The maximum budget is 3|Please top up|余额不足|账户欠费|无可用资源包|请及时充值|套餐已到期',
  'context-length':
    'Above the maximum prompt length|Please reduce the length|Too long for this model|Above max_seq_len|The input tokens exceed it|Above the number of tokens allowed|inputs tokens + max_new_tokens must be <= 9|The prompt exceeds max length|litellm.ContextWindowExceededError|超过最大长度限制|提示词过长',
  'content-filter':
    'Against our content policy|By the content filter|It has sensitive information|It has prohibited content|By content moderation|By data inspection|ContentPolicyViolationError|Our risk control has rejected it|内容违规|内容违法|内容不安全|内容不合规|安全审核|内容安全|风险内容|审核不通过',
  'server-error': 'Unable to load the model|Error loading model x',
  'not-found':
    'Model not found|No such model|It has reached its end of life|A non-serverless model|The model x is not available|No such route|不支持该模型',
  authentication: 'Authentication fails|无效的令牌',
  permission: 'Not available in your country|无权访问|权限不足',
  'invalid-request': 'It requires --enable-auto-tool-choice and --tool-call-parser|x is not a multimodal model',
  overloaded:
    'We are at capacity|Temporarily unavailable|Above the maximum pending requests|系统繁忙|访问量过大|负载过高|引擎过载|请稍后再试',
}

test.each(Object.entries(phrases))('%s is told by any of its wordings alone: %s (R137)', (reason, words) => {
  for (const message of words.split('|')) {
    // neither status says so itself
    const status = reason === 'overloaded' || reason === 'permission' ? 400 : 403
    const failure = failureOf({ status, headers: {}, body: JSON.stringify({ error: { message } }) })
    expect({ message, reason: failure.reason }).toEqual({ message, reason })
  }
})

test('words of a 500 that no other try would mend are about the request (R137)', () => {
  const words = 'option num_ctx must be of type integer|jinja: x|The chat template failed|Failed to parse grammar'
  for (const message of words.split('|')) {
    const { reason } = failureOf({ status: 500, headers: {}, body: JSON.stringify({ error: { message } }) })
    expect({ message, reason }).toEqual({ message, reason: 'invalid-request' })
  }
})
