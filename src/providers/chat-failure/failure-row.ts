import type { Charged, FailureReason } from '../../contract-failures.ts'

/** The meaning of a failure, whichever sign revealed it. */
export type Meaning = {
  readonly reason: FailureReason
  /** Who is charged. @default what the policy says for the reason */
  readonly charged?: Charged | undefined
  /** The longest it can last, in milliseconds, when the server gives no time. @default not known */
  readonly atMostMs?: number | undefined
}

/** How one host words a failure in its own way. All given fields must match. */
export type FailureRule = Meaning & {
  readonly status?: number | undefined
  readonly code?: string | number | undefined
  readonly type?: string | undefined
  /** Without the `g` flag, which would make every second match fail. */
  readonly message?: RegExp | undefined
}

/** One row of the built-in tables. All given fields must match. */
export type Row = Meaning & {
  /** The source of the row: an R or F number, or a section of a service's documentation. */
  readonly from: string
  /** The row matches any of these. */
  readonly statuses?: readonly number[] | undefined
  /** Matched against the code without case and punctuation: `context_length_exceeded` and `ContextLengthExceeded` are equal. */
  readonly code?: RegExp | undefined
  readonly type?: RegExp | undefined
  /** Matched against the message, without quoted names. */
  readonly words?: RegExp | undefined
  /** Matched against the response header of this name. */
  readonly header?: readonly [name: string, value: RegExp] | undefined
  /** The answer is a proxy's page and not the service's. */
  readonly page?: boolean | undefined
  /** The numbers in the text show that this request alone exceeds the whole limit. */
  readonly outgrown?: boolean | undefined
  /** The advice for the message, when the usual advice for the reason would be wrong. */
  readonly cure?: string | undefined
}

/** The status of an error inside a 200 that does not give its own. */
export const noStatus = 200
/** Statuses that can mean many things. */
export const refusals: readonly number[] = [400, 403, 422, noStatus]

/** Those, and the one for legal reasons, which some filters use. */
export const filters: readonly number[] = [...refusals, 451]

/** One wording: its source, its meaning, the statuses under which it applies, the pattern, and anything else that is known. */
export type Wording = readonly [
  from: string,
  reason: FailureReason,
  statuses: readonly number[],
  words: RegExp,
  more?: Pick<Row, 'charged' | 'atMostMs' | 'cure'>,
]

function rowOf([from, reason, statuses, words, more]: Wording): Row {
  return { from, reason, statuses, words, ...more }
}

/** Joins tables. The call is free of side effects, so a bundle without providers drops the tables. */
export function rowsOf(...tables: readonly (readonly Wording[])[]): readonly Row[] {
  return tables.flat().map(rowOf)
}
