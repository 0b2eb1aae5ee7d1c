import type { Call, ResponseHeaders } from '../../contract.ts'
import type { FailureReason } from '../../contract-failures.ts'
import type { ServerError } from './error-body.ts'
import { classRows, codeRows, exactRows } from './failure-codes.ts'
import { failureNumbers } from './failure-numbers.ts'
import type { FailureRule, Meaning, Row } from './failure-row.ts'
import { wordingRows } from './failure-wordings.ts'
import { withoutCallersText, withoutQuotes } from './quoted-text.ts'

type Evidence = {
  /** The HTTP status, or the status that an error inside a 200 gives; 200 when it gives none. */
  readonly status: number
  readonly headers: ResponseHeaders
  readonly rules?: readonly FailureRule[] | undefined
  /** The call that failed: the server may quote its text. */
  readonly call?: Call | undefined
  /** The reason when nothing matches. @default 'server-error' */
  readonly otherwise?: FailureReason | undefined
}

/**
 * Why a request failed and who is charged. The first match decides, from certain signs to mere wording (R137):
 * 1. the host's own rules, then the rows that need two signs to agree (`exactRows`);
 * 2. the code, then the type, if they identify one cause (`codeRows`);
 * 3. headers, and proxies' pages: a page says nothing about the key or the request, whatever its text (`pageRows`);
 * 4. wording, each only under the statuses where it applies, and never bare digits (`wordingRows`);
 * 5. the status (`statusRow`);
 * 6. inside a 200, where the status says nothing: a code or type that names a class (`classRows`).
 *
 * A new wording is one new row in one of these tables.
 */
export function meaningOf(error: ServerError, evidence: Evidence): Meaning & Pick<Row, 'cure'> {
  const { status, rules = [], otherwise = 'server-error' } = evidence
  const seen: Seen = {
    ...evidence,
    error,
    words: shortened(error, evidence.call),
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

/**
 * The code is checked first, because it is more exact than the type: Ark sends `ServerOverloaded` with the type
 * `TooManyRequests`.
 */
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
  if (row.outgrown === true && !isOutgrown(seen)) return false
  if (row.header !== undefined && !row.header[1].test(valueOf(seen.headers, row.header[0]))) return false
  return isNamed(row, seen) && (row.words === undefined || row.words.test(seen.words))
}

function isNamed({ code, type }: Row, seen: Seen): boolean {
  return (code === undefined || code.test(seen.code)) && (type === undefined || type.test(seen.type))
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z\d]/g, '')
}

/** What the server itself says: a quoted name or prompt says nothing about the cause (R137, F74). */
function shortened({ message, upstream, details }: ServerError, call: Call | undefined): string {
  const words = [message, upstream, details].filter(text => text !== '').join(' ')
  return withoutQuotes(withoutCallersText(words.slice(0, 2_000), call))
}

function valueOf(headers: ResponseHeaders, name: string): string {
  const value = headers[name]
  return (typeof value === 'string' ? value : value?.[0])?.trim() ?? ''
}

/**
 * "Limit 7000, Used 0, Requested 12903": the server calls this a rate limit, but the same request can never succeed, however long
 * the caller waits (F19). Also OpenAI's wording for it, with or without numbers.
 */
function isOutgrown({ error: { message, upstream }, call }: Seen): boolean {
  const words = withoutCallersText(`${message} ${upstream}`, call)
  const { contextTokens, requestedTokens } = failureNumbers(words)
  if (contextTokens === undefined || requestedTokens === undefined)
    return /^request (?:is )?(?:too large|larger than)/i.test(words)
  return requestedTokens > contextTokens
}

/** Plain texts that proxies write: Envoy, Istio, Cloudflare's short form, an ingress without a backend (F24). */
const proxyTexts =
  /^(?:upstream (?:connect error|request timeout)|no healthy upstream|RBAC: access denied|error code: 1\d{3}\b|default backend - \d{3}|no route matched)/i

