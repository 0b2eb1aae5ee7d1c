import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { ProviderError } from '../../../../src/errors.ts'
import type { ResponseHeaders } from '../../../../src/contract.ts'
import { replay } from './replay.ts'

const folder = new URL('../../../fixtures/', import.meta.url)

type Row = {
  readonly status: number
  readonly wants: Partial<ProviderError>
  readonly headers?: ResponseHeaders
}

/** Refusals as vLLM 0.32, Ollama 0.17 and a LiteLLM proxy 1.108 sent them, and what a chain must make of each. */
const rows: Readonly<Record<string, Row>> = {
  'vllm-real-error-busy': { status: 503, wants: { reason: 'overloaded' } },
  'vllm-real-error-stopping': { status: 500, wants: { reason: 'server-error' } },
  // refused, while those that run are still answered
  'vllm-real-error-draining': { status: 500, wants: { reason: 'overloaded' } },
  'vllm-real-error-xgrammar': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-xgrammar-key': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-key': { status: 401, wants: { reason: 'authentication' } },
  'vllm-real-error-model': { status: 404, wants: { reason: 'not-found' } },
  'vllm-real-error-path': { status: 404, wants: { reason: 'not-found' } },
  'vllm-real-error-context': { status: 400, wants: { reason: 'context-length', contextTokens: 2_048, requestedTokens: 2_049 } },
  'vllm-real-error-output': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-setting': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-effort': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-messages': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-continue': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-image': { status: 400, wants: { reason: 'invalid-request', charged: 'request' } },
  'vllm-real-error-tools': { status: 400, wants: { reason: 'invalid-request', charged: 'request' } },
  'vllm-real-error-grammar': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-schema': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-schema-key': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-schema-pattern': { status: 400, wants: { reason: 'invalid-request' } },
  'vllm-real-error-schema-ref': { status: 400, wants: { reason: 'invalid-request' } },
  'ollama-real-error-busy': { status: 503, wants: { reason: 'overloaded' } },
  'ollama-real-error-context': { status: 400, wants: { reason: 'context-length' } },
  'ollama-real-error-model': { status: 404, wants: { reason: 'not-found' } },
  'ollama-real-error-option': { status: 500, wants: { reason: 'invalid-request' } },
  'ollama-real-error-schema': { status: 500, wants: { reason: 'invalid-request' } },
  'ollama-real-error-think': { status: 400, wants: { reason: 'invalid-request' } },
  'ollama-real-error-tools': { status: 400, wants: { reason: 'invalid-request', charged: 'request' } },
  'litellm-error-key': { status: 401, wants: { reason: 'authentication' } },
  'litellm-error-upstream-key': { status: 401, wants: { reason: 'authentication' } },
  'litellm-error-key-model': { status: 403, wants: { reason: 'permission' } },
  'litellm-error-key-rate': {
    status: 429,
    headers: { 'retry-after': '60' },
    wants: { reason: 'rate-limit', retryAfterMs: 60_000 },
  },
  'litellm-error-balance': { status: 402, wants: { reason: 'quota' } },
  // "exceeded your current quota" of OpenAI has the status and the type of a rate limit here
  'litellm-error-quota': { status: 429, wants: { reason: 'quota' } },
  'litellm-error-budget': { status: 422, wants: { reason: 'quota' } },
  // the upstream's Retry-After comes under another name
  'litellm-error-rate': {
    status: 429,
    headers: { 'llm_provider-retry-after': '7' },
    wants: { reason: 'rate-limit', retryAfterMs: 7_000 },
  },
  'litellm-error-busy': {
    status: 503,
    headers: { 'llm_provider-retry-after': '5' },
    wants: { reason: 'overloaded', retryAfterMs: 5_000 },
  },
  // every deployment behind the name has failed: nobody asked for too much
  'litellm-error-cooldown': {
    status: 429,
    headers: { 'retry-after': '5' },
    wants: { reason: 'overloaded', retryAfterMs: 5_000 },
  },
  'litellm-error-loading': { status: 503, wants: { reason: 'loading' } },
  'litellm-error-model': { status: 400, wants: { reason: 'not-found' } },
  'litellm-error-upstream-model': { status: 404, wants: { reason: 'not-found' } },
  'litellm-error-context': { status: 400, wants: { reason: 'context-length', contextTokens: 2_048, requestedTokens: 24_041 } },
  'litellm-error-context-numbers': {
    status: 400,
    wants: { reason: 'context-length', contextTokens: 8_192, requestedTokens: 9_000 },
  },
  'litellm-error-context-vllm': {
    status: 400,
    wants: { reason: 'context-length', contextTokens: 8_192, requestedTokens: 9_016 },
  },
  'litellm-error-filter': { status: 400, wants: { reason: 'content-filter' } },
  'litellm-error-connection': { status: 500, wants: { reason: 'server-error' } },
  'litellm-error-empty': { status: 500, wants: { reason: 'server-error' } },
  'litellm-error-gateway': { status: 502, wants: { reason: 'server-error' } },
  'litellm-error-setting': { status: 400, wants: { reason: 'invalid-request' } },
}

test.each(Object.entries(rows))('%s, as it was recorded', (name, { status, headers = {}, wants }) => {
  const { error } = replay([new Uint8Array(readFileSync(new URL(`${name}.json`, folder)))], { status, headers })
  expect(error).toMatchObject({ status, ...wants })
})

test('every refusal that was recorded has a row here or in failure-rows.ts', () => {
  const names = readdirSync(folder).flatMap(name => (/^(?!llama-).*-error-.*\.json$/.test(name) ? name.slice(0, -5) : []))
  expect(names.filter(name => !(name in rows))).toEqual([])
})
