import { chatCompletions, field, hex, openaiUsage } from './chat-completions.ts'
import { deepseekError, llamaError, ollamaError, openaiError, sglangError, vllmError } from './errors.ts'

/** api-docs.deepseek.com: the finish frame always contains the usage, requested or not; ids are UUIDs; the request id is `x-ds-trace-id`. */
export const deepseek = chatCompletions({
  name: 'deepseek',
  basePath: '',
  reasoningField: 'reasoning_content',
  id: request => hex(request, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  toolCallId: (request, index) => `call_${String(index).padStart(2, '0')}_${hex(request, 24)}`,
  common: { system_fingerprint: 'fp_a49d71b8a1' },
  choice: { logprobs: null },
  lastChoice: {},
  opening: thinks => ({ role: 'assistant', ...(thinks ? { content: null, reasoning_content: '' } : { content: '' }) }),
  delta: thinks => (thinks ? { content: null, reasoning_content: null } : {}),
  lastDelta: { content: '' },
  usageOn: 'finish',
  nullUsage: true,
  usage: usage => ({
    ...openaiUsage(usage),
    prompt_cache_hit_tokens: usage.cachedInputTokens,
    prompt_cache_miss_tokens: usage.inputTokens === undefined ? undefined : usage.inputTokens - (usage.cachedInputTokens ?? 0),
  }),
  tail: {},
  error: deepseekError,
  doneAfterError: false,
  busy: bodyError(deepseekError(503)),
  sseType: 'text/event-stream; charset=utf-8',
  headers: (_, request) => ({ server: 'openresty', 'x-ds-trace-id': hex(request, 32) }),
})

/** There is no reasoning text. Usage comes in a separate frame without choices, and only if `include_usage` is set. */
export const openai = chatCompletions({
  name: 'openai',
  basePath: '/v1',
  reasoningField: undefined,
  id: request => `chatcmpl-${hex(request, 29)}`,
  toolCallId: (request, index) => `call_${hex(request, 22)}${String(index).padStart(2, '0')}`,
  common: { service_tier: 'default', system_fingerprint: 'fp_560af6e559' },
  choice: { logprobs: null },
  lastChoice: {},
  opening: () => ({ role: 'assistant', content: '', refusal: null }),
  delta: () => ({}),
  lastDelta: {},
  usageOn: 'extra',
  nullUsage: true,
  usage: openaiUsage,
  tail: {},
  error: openaiError,
  doneAfterError: false,
  busy: bodyError(openaiError(503)),
  sseType: 'text/event-stream; charset=utf-8',
  headers: (_, request) => ({ 'x-request-id': `req_${hex(request, 32)}`, 'openai-processing-ms': '12' }),
})

/** As llama-server build b11669 sends it: the role comes with `content: null`, and an error closes the connection. */
export const llama = chatCompletions({
  name: 'llama',
  basePath: '/v1',
  reasoningField: 'reasoning_content',
  id: request => `chatcmpl-${hex(request, 32)}`,
  toolCallId: (request, index) => hex(request, 30) + String(index).padStart(2, '0'),
  common: { system_fingerprint: 'b11669-Debian' },
  choice: {},
  lastChoice: {},
  opening: () => ({ role: 'assistant', content: null }),
  delta: () => ({}),
  lastDelta: {},
  usageOn: 'extra',
  nullUsage: false,
  usage: usage => ({
    completion_tokens: usage.outputTokens,
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
  }),
  tail: {
    timings: { cache_n: 0, prompt_n: 12, prompt_ms: 0.8, predicted_n: 3, predicted_ms: 1.1, predicted_per_second: 2727.2 },
  },
  error: llamaError,
  doneAfterError: false,
  busy: bodyError(llamaError(500)),
  sseType: 'text/event-stream',
  headers: kind => ({
    server: 'llama.cpp',
    ...(kind === 'error' ? { connection: 'close' } : { 'keep-alive': 'timeout=5, max=100' }),
  }),
})

/** The reasoning field is `reasoning`; an error in a stream is followed by `[DONE]`. */
export const vllm = chatCompletions({
  name: 'vllm',
  basePath: '/v1',
  reasoningField: 'reasoning',
  id: request => `chatcmpl-${hex(request, 32)}`,
  toolCallId: (request, index) => `chatcmpl-tool-${hex(request, 30)}${String(index).padStart(2, '0')}`,
  common: {},
  choice: { logprobs: null },
  lastChoice: { stop_reason: null },
  opening: () => ({ role: 'assistant', content: '' }),
  delta: () => ({}),
  lastDelta: { content: '' },
  usageOn: 'extra',
  nullUsage: false,
  usage: usage => ({
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.totalTokens,
    completion_tokens: usage.outputTokens,
    prompt_tokens_details: null,
  }),
  tail: {},
  error: vllmError,
  doneAfterError: true,
  busy: bodyError(vllmError(500)),
  sseType: 'text/event-stream; charset=utf-8',
  headers: () => ({ server: 'uvicorn' }),
})

/** Every delta contains every field, mostly as null; reasoning tokens are at the top level of usage; errors are flat. */
export const sglang = chatCompletions({
  name: 'sglang',
  basePath: '/v1',
  reasoningField: 'reasoning_content',
  id: request => hex(request, 32),
  toolCallId: (request, index) => `call_${hex(request, 22)}${String(index).padStart(2, '0')}`,
  common: {},
  choice: { logprobs: null, matched_stop: null },
  lastChoice: { matched_stop: 151_645 },
  opening: () => ({ role: 'assistant', content: '', reasoning_content: null, tool_calls: null }),
  delta: () => ({ role: null, content: null, reasoning_content: null, tool_calls: null }),
  lastDelta: { role: null, content: null, reasoning_content: null, tool_calls: null },
  usageOn: 'extra',
  nullUsage: true,
  usage: usage => ({
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.totalTokens,
    completion_tokens: usage.outputTokens,
    prompt_tokens_details: null,
    reasoning_tokens: usage.reasoningTokens,
  }),
  tail: {},
  error: sglangError,
  doneAfterError: true,
  busy: { object: 'error', message: 'The request queue is full.', type: '503', param: null, code: 503 },
  sseType: 'text/event-stream; charset=utf-8',
  headers: () => ({ server: 'uvicorn' }),
})

/** Ollama's `/v1`: every delta contains the role, and the reasoning field is `reasoning`. */
export const ollamaCompatible = chatCompletions({
  name: 'ollama',
  basePath: '/v1',
  reasoningField: 'reasoning',
  id: request => `chatcmpl-${request.index + 1}`,
  toolCallId: (request, index) => `call_${hex(request, 6)}${String(index).padStart(2, '0')}`,
  common: { system_fingerprint: 'fp_ollama' },
  choice: {},
  lastChoice: {},
  opening: () => ({ role: 'assistant', content: '' }),
  delta: () => ({ role: 'assistant', content: '' }),
  lastDelta: { role: 'assistant', content: '' },
  usageOn: 'extra',
  nullUsage: false,
  usage: usage => ({ prompt_tokens: usage.inputTokens, completion_tokens: usage.outputTokens, total_tokens: usage.totalTokens }),
  tail: {},
  error: ollamaError,
  doneAfterError: false,
  busy: bodyError(ollamaError(503)),
  sseType: 'text/event-stream',
  headers: () => ({}),
})

/** Returns the `error` field of a body: most services send the same object inside a stream. */
function bodyError(body: unknown): unknown {
  return field(body, 'error')
}
