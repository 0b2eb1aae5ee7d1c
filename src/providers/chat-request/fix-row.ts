import type { Call } from '../../contract.ts'
import type { ProviderError } from '../../errors.ts'
import type { Dialect } from '../chat-completions/dialect.ts'
import type { FailureNumbers } from '../chat-failure/failure-numbers.ts'

/** One request before it is encoded: everything that a fix may change. */
export type Asked = { readonly call: Call; readonly dialect: Dialect; readonly stream: boolean }

/** A rejected request, and the server's message about it. */
export type Refused = Asked & {
  readonly error: ProviderError
  /** The server's own message, and the fields beside it. */
  readonly said: string
  readonly numbers: FailureNumbers
  /** The fields of the rejected body. */
  readonly fields: readonly string[]
  /** The output limit in the body, even when only `extraBody` set it. */
  readonly limit: TokenLimit | undefined
  /** Reasoning was emitted, and nothing else. */
  readonly reasoned: boolean
}

export type TokenLimit = { readonly field: string; readonly tokens: number }

const limitFields = ['max_tokens', 'max_completion_tokens', 'max_new_tokens', 'max_output_tokens']

export function tokenLimitOf(body: Readonly<Record<string, unknown>>): TokenLimit | undefined {
  for (const field of limitFields) {
    const tokens = body[field]
    if (typeof tokens === 'number') return { field, tokens }
  }
  return undefined
}

/** How to change the request into one that the server, by its own message, accepts. */
export type RequestFix = {
  /** What the fix changes. A call changes the same thing only once. */
  readonly field: string
  /** The call option that the fix concerns, and a sentence for `result.warnings`. */
  readonly setting: string
  readonly message: string
  /**
   * `target`: the server rejects this in every request, so later calls are changed before they are sent. The fix lasts as long as
   * the target: servers rarely gain a feature, and probing for it would cost a rejection each time. `call`: the fix depends on
   * the request at hand.
   */
  readonly keep: 'target' | 'call'
  /** The changed request, or the same object when there is nothing to change. */
  change(asked: Asked): Asked
}

/** Interprets a rejection. Returns undefined when the rejection is of another kind. */
export type FixRow = (refused: Refused) => RequestFix | undefined

export function withDialect(asked: Asked, changes: Partial<Dialect>): Asked {
  return { ...asked, dialect: { ...asked.dialect, ...changes } }
}

/** The server rejects the request itself, not the caller, the content or its own state. */
export function isAboutRequest({ error }: Refused): boolean {
  return error.reason === 'invalid-request' || error.reason === 'context-length'
}

/** Some servers answer 500 to a request that they cannot parse. Only for rows whose wording is unambiguous. */
export function mayBeAboutRequest(refused: Refused): boolean {
  const { reason, status = 200 } = refused.error
  return isAboutRequest(refused) || (reason === 'server-error' && status >= 500)
}

/** Whether the server rejects something because it is present in the request. */
export function isRefusedField(said: string): boolean {
  return refusals.some(words => words.test(said))
}

const refusals = [
  /not (?:yet |currently )?(?:permitted|allowed|supported|accepted|recogni[sz]ed|known|valid|implemented|available)|no such/i,
  /unknown|unexpected|unrecogni[sz]ed|unsupported|\bextra\b|forbidden|cannot find field|additional propert|\bdeprecated\b/i,
  /does(?: not|n't) (?:support|accept|allow|recogni[sz]e)/i,
  // two fields that are each accepted alone
  /cannot (?:both )?be (?:both )?(?:specified|used|set|given)|cannot (?:specify|use|set) both|mutually exclusive/i,
  /不支持|未知|不允许|多余|无法识别|不被接受/,
]
