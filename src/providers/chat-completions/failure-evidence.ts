import type { ResponseHeaders } from '../../contract.ts'
import type { ServerError } from './error-body.ts'
import { failureNumbers } from './failure-numbers.ts'

/** What stands in code marks or quotes is a name, a model's for example, and says nothing about the cause (R137). */
export function shortened({ message, upstream, details }: ServerError): string {
  const words = [message, upstream, details].filter(text => text !== '').join(' ')
  return words.slice(0, 2_000).replace(/[`"“][^`"”]{0,120}[`"”]/g, 'x')
}

export function valueOf(headers: ResponseHeaders, name: string): string {
  const value = headers[name]
  return (typeof value === 'string' ? value : value?.[0])?.trim() ?? ''
}

/**
 * "Limit 7000, Used 0, Requested 12903": it is called a rate limit, but the same request can never pass, however long one waits (F19).
 * The same in the words that OpenAI has for it, with or without numbers.
 */
export function isOutgrown({ message, upstream }: ServerError): boolean {
  const words = `${message} ${upstream}`
  const { contextTokens, requestedTokens } = failureNumbers(words)
  if (contextTokens === undefined || requestedTokens === undefined) return /^request too large/i.test(words)
  return requestedTokens > contextTokens
}

/** Texts that proxies write without any HTML: Envoy, Istio, Cloudflare's short form, an ingress without a backend (F24). */
const proxyTexts =
  /^(?:upstream (?:connect error|request timeout)|no healthy upstream|RBAC: access denied|error code: 1\d{3}\b|default backend - \d{3}|no route matched)/i

/** Somebody between us and the service wrote this answer. */
export function isProxyPage({ html, message }: ServerError, headers: ResponseHeaders): boolean {
  return html || proxyTexts.test(message) || valueOf(headers, 'cf-mitigated') !== ''
}
