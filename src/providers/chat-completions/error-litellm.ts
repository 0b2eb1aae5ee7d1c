import type { ResponseHeaders } from '../../contract.ts'

type Said = { readonly message: string; readonly type: string; readonly code: string }

/**
 * A LiteLLM proxy puts a sentence of its own around what its upstream said, and a type that it made of the status: "no quota" comes as
 * `throttling_error`, because both are a 429 (seen with 1.108). What the upstream said is what counts.
 *
 * "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota.\n\nLiteLLM: model group 'x' failed ..."
 */
export function withoutLitellm<Error extends Said>(error: Error): Error {
  const [, kind = ''] = /^litellm\.(\w{1,60})/.exec(error.message) ?? []
  if (kind === '') return error
  const [said = ''] = error.message.replace(frame, '').split(/\n(?=model=|set '|\n?litellm: )/i)
  return { ...error, message: said.trim(), type: '', code: namesCause.test(kind) ? kind : error.code }
}

const frame = /^(?:(?:litellm\.)?\w{1,60}(?:Error|Exception): ){1,4}(?:\w{1,60}Exception - )?/

/** The kinds of LiteLLM's errors that it does not make of the status alone. */
const namesCause = /^(?:ContextWindowExceeded|ContentPolicyViolation|BudgetExceeded)/

const upstreams = 'llm_provider-'

/** How long the upstream wants to be left alone: LiteLLM passes its headers on under names of its own. */
export function withUpstreams(headers: ResponseHeaders): ResponseHeaders {
  const names = Object.keys(headers).filter(name => name.startsWith(upstreams) && /retry-after|ratelimit/.test(name))
  if (names.length === 0) return headers
  return { ...Object.fromEntries(names.map(name => [name.slice(upstreams.length), headers[name]])), ...headers }
}
