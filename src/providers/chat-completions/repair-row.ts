import type { Call } from '../../contract.ts'
import type { ProviderError } from '../../errors.ts'
import type { Dialect } from './dialect.ts'
import type { FailureNumbers } from './failure-numbers.ts'

/** One request as it is about to be written: everything that a repair may change. */
export type Asked = { readonly call: Call; readonly dialect: Dialect; readonly stream: boolean }

/** A request that was refused, and what the server said about it. */
export type Refused = Asked & {
  readonly error: ProviderError
  /** The server's own words and the fields beside them. */
  readonly said: string
  readonly numbers: FailureNumbers
  /** The fields of the body that was refused. */
  readonly fields: readonly string[]
  /** The limit of the answer that it held, also where `extraBody` alone set it. */
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

/** How the same question is asked so that the server's own message says it will take it. */
export type Repair = {
  /** What it changes. The same is not changed twice in one call. */
  readonly field: string
  /** The option of the input that it is about, and a sentence for `result.warnings`. */
  readonly setting: string
  readonly message: string
  /**
   * `target`: what this server takes of every request, so later calls are sent so at once. It is forgotten with the target: a server
   * that learns something new is rare, and a refusal each time would be paid for ever. `call`: it follows from this very request.
   */
  readonly keep: 'target' | 'call'
  /** The changed request; the same one where there is nothing to change. */
  change(asked: Asked): Asked
}

/** One reading of a refusal. Undefined: it says nothing of this kind. */
export type RepairRow = (refused: Refused) => Repair | undefined

export function withDialect(asked: Asked, changes: Partial<Dialect>): Asked {
  return { ...asked, dialect: { ...asked.dialect, ...changes } }
}

/** The server complains of what was asked, not of who asked, of its own state or of the content. */
export function isAboutRequest({ error }: Refused): boolean {
  return error.reason === 'invalid-request' || error.reason === 'context-length'
}

/** Some servers answer 500 to a request that they cannot read. Only for rows whose words can mean nothing else. */
export function mayBeAboutRequest(refused: Refused): boolean {
  const { reason, status = 200 } = refused.error
  return isAboutRequest(refused) || (reason === 'server-error' && status >= 500)
}

/** That something is in the request which must not be there. */
export function isRefusedField(said: string): boolean {
  return refusals.some(words => words.test(said))
}

const refusals = [
  /not (?:yet |currently )?(?:permitted|allowed|supported|accepted|recogni[sz]ed|known|valid|implemented|available)|no such/i,
  /unknown|unexpected|unrecogni[sz]ed|unsupported|\bextra\b|forbidden|cannot find field|additional propert|\bdeprecated\b/i,
  /does(?: not|n't) (?:support|accept|allow|recogni[sz]e)/i,
  // two that each would be taken
  /cannot (?:both )?be (?:both )?(?:specified|used|set|given)|cannot (?:specify|use|set) both|mutually exclusive/i,
  /不支持|未知|不允许|多余|无法识别|不被接受/,
]
