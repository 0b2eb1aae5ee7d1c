import type { Call, ResponseHeaders } from '../../contract.ts'
import type { FailureReason } from '../../contract-failures.ts'
import { longestSaid, ProviderError } from '../../errors.ts'
import { isRequestId, requestIdIn } from '../../http/post.ts'
import { retryAfterMs } from '../../http/retry-after.ts'
import { readErrorBody, readErrorValue, type ServerError } from './error-body.ts'
import { withUpstreams } from './error-details.ts'
import { concurrencyLimitIn, limitIn, retryHintMs } from './error-hints.ts'
import { failureNumbers } from './failure-numbers.ts'
import type { FailureRule, Meaning } from './failure-row.ts'
import { meaningOf } from './failure-rules.ts'
import { withoutCallersText } from './quoted-text.ts'
import { masked, safeName } from './safe-text.ts'

export type { FailureRule } from './failure-row.ts'

/** Where an error came from, and which texts must not appear in it. */
export type AnswerContext = {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The host's own wordings, checked before the common rules. */
  readonly rules?: readonly FailureRule[] | undefined
  /** Texts that must never appear in an error, matched exactly: above all the key. */
  readonly secrets?: readonly string[] | undefined
  /** The call that failed: the server may quote its text. */
  readonly call?: Call | undefined
  /** Part of an answer came before the error, so the request, the key and the model were accepted (F25). */
  readonly begun?: boolean | undefined
}

/** Classifies an answer outside 2xx. Never throws. */
export function failureOf(answer: AnswerContext & { readonly body: string }): ProviderError {
  return failureFrom(readErrorBody(answer.body), answer)
}

/** Classifies an `error` inside a 200: the status had been sent before anything failed (R1, R21). Never throws. */
export function inBandFailure(error: unknown, answer: AnswerContext): ProviderError {
  return failureFrom(readErrorValue(error), answer)
}

/** Classifies a 200 whose body is no answer: a proxy's page, plain text, unrelated JSON. Never throws. */
export function strangeAnswer(body: string, answer: AnswerContext): ProviderError {
  return failureFrom(readErrorBody(body), answer, 'malformed-response')
}

function failureFrom(error: ServerError, answer: AnswerContext, otherwise?: FailureReason): ProviderError {
  const { status, rules, secrets, call } = answer
  const headers = withUpstreams({ ...error.headers, ...answer.headers })
  const told = statusOf(error, status)
  const { reason, charged, atMostMs, cure } = begun(answer, meaningOf(error, { status: told, headers, rules, call, otherwise }))
  const numbers = numbersOf(reason, error, call)
  const { code, param } = error
  return new ProviderError(failureMessage({ reason, status, code, param, secrets, cure, ...numbers }), {
    reason,
    status,
    // a retry time in a context-length failure must not hold back other calls
    charged: charged ?? (reason === 'context-length' ? 'request' : undefined),
    atMostMs,
    ...numbers,
    retryAfterMs:
      retryAfterMs(headers, Date.now(), {
        isRefused: told === 429,
        limit: limitIn(error),
        said: timesHelp.has(reason) ? (error.retryAfterMs ?? retryHintMs(spoken(error), Date.now())) : undefined,
      }) ?? (reason === 'loading' ? lookAgainMs : undefined),
    requestId: requestIdIn(headers, idInError(error)),
    said: saidBy(error, secrets),
    text: reason === 'invalid-output' && error.written !== '' ? error.written : undefined,
  })
}

/** The reasons for which waiting helps; only then is a retry time in the text trusted. */
const timesHelp: ReadonlySet<FailureReason> = new Set(['loading', 'rate-limit', 'overloaded', 'quota'])

const wrongFromTheStart: ReadonlySet<FailureReason> = new Set([
  'invalid-request',
  'not-found',
  'authentication',
  'permission',
  'malformed-response',
])

function begun(
  { begun: hasBegun }: AnswerContext,
  meaning: ReturnType<typeof meaningOf>,
): Meaning & { readonly cure?: string | undefined } {
  return hasBegun === true && wrongFromTheStart.has(meaning.reason) ? { reason: 'server-error' } : meaning
}

/** An error inside a 200 may carry its own status as `code`: SGLang's full queue and OpenRouter's failed upstream do. */
function statusOf({ code, type }: ServerError, status: number): number {
  if (status < 200 || status > 299) return status
  const named = [code, type].find(text => /^[45]\d\d$/.test(text))
  return named === undefined ? 200 : Number(named)
}

function spoken({ message, upstream }: ServerError): string {
  if (message === '' || upstream === '') return message === '' ? upstream : message
  return `${message}: ${upstream}`
}

function numbersOf(reason: FailureReason, error: ServerError, call: Call | undefined) {
  if (reason === 'rate-limit') return { concurrencyLimit: concurrencyLimitIn(spoken(error)) }
  if (reason !== 'context-length') return {}
  const told = failureNumbers(withoutCallersText(spoken(error), call))
  return {
    contextTokens: error.contextTokens ?? told.contextTokens,
    requestedTokens: error.requestedTokens ?? told.requestedTokens,
  }
}

