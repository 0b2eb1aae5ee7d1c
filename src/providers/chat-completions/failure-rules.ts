import type { FailureReason, ResponseHeaders } from '../../contract.ts'
import { isOutgrown, isProxyPage, shortened, valueOf } from './failure-evidence.ts'
import { classRows, codeRows, exactRows } from './failure-codes.ts'
import { pageRows } from './failure-pages.ts'
import type { FailureRule, Meaning, Row } from './failure-row.ts'
import { statusRow } from './failure-statuses.ts'
import { wordingRows } from './failure-wordings.ts'
import type { ServerError } from './error-body.ts'

export type Evidence = {
  /** The HTTP status, or the status that an error inside a 200 gives itself; 200 when it gives none. */
  readonly status: number
  readonly headers: ResponseHeaders
  readonly rules?: readonly FailureRule[] | undefined
  /** When nothing tells. @default 'server-error' */
  readonly otherwise?: FailureReason | undefined
}

/**
 * Why a request failed and whose fault it is, by the first that tells, from what is certain to what is only said (R137):
 * 1. the host's own rules, then our rows that need two signs to agree (`exactRows`);
 * 2. the code, then the type, where they name one cause (`codeRows`);
 * 3. headers, and pages of proxies: a page says nothing about key or request, whatever its words are (`pageRows`);
 * 4. wording, each only under the statuses where it decides something, and never by bare digits (`wordingRows`);
 * 5. the status (`statusRow`);
 * 6. inside a 200, where no status tells anything: a code or type that names a class (`classRows`).
 *
 * A newly met wording is one row in one of these tables.
 */
export function meaningOf(error: ServerError, evidence: Evidence): Meaning & Pick<Row, 'cure'> {
  const { status, rules = [], otherwise = 'server-error' } = evidence
  const seen: Seen = {
    ...evidence,
    error,
    words: shortened(error),
    isPage: isProxyPage(error, evidence.headers),
    code: plain(error.code),
    type: plain(error.type),
  }
  return (
    rules.find(rule => isHosts(rule, seen)) ??
    firstOf(exactRows, seen) ??
    named(codeRows, seen) ??
    firstOf(pageRows, seen) ??
    firstOf(wordingRows, seen) ??
    statusRow(status) ??
    named(classRows, seen) ?? { reason: otherwise }
  )
}

type Seen = Evidence & {
  readonly error: ServerError
  readonly words: string
  readonly isPage: boolean
  /** Without case and punctuation. */
  readonly code: string
  readonly type: string
}

function isHosts({ status, code, type, message }: FailureRule, { error, words, status: told }: Seen): boolean {
  if (status !== undefined && status !== told) return false
  if (code !== undefined && String(code) !== error.code) return false
  if (type !== undefined && type !== error.type) return false
  return message === undefined || message.test(words)
}

function firstOf(rows: readonly Row[], seen: Seen): Row | undefined {
  return rows.find(row => matches(row, seen))
}

/** A code is more exact than a type: Ark sends `ServerOverloaded` with the type `TooManyRequests`. */
function named(rows: readonly Row[], seen: Seen): Row | undefined {
  for (const code of [seen.code, seen.type]) {
    if (code === '') continue
    const found = firstOf(rows, { ...seen, code })
    if (found !== undefined) return found
  }
  return undefined
}

function matches(row: Row, seen: Seen): boolean {
  if (row.statuses !== undefined && !row.statuses.includes(seen.status)) return false
  if (row.page === true && !seen.isPage) return false
  if (row.outgrown === true && !isOutgrown(seen.error)) return false
  if (row.header !== undefined && !row.header[1].test(valueOf(seen.headers, row.header[0]))) return false
  return isNamed(row, seen) && (row.words === undefined || row.words.test(seen.words))
}

function isNamed({ code, type }: Row, seen: Seen): boolean {
  return (code === undefined || code.test(seen.code)) && (type === undefined || type.test(seen.type))
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z\d]/g, '')
}
