import type { FailureReason } from '../../contract.ts'
import type { ServerError } from './error-body.ts'
import { byWording } from './failure-wordings.ts'

/** How one host words a failure in its own way. Every field that is given must match. */
export type FailureRule = {
  readonly status?: number | undefined
  readonly code?: string | number | undefined
  readonly type?: string | undefined
  /** Without the flag `g`, which would make every second look fail. */
  readonly message?: RegExp | undefined
  readonly reason: FailureReason
}

export type ReasonOptions = {
  /** The HTTP status, or the status that an error inside a 200 gives itself; 200 when it gives none. */
  readonly status: number
  readonly rules?: readonly FailureRule[] | undefined
  /** When nothing tells. @default 'server-error' */
  readonly otherwise?: FailureReason | undefined
}

/**
 * Why a request failed, from what is certain to what is only said (R137):
 * 1. the host's own rules;
 * 2. typed fields that name one cause;
 * 3. wording, each only under the statuses where it decides something, and never by bare digits;
 * 4. the status;
 * 5. inside a 200, where no status tells anything: typed fields that name a class.
 */
export function reasonOf(error: ServerError, { status, rules = [], otherwise = 'server-error' }: ReasonOptions): FailureReason {
  const own = rules.find(rule => matches(rule, error, status))
  if (own !== undefined) return own.reason
  const words = wordsOf(error)
  const certain = tooLarge(words, status) ?? byName(error, names)
  return certain ?? byWording(words, status) ?? byStatus(status) ?? byName(error, classes) ?? otherwise
}

type Named = readonly [FailureReason, RegExp]

/**
 * Values of `code` and `type` that name one cause, without case and punctuation: `context_length_exceeded`, `ContextLengthExceeded`.
 * `invalid_request_error` is none of them: DeepSeek writes it into `code` whatever happened.
 */
const names: readonly Named[] = [
  ['context-length', /^(?:context(?:length|window)|exceedcontextsize|modelcontextwindow|stringabovemaxlength)/],
  ['content-filter', /^(?:content(?:policy|filter)|moderation|datainspectionfailed|responsibleaipolicy)|sensitivecontent/],
  [
    'quota',
    /^(?:insufficient(?:user)?(?:quota|balance|credit|fund)|creditbalance|billing|arrearage|accountoverdue|quotaexceeded)/,
  ],
  ['rate-limit', /^(?:ratelimit|slowdown|toomanyrequests|throttling|limitrequests)/],
  ['overloaded', /^(?:overloaded|server(?:is)?overloaded|(?:engine|model)overloaded)/],
  ['not-found', /^(?:model(?:id)?not(?:found|exist|open)|invalidendpointormodel|deploymentnotfound)/],
  ['authentication', /^(?:authentication|unauthenticated|(?:invalid|incorrect)(?:apikey|authentication))/],
  ['permission', /^(?:permission|unsupportedcountry|accessdenied|accessterminated)/],
]

/** Values that name a class only; they decide where there is no status. */
const classes: readonly Named[] = [
  ['overloaded', /unavailable|busy|overload/],
  ['not-found', /notfound/],
  ['permission', /^forbidden/],
  ['authentication', /^unauthorized/],
  ['invalid-request', /^(?:invalid|badrequest|unprocessable|notsupported)/],
]

/** A code is more exact than a type: Ark sends `ServerOverloaded` with the type `TooManyRequests`. */
function byName({ code, type }: ServerError, table: readonly Named[]): FailureReason | undefined {
  for (const name of [code, type]) {
    const plain = name.toLowerCase().replace(/[^a-z]/g, '')
    const found = table.find(([, pattern]) => pattern.test(plain))
    if (found !== undefined) return found[0]
  }
  return undefined
}

/** OpenAI and Groq call it a rate limit, but the same request can never pass: "Request too large ... Limit 30000, Requested 41136". */
function tooLarge(words: string, status: number): FailureReason | undefined {
  return status === 413 || (status === 429 && /^request too large/i.test(words)) ? 'context-length' : undefined
}

const statuses: ReadonlyMap<number, FailureReason> = new Map<number, FailureReason>([
  [401, 'authentication'],
  [402, 'quota'],
  [403, 'permission'],
  [404, 'not-found'],
  // not taken at the moment, through no fault of the request
  [408, 'overloaded'],
  [409, 'overloaded'],
  [410, 'not-found'],
  [413, 'context-length'],
  [424, 'server-error'],
  [425, 'overloaded'],
  [429, 'rate-limit'],
  [451, 'permission'],
  // a proxy lost its patience, or thinks that we did
  [499, 'server-error'],
  // llama-server's not_supported_error: this server cannot do that at all
  [501, 'invalid-request'],
  [503, 'overloaded'],
  [529, 'overloaded'],
])

function byStatus(status: number): FailureReason | undefined {
  if (status >= 200 && status < 300) return undefined
  return statuses.get(status) ?? (status >= 500 ? 'server-error' : 'invalid-request')
}

function matches(rule: FailureRule, error: ServerError, status: number): boolean {
  if (rule.status !== undefined && rule.status !== status) return false
  if (rule.code !== undefined && String(rule.code) !== error.code) return false
  if (rule.type !== undefined && rule.type !== error.type) return false
  return rule.message === undefined || rule.message.test(wordsOf(error))
}

/** What stands in code marks or quotes is a name, a model's for example, and says nothing about the cause (R137). */
function wordsOf({ message, upstream }: ServerError): string {
  const words = upstream === '' ? message : `${message} ${upstream}`
  return words.slice(0, 2_000).replace(/[`"“][^`"”]{0,120}[`"”]/g, 'x')
}
