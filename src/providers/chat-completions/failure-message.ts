import type { FailureReason } from '../../contract.ts'
import { safeName } from './safe-text.ts'

export type FailureTexts = {
  readonly reason: FailureReason
  readonly status: number
  /** Of the server's fields, not safe yet. */
  readonly code?: string | undefined
  readonly param?: string | undefined
  readonly secrets?: readonly string[] | undefined
  /** What to do, where the reason alone would advise the wrong thing. */
  readonly cure?: string | undefined
  readonly contextTokens?: number | undefined
  readonly requestedTokens?: number | undefined
  readonly concurrencyLimit?: number | undefined
}

/**
 * What happened, and what to do. The sentences are ours alone: a server that refuses a request likes to quote it, and messages end up in
 * logs. What it said is in `said` of the error. Of its fields only a short name or number is taken.
 */
export function failureMessage(texts: FailureTexts): string {
  const { reason, status, code, param, secrets } = texts
  const [what, usual] = sentences[status >= 300 && status < 400 ? 'redirect' : reason]
  const where = status >= 200 && status < 300 ? 'in a 200 answer' : String(status)
  const names = [where, ...named('code', code, secrets), ...named('parameter', param, secrets)]
  return `${what}${numbersOf(texts)} (${names.join(', ')}). ${texts.cure ?? usual}`
}

function named(what: string, value = '', secrets?: readonly string[]): string[] {
  const name = safeName(value, secrets)
  return name === '' ? [] : [`${what} ${name}`]
}

function numbersOf({ contextTokens, requestedTokens, concurrencyLimit }: FailureTexts): string {
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
    'The server sent something that is no answer',
    'Check the base URL, and whether a proxy answers in its place.',
  ],
  timeout: ['The server took too long', nextOr('Raise the timeout')],
  loading: ['The server is still loading its model', nextOr('Wait until it is up')],
  'rate-limit': ['The rate limit is reached', nextOr('Send fewer requests at once')],
  quota: ['The account has no credit or quota left', nextOr('Top up the account')],
  authentication: ['The key was not accepted', 'Check the API key, and that it belongs to this service and region.'],
  permission: ['The key may not do this', 'Check what the key, the account and the region are allowed to use.'],
  'not-found': ['The model or the path was not found', 'Check the model id and the base URL.'],
  'context-length': ['The request is too long for this model', nextOr('Shorten the conversation, lower maxOutputTokens')],
  'invalid-request': ['The server refused the request as invalid', nextOr('Correct the setting that it names in `said`')],
  empty: ['The answer is empty', nextOr('Ask again')],
  'invalid-output': ['The answer does not have the form that was asked for', nextOr('Ask again')],
  'content-filter': ['The content filter of the service stepped in', 'No other target is asked. Change the prompt.'],
  // no server says these two: they are ours
  excluded: ['The call is excluded from this target', nextOr('Change its `when`')],
  budget: ['The call would cost too much', nextOr('Raise the budget')],
  redirect: ['The server redirects to another address', 'Redirects are never followed with a key: correct the base URL.'],
}
