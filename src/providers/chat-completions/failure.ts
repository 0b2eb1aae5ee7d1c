import type { FailureReason, ResponseHeaders } from '../../contract.ts'
import { longestSaid, ProviderError, shortName } from '../../errors.ts'
import { retryAfterMs } from '../../http/retry-after.ts'
import type { ServerError } from './error-body.ts'
import { readErrorBody, readErrorValue } from './error-body.ts'
import { withUpstreams } from './error-litellm.ts'
import { concurrencyLimitIn, limitIn, retryHintMs } from './error-hints.ts'
import { failureMessage } from './failure-message.ts'
import { failureNumbers } from './failure-numbers.ts'
import type { FailureRule, Meaning } from './failure-row.ts'
import { meaningOf } from './failure-rules.ts'
import { masked } from './safe-text.ts'

export type { FailureRule } from './failure-row.ts'

/** Where an error came from, and what must not stand in it. */
export type AnswerContext = {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The host's own wordings, looked at before the common rules. */
  readonly rules?: readonly FailureRule[] | undefined
  /** Texts that must never stand in an error, exactly as they are: the key above all. */
  readonly secrets?: readonly string[] | undefined
  /** Something of an answer came before: what began to answer was not wrong in its request, its key or its model (F25). */
  readonly begun?: boolean | undefined
}

/** The failure that an answer outside 2xx is. Never throws. */
export function failureOf(answer: AnswerContext & { readonly body: string }): ProviderError {
  return failureFrom(readErrorBody(answer.body), answer)
}

/** The failure that an `error` inside a 200 is: the status had been sent before anything went wrong (R1, R21). Never throws. */
export function inBandFailure(error: unknown, answer: AnswerContext): ProviderError {
  return failureFrom(readErrorValue(error), answer)
}

/** A 200 whose body is no answer: a page of a proxy, plain text, JSON of another kind. Never throws. */
export function strangeAnswer(body: string, answer: AnswerContext): ProviderError {
  return failureFrom(readErrorBody(body), answer, 'malformed-response')
}

/** The id under which the operator of the server finds this request in the logs. */
export function requestIdOf(headers: ResponseHeaders, body?: string): string | undefined {
  return (
    idInHeaders(headers, idHeaders) ??
    (body === undefined ? undefined : idInError(readErrorBody(body))) ??
    idInHeaders(headers, edgeHeaders)
  )
}

function failureFrom(error: ServerError, answer: AnswerContext, otherwise?: FailureReason): ProviderError {
  const { status, rules, secrets } = answer
  const headers = withUpstreams({ ...error.headers, ...answer.headers })
  const told = statusOf(error, status)
  const { reason, charged, atMostMs, cure } = begun(answer, meaningOf(error, { status: told, headers, rules, otherwise }))
  const numbers = numbersOf(reason, error)
  const { code, param } = error
  return new ProviderError(failureMessage({ reason, status, code, param, secrets, cure, ...numbers }), {
    reason,
    status,
    // a time that comes with it is not for others
    charged: charged ?? (reason === 'context-length' ? 'request' : undefined),
    atMostMs,
    ...numbers,
    retryAfterMs:
      retryAfterMs(headers, Date.now(), {
        isRefused: told === 429,
        limit: limitIn(error),
        said: timesHelp.has(reason) ? (error.retryAfterMs ?? retryHintMs(spoken(error), Date.now())) : undefined,
      }) ?? (reason === 'loading' ? lookAgainMs : undefined),
    requestId: idInHeaders(headers, idHeaders) ?? idInError(error) ?? idInHeaders(headers, edgeHeaders),
    said: saidBy(error, secrets),
    text: reason === 'invalid-output' && error.written !== '' ? error.written : undefined,
  })
}

/** Words are believed about time only where waiting helps. */
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

/** Inside a 200 an error may name a status of its own: SGLang's full queue and OpenRouter's dead upstream do, as `code`. */
function statusOf({ code, type }: ServerError, status: number): number {
  if (status < 200 || status > 299) return status
  const named = [code, type].find(text => /^[45]\d\d$/.test(text))
  return named === undefined ? 200 : Number(named)
}

function spoken({ message, upstream }: ServerError): string {
  if (message === '' || upstream === '') return message === '' ? upstream : message
  return `${message}: ${upstream}`
}

function numbersOf(reason: FailureReason, error: ServerError) {
  if (reason === 'rate-limit') return { concurrencyLimit: concurrencyLimitIn(spoken(error)) }
  if (reason !== 'context-length') return {}
  const told = failureNumbers(spoken(error))
  return {
    contextTokens: error.contextTokens ?? told.contextTokens,
    requestedTokens: error.requestedTokens ?? told.requestedTokens,
  }
}

/** A server that reads its model does not know when it will be done: whoever has nobody else looks again. */
const lookAgainMs = 2_000

/** What the server said, for a person to read: its words, and the fields that say more. */
function saidBy(error: ServerError, secrets: readonly string[] | undefined): string | undefined {
  const fields = Object.entries({ type: error.type, code: error.code, param: error.param })
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${masked(value, 100, secrets)}`)
  const named = fields.length === 0 ? '' : ` (${fields.join(', ')})`
  const words = masked(spoken(error), longestSaid - named.length, secrets)
  const said = `${words}${named}`.trim()
  return said === '' ? undefined : said
}

const idHeaders = ['x-ds-trace-id', 'x-request-id', 'x-deepseek-request-id', 'request-id', 'x-generation-id'] as const
/** Given by what stands in front of the server: better than nothing. */
const edgeHeaders = ['eo-log-uuid', 'cf-ray', 'x-amz-cf-id'] as const

function idInHeaders(headers: ResponseHeaders, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name]
    const id = typeof value === 'string' ? value : value?.[0]
    if (id !== undefined && isId(id.trim())) return id.trim()
  }
  return undefined
}

/**
 * Ids are logged, and a server may write anything there. What is long enough to be a piece of the prompt must look like an id: no part
 * of it after the first is a word, that is letters alone which are no hexadecimal digits.
 */
function isId(text: string): boolean {
  if (shortName(text) !== '') return true
  if (!/^[\w.:/+=@-]{1,128}$/.test(text)) return false
  const [prefix = '', ...parts] = text.split(/[^a-z\d]+/i)
  return !/^[a-z]{13,}$/i.test(prefix) && !parts.some(part => /^[a-z]{4,}$/i.test(part) && !/^[a-f]+$/i.test(part))
}

/** In a field, or in words: "... (request_id: 0f1e...)", "Request id: 0217...", "include the request ID req_1 in your message". */
function idInError(error: ServerError): string | undefined {
  if (error.requestId !== undefined && isId(error.requestId)) return error.requestId
  const named = /\brequest[ _-]?id:? ?([\w-]{6,128})/i.exec(error.message)?.[1]
  return named !== undefined && isId(named) ? named : undefined
}