/**
 * A server that is loading its model does not know when it will be ready. A call without another target polls at this interval.
 */
const lookAgainMs = 2_000

/** The server's message for people to read, together with the fields that add to it. */
function saidBy(error: ServerError, secrets: readonly string[] | undefined): string | undefined {
  const fields = Object.entries({ type: error.type, code: error.code, param: error.param })
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${masked(value, 100, secrets)}`)
  const named = fields.length === 0 ? '' : ` (${fields.join(', ')})`
  const words = masked(spoken(error), longestSaid - named.length, secrets)
  const said = `${words}${named}`.trim()
  return said === '' ? undefined : said
}

/**
 * The request id, from a field or from the text: "... (request_id: 0f1e...)", "Request id: 0217...", "include the request ID
 * req_1 in your message".
 */
function idInError(error: ServerError): string | undefined {
  if (error.requestId !== undefined && isRequestId(error.requestId)) return error.requestId
  const named = /\brequest[ _-]?id:? ?([\w-]{6,128})/i.exec(error.message)?.[1]
  return named !== undefined && isRequestId(named) ? named : undefined
}

type FailureTexts = {
  readonly reason: FailureReason
  readonly status: number
  /** From the server's fields, not yet masked. */
  readonly code?: string | undefined
  readonly param?: string | undefined
  readonly secrets?: readonly string[] | undefined
  /** The advice, when the usual advice for the reason would be wrong. */
  readonly cure?: string | undefined
  readonly contextTokens?: number | undefined
  readonly requestedTokens?: number | undefined
  readonly concurrencyLimit?: number | undefined
}

/**
 * Says what happened and what to do. The sentences are entirely ours: servers often quote the request in a refusal, and messages
 * end up in logs. The server's own text is in `said` of the error. Of its fields, only a short name or number is used.
 */
function failureMessage(texts: FailureTexts): string {
  const { reason, status, code, param, secrets } = texts
  const [what, usual] = sentences[status >= 300 && status < 400 ? 'redirect' : reason]
  const where = status >= 200 && status < 300 ? 'in a 200 answer' : String(status)
  const names = [where, ...ifNamed('code', code, secrets), ...ifNamed('parameter', param, secrets)]
  return `${what}${sizesIn(texts)} (${names.join(', ')}). ${texts.cure ?? usual}`
}

function ifNamed(what: string, value = '', secrets?: readonly string[]): string[] {
  const name = safeName(value, secrets)
  return name === '' ? [] : [`${what} ${name}`]
}

function sizesIn({ contextTokens, requestedTokens, concurrencyLimit }: FailureTexts): string {
  if (concurrencyLimit !== undefined) return `: at most ${concurrencyLimit} requests at once`
  if (contextTokens === undefined) return ''
  return requestedTokens === undefined
    ? `: it takes ${contextTokens} tokens`
    : `: it takes ${contextTokens} tokens, not ${requestedTokens}`
}

const nextOr = (cure: string): string => `${cure}, or let the next target answer.`

const sentences: Readonly<Record<FailureReason | 'redirect', readonly [what: string, cure: string]>> = {
  network: ['The server could not be reached', nextOr('Check the connection')],
  overloaded: ['The server is overloaded', nextOr('Try again later')],
  'server-error': ['The server failed', nextOr('Try again')],
  truncated: ['The answer was cut', nextOr('Try again')],
  'malformed-response': [
    'The server sent something that is not an answer',
    'Check the base URL, and whether a proxy answers in its place.',
  ],
  timeout: ['The server took too long', nextOr('Raise the timeout')],
  loading: ['The server is still loading its model', nextOr('Wait until it is up')],
  'rate-limit': ['The rate limit is reached', nextOr('Send fewer requests at once')],
  quota: ['The account has no credit or quota left', nextOr('Top up the account')],
  authentication: ['The key was not accepted', 'Check the API key, and that it belongs to this service and region.'],
  permission: ['The key has no permission for this', 'Check what the key, the account and the region are allowed to use.'],
  'not-found': ['The model or the path was not found', 'Check the model id and the base URL.'],
  'context-length': ['The request is too long for this model', nextOr('Shorten the conversation, or lower maxOutputTokens')],
  'invalid-request': ['The server refused the request as invalid', nextOr('Correct the setting that `said` of the error names')],
  empty: ['The answer is empty', nextOr('Ask again')],
  'invalid-output': ['The answer does not have the form that was asked for', nextOr('Ask again')],
  'content-filter': [
    'The content filter of the service blocked the request or its answer',
    'No other target is asked. Change the prompt.',
  ],
  // no server sends these two reasons: unbusy sets them
  excluded: ['The call is excluded from this target', nextOr('Change its `when`')],
  budget: ['The call would cost too much', nextOr('Raise the budget')],
  redirect: [
    'The server redirects to another address',
    'unbusy never follows redirects, because they would reveal the key. Correct the base URL.',
  ],
}
