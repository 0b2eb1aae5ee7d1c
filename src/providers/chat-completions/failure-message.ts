import type { FailureReason } from '../../contract.ts'

export type FailureTexts = {
  readonly reason: FailureReason
  readonly status: number
  /** The server's own words, already safe. */
  readonly said: string
  readonly contextTokens?: number | undefined
  readonly requestedTokens?: number | undefined
  readonly concurrencyLimit?: number | undefined
}

/** What happened, what the server said about it, what to do. */
export function failureMessage(texts: FailureTexts): string {
  const { reason, status, said } = texts
  const [what, cure] = sentences[status >= 300 && status < 400 ? 'redirect' : reason]
  const where = status >= 200 && status < 300 ? 'in a 200 answer' : String(status)
  const quoted = said.replace(/[.。\s]+$/, '')
  return `${what}${numbersOf(texts)} (${where}).${quoted === '' ? '' : ` It said: "${quoted}".`} ${cure}`
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
  'invalid-request': ['The server refused the request as invalid', nextOr('Correct the setting it names')],
  empty: ['The answer is empty', nextOr('Ask again')],
  'invalid-output': ['The answer does not have the form that was asked for', nextOr('Ask again')],
  'content-filter': ['The content filter of the service stepped in', 'No other target is asked. Change the prompt.'],
  redirect: ['The server redirects to another address', 'Redirects are never followed with a key: correct the base URL.'],
}