/** Whether a proxy between us and the service wrote this answer. */
export function isProxyPage({ html, message }: ServerError, headers: ResponseHeaders): boolean {
  return html || proxyTexts.test(message) || valueOf(headers, 'cf-mitigated') !== ''
}

const statuses: ReadonlyMap<number, FailureReason> = new Map<number, FailureReason>([
  [401, 'authentication'],
  [402, 'quota'],
  [403, 'permission'],
  [404, 'not-found'],
  // the path does not accept POST, so the path is wrong (F29)
  [405, 'not-found'],
  // not accepted at the moment, through no fault of the request
  [408, 'overloaded'],
  [409, 'overloaded'],
  [410, 'not-found'],
  [413, 'context-length'],
  // too many requests, as some services and shops write it
  [420, 'rate-limit'],
  [424, 'server-error'],
  [425, 'overloaded'],
  [429, 'rate-limit'],
  [430, 'rate-limit'],
  [451, 'permission'],
  // Groq: its flex tier has no capacity left (F18)
  [498, 'overloaded'],
  // a proxy timed out, or believes that we closed the connection
  [444, 'server-error'],
  [460, 'server-error'],
  [499, 'server-error'],
  // llama-server's not_supported_error: this server does not support the request at all
  [501, 'invalid-request'],
  [503, 'overloaded'],
  [529, 'overloaded'],
])

/** The meaning of the status alone. Undefined inside a 200. */
function statusRow(status: number): Row | undefined {
  if (status >= 200 && status < 300) return undefined
  const reason = statuses.get(status) ?? (status >= 500 ? 'server-error' : 'invalid-request')
  return { from: 'status', reason }
}

/** A challenge or a firewall's page: the service saw neither the key nor the request. */
const page = { reason: 'malformed-response', charged: 'target' } as const

/**
 * Headers of proxies, and pages that proxies write in place of the service (F24). The status of a page still tells whether the
 * failure is temporary.
 */
export const pageRows: readonly Row[] = [
  // whoever sends it, and whatever else the error says
  { from: 'R137', statuses: [413], reason: 'context-length', charged: 'request' },
  {
    from: 'F31',
    statuses: [407],
    reason: 'authentication',
    charged: 'nobody',
    cure: 'A proxy requires a user and a password. Check the proxy in HTTPS_PROXY, not the API key.',
  },
  { from: 'F24 Cloudflare', header: ['cf-mitigated', /./], ...page },
  { from: 'F24 AWS WAF', header: ['x-amzn-waf-action', /captcha|challenge|block/i], ...page },
  { from: 'F24 Vercel', header: ['x-vercel-mitigated', /./], ...page },
  { from: 'F24 Squid', header: ['x-squid-error', /./], ...page },
  { from: 'F24 Sucuri', header: ['x-sucuri-block', /./], ...page },
  // AWS names the error in a header, sometimes nowhere else
  { from: 'AWS', header: ['x-amzn-errortype', /throttl|toomanyrequests/i], reason: 'rate-limit' },
  { from: 'AWS', header: ['x-amzn-errortype', /modelnotready/i], reason: 'loading' },
  { from: 'F24 DataDome', header: ['x-datadome', /./], page: true, ...page },
  // these statuses say that the failure is temporary and not the request's fault
  { from: 'F24 Cloudflare 1015', page: true, words: /\berror code: 1015\b|you are being rate limited/i, reason: 'rate-limit' },
  { from: 'F24', page: true, statuses: [429], reason: 'rate-limit' },
  { from: 'F24', page: true, statuses: [408, 425, 503, 529], reason: 'overloaded' },
  // the proxy has no such path, so other models would not be found there either
  {
    from: 'F24',
    page: true,
    statuses: [404, 410],
    reason: 'not-found',
    charged: 'target',
    cure: 'A proxy answered in place of the service. Check the base URL.',
  },
  { from: 'F24', page: true, statuses: range(200, 299), ...page },
  { from: 'F24', page: true, statuses: range(400, 499), ...page },
  { from: 'F24', page: true, statuses: range(500, 599), reason: 'server-error' },
]

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}
