import type { FailureReason } from '../../contract.ts'
import type { Row } from './failure-row.ts'

/** An error inside a 200 that gives itself no status. */
export const noStatus = 200
/** The statuses that mean many things. */
export const refusals: readonly number[] = [400, 403, 422, noStatus]

/** One wording: the case that it comes from, what it means, the statuses under which it decides, the words, and what else is known. */
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

/** One table of several. A function that is called without effect: a bundle that needs no provider leaves the tables out. */
export function rowsOf(...tables: readonly (readonly Wording[])[]): readonly Row[] {
  return tables.flat().map(rowOf)
}
