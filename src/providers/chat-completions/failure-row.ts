import type { Charged, FailureReason } from '../../contract.ts'

/** What a failure means, whatever said it. */
export type Meaning = {
  readonly reason: FailureReason
  /** Whom it is charged to. @default what the policy says of the reason */
  readonly charged?: Charged | undefined
  /** The longest that it can last, in milliseconds, where nobody names a time. @default not known */
  readonly atMostMs?: number | undefined
}

/** How one host words a failure in its own way. Every field that is given must match. */
export type FailureRule = Meaning & {
  readonly status?: number | undefined
  readonly code?: string | number | undefined
  readonly type?: string | undefined
  /** Without the flag `g`, which would make every second look fail. */
  readonly message?: RegExp | undefined
}

/** One line of our own tables. Every field that is given must match. */
export type Row = Meaning & {
  /** The case that it comes from: an R or F number, or a section of a service's pages. */
  readonly from: string
  /** Any of these. */
  readonly statuses?: readonly number[] | undefined
  /** Against the code without case and punctuation: `context_length_exceeded` and `ContextLengthExceeded` are one. */
  readonly code?: RegExp | undefined
  readonly type?: RegExp | undefined
  /** Against the words, without names in quotes. */
  readonly words?: RegExp | undefined
  /** Against a response header of this name. */
  readonly header?: readonly [name: string, value: RegExp] | undefined
  /** The answer is a proxy's page, not a service's. */
  readonly page?: boolean | undefined
  /** The numbers in it say that this request alone is larger than the whole limit. */
  readonly outgrown?: boolean | undefined
  /** What to do about it, where the reason alone would advise the wrong thing. */
  readonly cure?: string | undefined
}
