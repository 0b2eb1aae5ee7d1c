import { randomUUID } from 'node:crypto'
import { ChainExhaustedError, type GenerateResult, StreamInterruptedError } from '../../index.ts'
import type { Write } from '../pump.ts'
import { CannotTakeBack } from '../cannot-take-back.ts'
import type { CutAnswer } from './cut-answer.ts'
import { RequestError } from './request-error.ts'

export type Headers = Readonly<Record<string, string>>

/** The outcome of a request, for a log. It contains no prompt, answer or key. */
export type Told = {
  readonly outcome: 'answered' | 'degraded' | 'failed' | 'refused' | 'aborted'
  readonly status: number
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly attempts?: number | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cost?: number | undefined
  readonly reason?: string | undefined
}

/** A complete answer, or a streamed one. `write()` never rejects: a failure is reported in the stream. */
export type Reply = { readonly status: number; readonly headers: Headers } & (
  | { readonly body: string; readonly told: Told }
  | { write(write: Write): Promise<Told> }
)

export function jsonReply(
  value: unknown,
  { status = 200, headers = {}, told }: Partial<JsonReply> = {},
): Reply & { body: string } {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
    told: told ?? { outcome: status < 400 ? 'answered' : 'refused', status },
  }
}

type JsonReply = { readonly status: number; readonly headers: Headers; readonly told: Told }

/** OpenAI's clients retry on their own, but the chain has already retried. */
export const dontRetry: Headers = { 'x-should-retry': 'false' }

export type ErrorBody = {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

export type Mishap = { readonly status: number; readonly headers: Headers; readonly error: ErrorBody; readonly told: Told }

/** Converts any error to a response for an untrusted client, without a stack or a server's message. */
export function mishapOf(thrown: unknown): Mishap {
  if (RequestError.isInstance(thrown)) {
    const { status, message, param = null, code, headers } = thrown
    return mishap({ status, message, param, code }, { headers, outcome: 'refused' })
  }
  if (ChainExhaustedError.isInstance(thrown)) {
    const { status, reason: code, retryAfterMs, attempts } = thrown
    // agents that shorten a conversation by themselves look for these words
    const message = code === 'context-length' ? `${thrown.message} The request exceeds the context window.` : thrown.message
    const headers = { ...retryAfter(retryAfterMs), 'x-unbusy-attempts': String(requestsOf(attempts)) }
    return mishap({ status, message, code }, { headers, attempts: requestsOf(attempts), reason: code })
  }
  if (StreamInterruptedError.isInstance(thrown)) {
    const { message, attempts } = thrown
    const code = reasonOf(thrown)
    return mishap({ status: 502, message, code }, { attempts: requestsOf(attempts), reason: code })
  }
  if (CannotTakeBack.isInstance(thrown)) return mishap({ status: 502, message: thrown.message, code: thrown.reason }, {})
  return mishap(
    { status: 500, message: 'The server failed because of an internal error.', code: 'internal_error' },
    { reason: 'bug' },
  )
}

function reasonOf({ failure, cause }: StreamInterruptedError): string {
  return failure?.reason ?? (ChainExhaustedError.isInstance(cause) ? cause.reason : 'truncated')
}

type Said = { readonly status: number; readonly message: string; readonly param?: string | null; readonly code: string }
type More = Partial<Pick<Told, 'outcome' | 'attempts' | 'reason'>> & { readonly headers?: Headers }

function mishap({ status, message, param = null, code }: Said, { headers = {}, outcome = 'failed', ...more }: More): Mishap {
  return {
    status,
    headers: { ...dontRetry, ...headers },
    error: { message, type: typeOf(status), param, code },
    told: { outcome, status, reason: code, ...more },
  }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 402) return 'insufficient_quota'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

function retryAfter(ms: number | undefined): Headers {
  return ms === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) }
}

export function errorReply(thrown: unknown): Reply & { body: string } {
  const { status, headers, error, told } = mishapOf(thrown)
  return jsonReply({ error }, { status, headers, told })
}

/** Counts the requests that were made; skipped targets do not count. */
export function requestsOf(attempts: GenerateResult['attempts']): number {
  return attempts.filter(({ attempt }) => attempt > 0).length
}

export type Answering = {
  readonly provider: string
  readonly model: string
  readonly targetIndex: number
  /** The number of requests that were made. */
  readonly attempts: number
}

export function whoHeaders({ provider, model, targetIndex, attempts }: Answering): Headers {
  return {
    'x-unbusy-target': String(targetIndex),
    'x-unbusy-provider': headerValue(provider),
    'x-unbusy-model': headerValue(model),
    'x-unbusy-attempts': String(attempts),
  }
}

/** Returns the header that lists the fields which were dropped. */
export function ignoredHeader(names: readonly string[]): Headers {
  return names.length === 0 ? {} : { 'x-unbusy-ignored': headerValue(names.slice(0, 50).join(', ').slice(0, 1_000)) }
}

/** Percent-encodes everything but printable ASCII: a name in Chinese, or with a line break, would make `writeHead` throw and end the process. */
export function headerValue(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^ -~]+/g, encodeURIComponent)
    .slice(0, 1_000)
}

const acceptable = /^[!-~]{1,128}$/

/** Returns the request id that the client sent, or a new one. */
export function requestIdOf(given: string | null | undefined): string {
  return typeof given === 'string' && acceptable.test(given) ? given : `req_${randomUUID()}`
}

/** The client gets what there is, but it is not an answer. */
export function toldOfCut({ provider, model, attempts, usage: { inputTokens, outputTokens } }: CutAnswer): Told {
  const asked = { provider, model, attempts: requestsOf(attempts), inputTokens, outputTokens }
  return { outcome: 'failed', status: 200, reason: 'invalid-output', ...asked }
}

export function toldOf(result: GenerateResult, status: number): Told {
  const { provider, model, attempts, usage, cost, degraded } = result
  const { inputTokens, outputTokens } = usage
  return {
    outcome: degraded ? 'degraded' : 'answered',
    ...{ status, provider, model, attempts: requestsOf(attempts), inputTokens, outputTokens, cost },
  }
}
