import { readFileSync } from 'node:fs'
import type { ResponseHeaders } from '../../../../src/contract.ts'
import type { FailureReason } from '../../../../src/contract-failures.ts'
import type { FailureRule } from '../../../../src/providers/chat-failure/failure.ts'
import { hosts } from '../../../../src/providers/hosts.ts'

/** One error as a server sends it, and what it must be taken for. */
export type FailureRow = {
  /** Where it is documented or was seen: a section of wire.md, a page, a thread, or a recording. */
  readonly source: string
  /** 200: inside an answer that had begun as a good one. */
  readonly status: number
  readonly body: string
  readonly reason: FailureReason
  readonly headers?: ResponseHeaders
  readonly rules?: readonly FailureRule[]
  readonly contextTokens?: number
  readonly requestedTokens?: number
  readonly concurrencyLimit?: number
  readonly retryAfterMs?: number
  readonly requestId?: string
}

const json = (value: unknown) => JSON.stringify(value)
const nested = (message: string, fields: object = {}) => json({ error: { message, param: null, ...fields } })
/** DeepSeek: `code` is nearly always this, whatever happened. */
const deepseek = (message: string, type = 'invalid_request_error', code = 'invalid_request_error') =>
  nested(message, { type, code })
const openai = (message: string, code: string | null, type = 'invalid_request_error') => nested(message, { type, code })
const vllm = (message: string, code: number, type: string) => nested(message, { type, code })
const sglang = (message: string, code: number) => json({ object: 'error', message, type: String(code), param: null, code })
const ollama = (message: string, type: string) => nested(message, { type, code: null })
const flat = (code: number | string, message: string) => json({ code, message, data: null })
const recorded = (name: string) => readFileSync(new URL(`../../../fixtures/llama-error-${name}.json`, import.meta.url), 'utf8')

const deepseekContext =
  "This model's maximum context length is 1048576 tokens. However, you requested 1060000 tokens (1050000 in the messages, 10000 in the completion). Please reduce the length of the messages or completion."
const deepseekConcurrency =
  'Too many requests. Your current concurrency is 26, which exceeds your concurrency limit of 25 based on your remaining balance. Please top up or lower your concurrency.'
const deepseekBusy = 'Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.'

const deepseekRows: readonly FailureRow[] = [
  {
    source: 'wire.md 1.6',
    status: 401,
    body: deepseek('Authentication Fails, Your api key: ****abcd is invalid', 'authentication_error'),
    reason: 'authentication',
  },
  { source: 'wire.md 1.6', status: 401, body: 'Authorization Required', reason: 'authentication' },
  { source: 'wire.md 1.6', status: 401, body: '', reason: 'authentication' },
  { source: 'wire.md 1.6', status: 402, body: deepseek('Insufficient Balance', 'unknown_error'), reason: 'quota' },
  { source: 'wire.md 1.6', status: 402, body: '', reason: 'quota' },
  {
    source: 'wire.md 1.4',
    status: 429,
    body: deepseek(deepseekConcurrency, 'rate_limit_error'),
    reason: 'rate-limit',
    concurrencyLimit: 25,
  },
  { source: 'wire.md 1.14', status: 429, body: deepseek(deepseekConcurrency), reason: 'rate-limit', concurrencyLimit: 25 },
  { source: 'wire.md 1.6', status: 429, body: deepseek('Rate Limit Reached', 'rate_limit_error'), reason: 'rate-limit' },
  { source: 'wire.md 1.4', status: 429, body: '', headers: { 'retry-after': '7' }, reason: 'rate-limit', retryAfterMs: 7000 },
  {
    source: 'wire.md 1.6',
    status: 503,
    body: deepseek(deepseekBusy, 'service_unavailable_error', 'service_unavailable_error'),
    reason: 'overloaded',
  },
  { source: 'wire.md 1.6', status: 503, body: deepseek(deepseekBusy), reason: 'overloaded' },
  { source: 'wire.md 1.6', status: 500, body: deepseek('Internal Server Error', 'internal_error'), reason: 'server-error' },
  { source: 'wire.md 1.6', status: 400, body: deepseek('Content Exists Risk'), reason: 'content-filter' },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek(deepseekContext),
    reason: 'context-length',
    contextTokens: 1_048_576,
    requestedTokens: 1_060_000,
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek(
      "This model's maximum context length is 1048576 tokens, but the request resolved to 1100000 input tokens (including image/vision expansion). Please shorten it.",
    ),
    reason: 'context-length',
    contextTokens: 1_048_576,
    requestedTokens: 1_100_000,
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek(
      'Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder` at line 1 column 60',
    ),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek('The `reasoning_content` in the thinking mode must be passed back to the API.'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek('The `content[].thinking` in the thinking mode must be passed back to the API.'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek('Missing `reasoning_content` field in the assistant message at message index 3'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek('The last message of deepseek-reasoner must be a user message, or an assistant message with prefix mode on'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek('Invalid assistant message: content or tool_calls must be set'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6',
    status: 400,
    body: deepseek("Invalid schema for function 'X': schema must be a JSON Schema of 'type: \"object\"', got 'type: null'."),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.2',
    status: 400,
    body: deepseek('The supported API model names are deepseek-flash, deepseek-v4-pro, but you passed deepseek-chat.'),
    reason: 'not-found',
  },
  { source: 'wire.md 1.2', status: 400, body: deepseek('Model Not Exist'), reason: 'not-found' },
  { source: 'wire.md 1.6', status: 422, body: deepseek('Invalid parameter: temperature'), reason: 'invalid-request' },
  {
    source: 'wire.md 1.7',
    status: 400,
    body: deepseek('Thinking mode does not support this tool_choice'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.9',
    status: 400,
    body: deepseek('stream_options should be set along with stream = true'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 1.6 (octet-stream)',
    status: 400,
    body: deepseek('Content Exists Risk'),
    headers: { 'content-type': 'application/octet-stream' },
    reason: 'content-filter',
  },
  {
    source: 'wire.md 1.6 (CDN)',
    status: 502,
    body: '<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>',
    reason: 'server-error',
  },
  {
    source: 'wire.md 1.6 (CDN)',
    status: 504,
    body: '<html>\n<head><title>504 Gateway Time-out</title></head></html>',
    reason: 'server-error',
  },
  { source: 'wire.md 1.6', status: 503, body: '<!DOCTYPE html><title>Service Unavailable</title>', reason: 'overloaded' },
  {
    source: 'wire.md 1.1',
    status: 500,
    body: '',
    headers: { 'x-ds-trace-id': '9e4f' },
    reason: 'server-error',
    requestId: '9e4f',
  },
  {
    source: 'wire.md 1.1',
    status: 429,
    body: deepseek('Rate Limit Reached (request_id: 0b3e5d1e-7a51-4d52)', 'rate_limit_error'),
    reason: 'rate-limit',
    requestId: '0b3e5d1e-7a51-4d52',
  },
  { source: 'wire.md 1.9', status: 413, body: '', reason: 'context-length' },
  {
    source: 'wire.md 1.13',
    status: 529,
    body: json({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
    reason: 'overloaded',
  },
]

const openaiRows: readonly FailureRow[] = [
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai(
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce the length of the messages.",
      'context_length_exceeded',
    ),
    reason: 'context-length',
    contextTokens: 8192,
    requestedTokens: 9001,
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai(
      'Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in 300,000 tokens. Please reduce the length of the messages.',
      'context_length_exceeded',
    ),
    reason: 'context-length',
    contextTokens: 272_000,
    requestedTokens: 300_000,
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai(
      'Your input exceeds the context window of this model. Please adjust your input and try again.',
      'context_length_exceeded',
    ),
    reason: 'context-length',
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai(
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      'unsupported_parameter',
    ),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai(
      "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
      'unsupported_value',
    ),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai('Your request was rejected as a result of our safety system.', 'content_policy_violation'),
    reason: 'content-filter',
  },
  {
    source: 'wire.md 5 (Azure)',
    status: 400,
    body: json({
      error: {
        message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        type: null,
        param: 'prompt',
        code: 'content_filter',
        status: 400,
        innererror: { code: 'ResponsibleAIPolicyViolation' },
      },
    }),
    reason: 'content-filter',
  },
  {
    source: 'wire.md 2.2',
    status: 401,
    body: openai(
      'Incorrect API key provided: sk-proj-********************abcd. You can find your API key at https://platform.openai.com/account/api-keys.',
      'invalid_api_key',
    ),
    reason: 'authentication',
  },
  {
    source: 'wire.md 2.2',
    status: 403,
    body: openai('Country, region, or territory not supported', 'unsupported_country_region_territory', 'request_forbidden'),
    reason: 'permission',
  },
  {
    source: 'wire.md 2.2',
    status: 404,
    body: openai('The model `gpt-9` does not exist or you do not have access to it.', 'model_not_found'),
    reason: 'not-found',
  },
  {
    source: 'wire.md 2.2',
    status: 400,
    body: openai("The requested model 'gpt-9' does not exist.", 'model_not_found'),
    reason: 'not-found',
  },
  {
    source: 'wire.md 2.2',
    status: 403,
    body: openai('Project `proj_1` does not have access to model `gpt-6-sol`', 'model_not_found'),
    reason: 'not-found',
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai(
      'Rate limit reached for gpt-6-luna in organization org-x on tokens per min (TPM): Limit 200000, Used 199000, Requested 2000. Please try again in 300ms. Visit the console to learn more.',
      'rate_limit_exceeded',
      'tokens',
    ),
    reason: 'rate-limit',
    retryAfterMs: 300,
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai('Rate limit reached for requests. Please try again in 6m0s.', 'rate_limit_exceeded', 'requests'),
    headers: { 'retry-after': '20' },
    reason: 'rate-limit',
    retryAfterMs: 20_000,
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai('Requests ramped too fast. Slow down.', 'slow_down', 'requests'),
    reason: 'rate-limit',
  },
  { source: 'wire.md 2.2', status: 503, body: openai('Slow down', 'slow_down', 'requests'), reason: 'rate-limit' },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai(
      'You exceeded your current quota, please check your plan and billing details.',
      'insufficient_quota',
      'insufficient_quota',
    ),
    reason: 'quota',
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai('You exceeded your current quota, please check your plan and billing details.', null),
    reason: 'quota',
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai('Your credit balance is exhausted.', 'credit_balance_exhausted', 'insufficient_quota'),
    reason: 'quota',
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai(
      'Request too large for gpt-6-luna in organization org-x on tokens per min (TPM): Limit 30000, Requested 41136. The input or output tokens must be reduced.',
      'rate_limit_exceeded',
      'tokens',
    ),
    reason: 'context-length',
    contextTokens: 30_000,
    requestedTokens: 41_136,
  },
  {
    source: 'wire.md 2.2',
    status: 500,
    body: openai(
      'The server had an error while processing your request. Sorry about that! Please include the request ID req_0a1b2c in your message.',
      null,
      'server_error',
    ),
    reason: 'server-error',
    requestId: 'req_0a1b2c',
  },
  {
    source: 'wire.md 2.2',
    status: 503,
    body: openai(
      'The engine is currently overloaded, please try again later',
      'server_is_overloaded',
      'service_unavailable_error',
    ),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 2.2',
    status: 429,
    body: openai('That model is currently overloaded with other requests.', null, 'server_error'),
    reason: 'overloaded',
  },
  { source: 'wire.md 2.1', status: 408, body: '', reason: 'overloaded' },
  { source: 'wire.md 2.1', status: 409, body: openai('Conflict', null), reason: 'overloaded' },
  { source: 'RFC 8470', status: 425, body: 'Too Early', reason: 'overloaded' },
  {
    source: 'wire.md 2.1',
    status: 500,
    body: '',
    headers: { 'x-request-id': 'req_7', 'cf-ray': '8a-FRA' },
    reason: 'server-error',
    requestId: 'req_7',
  },
  { source: 'wire.md 2.1', status: 520, body: '', headers: { 'cf-ray': '8a-FRA' }, reason: 'server-error', requestId: '8a-FRA' },
]

const localRows: readonly FailureRow[] = [
  { source: 'wire.md 3.1, recorded', status: 503, body: recorded('loading'), reason: 'loading', retryAfterMs: 2000 },
  {
    source: 'wire.md 3.1, recorded',
    status: 400,
    body: recorded('context'),
    reason: 'context-length',
    contextTokens: 2048,
    requestedTokens: 10_041,
  },
  {
    source: 'wire.md 3.1',
    status: 400,
    body: nested('the request exceeds the available context size, try increasing it', {
      code: 400,
      type: 'invalid_request_error',
    }),
    reason: 'context-length',
  },
  {
    source: 'wire.md 3.1',
    status: 500,
    body: nested('Context size has been exceeded.', { code: 500, type: 'server_error' }),
    reason: 'context-length',
  },
  { source: 'wire.md 3.1, recorded', status: 401, body: recorded('key'), reason: 'authentication' },
  { source: 'wire.md 3.1, recorded', status: 400, body: recorded('grammar'), reason: 'invalid-request' },
  { source: 'wire.md 3.1, recorded', status: 400, body: recorded('schema'), reason: 'invalid-request' },
  { source: 'wire.md 3.1, recorded', status: 400, body: recorded('template'), reason: 'invalid-request' },
  { source: 'wire.md 3.1, recorded', status: 400, body: recorded('parse'), reason: 'invalid-request' },
  { source: 'issue: 500 for a caller, recorded', status: 500, body: recorded('image'), reason: 'invalid-request' },
  { source: 'issue: 500 for a caller, recorded', status: 500, body: recorded('messages'), reason: 'invalid-request' },
  { source: 'issue: 500 for a caller, recorded', status: 500, body: recorded('tools'), reason: 'invalid-request' },
  { source: 'issue: 500 for a caller, recorded', status: 500, body: recorded('tool-arguments'), reason: 'invalid-request' },
  { source: 'ggml-org/llama.cpp#26381, recorded', status: 500, body: recorded('output'), reason: 'invalid-output' },
  { source: 'ggml-org/llama.cpp#26381, recorded', status: 200, body: recorded('output'), reason: 'invalid-output' },
  {
    source: 'ggml-org/llama.cpp#23838',
    status: 500,
    body: nested('Failed to parse input at pos 395: <|tool_call_start|>[rate_limit_exceeded(a=1)]<|tool_call_end|>', {
      code: 500,
      type: 'server_error',
    }),
    reason: 'invalid-output',
  },
  { source: 'wire.md 3.1, recorded', status: 404, body: recorded('path'), reason: 'not-found' },
  {
    source: 'wire.md 3.1',
    status: 501,
    body: nested('This server does not support metrics endpoint.', { code: 501, type: 'not_supported_error' }),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.1',
    status: 400,
    body: nested('Assistant response prefill is incompatible with enable_thinking.', {
      code: 400,
      type: 'invalid_request_error',
    }),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.1',
    status: 503,
    body: nested('no slot available', { code: 503, type: 'unavailable_error' }),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 3.2',
    status: 503,
    body: ollama('server busy, please try again.  maximum pending requests exceeded', 'api_error'),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 3.2',
    status: 503,
    body: json({ error: 'server busy, please try again.  maximum pending requests exceeded' }),
    reason: 'overloaded',
  },
  { source: 'wire.md 3.2', status: 404, body: ollama("model 'deepseek-r1' not found", 'not_found_error'), reason: 'not-found' },
  {
    source: 'wire.md 3.2',
    status: 404,
    body: json({ error: 'model "llama3" not found, try pulling it first' }),
    reason: 'not-found',
  },
  {
    source: 'wire.md 3.2',
    status: 400,
    body: ollama('the input length exceeds the context length', 'invalid_request_error'),
    reason: 'context-length',
  },
  { source: 'wire.md 3.2', status: 499, body: json({ error: 'client closed the connection' }), reason: 'server-error' },
  {
    source: 'wire.md 3.2',
    status: 500,
    body: ollama('llama runner process has terminated: exit status 2', 'api_error'),
    reason: 'server-error',
  },
  {
    source: 'wire.md 3.2',
    status: 400,
    body: ollama('registry.ollama.ai/library/llama2 does not support tools', 'invalid_request_error'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm(
      "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
      400,
      'BadRequestError',
    ),
    reason: 'context-length',
    contextTokens: 4096,
    requestedTokens: 5000,
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm(
      "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 20 input tokens (5000 > 4096 - 20).",
      400,
      'BadRequestError',
    ),
    reason: 'context-length',
    contextTokens: 4096,
    requestedTokens: 5020,
  },
  {
    source: 'vllm-project/vllm#42474',
    status: 400,
    body: vllm(
      "This model's maximum context length is 128000 tokens. However, you requested 65535 output tokens and your prompt contains at least 62466 input tokens, for a total of at least 128001 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
      400,
      'BadRequestError',
    ),
    reason: 'context-length',
    contextTokens: 128_000,
    requestedTokens: 128_001,
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm(
      'The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that max_model_len is no smaller than the number of text tokens.',
      400,
      'BadRequestError',
    ),
    reason: 'context-length',
    contextTokens: 4096,
    requestedTokens: 5000,
  },
  { source: 'wire.md 3.3', status: 401, body: json({ error: 'Unauthorized' }), reason: 'authentication' },
  { source: 'wire.md 3.3', status: 404, body: vllm('The model `r1` does not exist.', 404, 'NotFoundError'), reason: 'not-found' },
  {
    source: 'wire.md 3.3',
    status: 500,
    body: vllm('EngineCore encountered an issue.', 500, 'InternalServerError'),
    reason: 'server-error',
  },
  {
    source: 'wire.md 3.3',
    status: 503,
    body: vllm('The server is at its limit of queued requests.', 503, 'ServiceUnavailableError'),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm('Cannot set `continue_final_message` and `add_generation_prompt` to True.', 400, 'BadRequestError'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm('Priority must be 0 unless --scheduling-policy is priority.', 400, 'BadRequestError'),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm(
      'Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with untrusted chat template.',
      400,
      'BadRequestError',
    ),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.3',
    status: 400,
    body: vllm(
      "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'prompt': 'MY SECRET PROMPT'}}]",
      400,
      'BadRequestError',
    ),
    reason: 'invalid-request',
  },
  {
    source: 'router-for-me/CLIProxyAPI#1572 (SGLang)',
    status: 400,
    body: sglang(
      "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'prompt': 'MY SECRET PROMPT'}}\n\n  File \"/srt/http_server.py\", line 1324, in openai_v1_chat_completions",
      400,
    ),
    reason: 'invalid-request',
  },
  {
    source: 'wire.md 3.4',
    status: 400,
    body: sglang("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 400),
    reason: 'context-length',
    contextTokens: 4096,
    requestedTokens: 5000,
  },
  {
    source: 'wire.md 3.4',
    status: 400,
    body: sglang(
      "Requested token count exceeds the model's maximum context length of 64000 tokens. You requested a total of 71897 tokens: 7897 tokens from the input messages and 64000 tokens for the completion.",
      400,
    ),
    reason: 'context-length',
    contextTokens: 64_000,
    requestedTokens: 71_897,
  },
  {
    source: 'wire.md 3.4',
    status: 400,
    body: sglang("Input length (265330) exceeds model's maximum context length (262144).", 400),
    reason: 'context-length',
    contextTokens: 262_144,
    requestedTokens: 265_330,
  },
  { source: 'wire.md 3.4', status: 401, body: json({ error: 'Unauthorized' }), reason: 'authentication' },
  { source: 'wire.md 3.4', status: 503, body: sglang('The request queue is full.', 503), reason: 'overloaded' },
  {
    source: 'wire.md 3.4',
    status: 200,
    body: json({
      error: { object: 'error', message: 'The request queue is full.', type: 'SERVICE_UNAVAILABLE', param: null, code: 503 },
    }),
    reason: 'overloaded',
  },
  { source: 'wire.md 3.4', status: 400, body: sglang('messages: Field required', 400), reason: 'invalid-request' },
  {
    source: 'wire.md 3.5',
    status: 400,
    body: json({
      object: 'error',
      message: 'stream_options can only be set if stream is true',
      type: 'BadRequestError',
      param: null,
      code: 400,
    }),
    reason: 'invalid-request',
  },
]

const hostRows: readonly FailureRow[] = [
  {
    source: 'wire.md 5 (SiliconFlow)',
    status: 503,
    body: flat(50508, 'System is too busy now. Please try again later.'),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 5 (SiliconFlow)',
    status: 400,
    body: flat(20012, 'Model does not exist. Please check it carefully.'),
    reason: 'not-found',
  },
  {
    source: 'wire.md 5 (SiliconFlow)',
    status: 400,
    body: flat(20012, 'Bad.'),
    rules: hosts.siliconflow.failureRules,
    reason: 'not-found',
  },
  {
    source: 'wire.md 5 (SiliconFlow)',
    status: 403,
    body: flat(30001, 'Sorry, your account balance is insufficient'),
    reason: 'quota',
  },
  {
    source: 'chatboxai/chatbox#2060',
    status: 400,
    body: flat(20015, 'length of prompt_tokens (68957) must be less than max_seq_len (65536).'),
    reason: 'context-length',
    contextTokens: 65_536,
    requestedTokens: 68_957,
  },
  { source: 'wire.md 5 (SiliconFlow)', status: 401, body: json('Invalid token'), reason: 'authentication' },
  { source: 'wire.md 5 (SiliconFlow)', status: 404, body: json('404 page not found'), reason: 'not-found' },
  { source: 'wire.md 5 (SiliconFlow)', status: 504, body: json('upstream timeout'), reason: 'server-error' },
  {
    source: 'wire.md 5 (SiliconFlow)',
    status: 429,
    body: flat(50603, 'Request was rejected due to rate limiting. Details: TPM limit reached.'),
    reason: 'rate-limit',
  },
  {
    source: 'wire.md 5 (Together)',
    status: 403,
    body: nested('Input token count + max_tokens must be less than the context length of the model being queried.', {
      type: 'invalid_request_error',
    }),
    reason: 'context-length',
  },
  {
    source: 'wire.md 5 (Together)',
    status: 403,
    body: '',
    rules: hosts.together.failureRules,
    reason: 'context-length',
  },
  {
    source: 'wire.md 5 (Together)',
    status: 503,
    body: nested('Engine overloaded', { type: 'service_unavailable' }),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 5 (Together)',
    status: 402,
    body: nested('Credit limit exceeded, please navigate to the billing page', { type: 'credit_limit' }),
    reason: 'quota',
  },
  {
    source: 'portkey.ai error library (Together)',
    status: 400,
    body: nested(
      'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5013 `inputs` tokens and 128 `max_new_tokens`',
      { type: 'invalid_request_error' },
    ),
    reason: 'context-length',
    contextTokens: 4097,
    requestedTokens: 5141,
  },
  {
    source: 'wire.md 5 (OpenRouter)',
    status: 503,
    body: json({
      error: { code: 503, message: 'There is no available model provider that meets your routing requirements', metadata: {} },
    }),
    headers: { 'retry-after': '3', 'x-generation-id': 'gen-1' },
    reason: 'overloaded',
    retryAfterMs: 3000,
    requestId: 'gen-1',
  },
  {
    source: 'wire.md 5 (OpenRouter)',
    status: 200,
    body: json({ error: { code: 502, message: 'Provider returned error', metadata: { provider_name: 'X', raw: 'gone' } } }),
    reason: 'server-error',
  },
  {
    source: 'wire.md 5 (OpenRouter)',
    status: 200,
    body: json({ error: { code: '429', message: 'Provider returned error' } }),
    reason: 'rate-limit',
  },
  {
    source: 'wire.md 5 (OpenRouter)',
    status: 402,
    body: json({ error: { code: 402, message: 'This request requires more credits, or fewer max_tokens.' } }),
    reason: 'quota',
  },
  {
    source: 'openrouter.ai/docs/api/errors',
    status: 403,
    body: json({
      error: {
        code: 403,
        message: 'deepseek/deepseek-r1 requires moderation. Your input was flagged for "violence".',
        metadata: { reasons: ['violence'], flagged_input: 'MY SECRET PROMPT' },
      },
    }),
    reason: 'content-filter',
  },
  {
    source: 'openrouter.ai/docs/api/errors',
    status: 408,
    body: json({ error: { code: 408, message: 'Your request timed out' } }),
    reason: 'overloaded',
  },
  {
    source: 'openrouter.ai/docs/api/errors',
    status: 400,
    body: json({ error: { code: 400, message: 'deepseek/deepseek-r9 is not a valid model ID' } }),
    reason: 'not-found',
  },
  {
    source: 'wire.md 5 (Ark)',
    status: 400,
    body: nested(
      'The parameters `max_tokens` and `max_completion_tokens` specified in the request cannot be set simultaneously.',
      {
        code: 'InvalidParameter',
        type: 'BadRequest',
        param: 'max_tokens',
      },
    ),
    reason: 'invalid-request',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 429,
    body: nested(
      'The Requests Per Minute (RPM) limit of the associated endpoint for your account has been exceeded. Request id: 021718049470528',
      { code: 'RateLimitExceeded.EndpointRPMExceeded', type: 'TooManyRequests' },
    ),
    reason: 'rate-limit',
    requestId: '021718049470528',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 429,
    body: nested('The service is currently unable to process additional requests.', {
      code: 'ServerOverloaded',
      type: 'TooManyRequests',
    }),
    reason: 'overloaded',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 400,
    body: nested('The request failed because the input text may contain sensitive information.', {
      code: 'InputTextSensitiveContentDetected',
      type: 'BadRequest',
    }),
    reason: 'content-filter',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 403,
    body: nested('The request failed because your account has an overdue balance.', {
      code: 'AccountOverdueError',
      type: 'Forbidden',
    }),
    reason: 'quota',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 404,
    body: nested('The model or endpoint deepseek-x does not exist or you do not have access to it.', {
      code: 'InvalidEndpointOrModel.NotFound',
      type: 'NotFound',
    }),
    reason: 'not-found',
  },
  {
    source: 'volcengine.com/docs/82379/1299023',
    status: 401,
    body: nested('The API key in the request is missing or invalid.', { code: 'AuthenticationError', type: 'Unauthorized' }),
    reason: 'authentication',
  },
  {
    source: 'alibabacloud.com model-studio/error-code',
    status: 400,
    body: json({
      code: 'Arrearage',
      message: 'Access denied, please make sure your account is in good standing.',
      request_id: 'a1b2c3d4',
    }),
    reason: 'quota',
    requestId: 'a1b2c3d4',
  },
  {
    source: 'alibabacloud.com model-studio/error-code',
    status: 400,
    body: nested('Input or output data may contain inappropriate content.', {
      code: 'data_inspection_failed',
      type: 'data_inspection_failed',
    }),
    reason: 'content-filter',
  },
  {
    source: 'alibabacloud.com model-studio/error-code',
    status: 400,
    body: nested('Range of input length should be [1, 30720]', {
      code: 'invalid_parameter_error',
      type: 'invalid_request_error',
    }),
    reason: 'context-length',
    contextTokens: 30_720,
  },
  {
    source: 'alibabacloud.com model-studio/error-code',
    status: 429,
    body: nested('You have exceeded your current request limit.', { code: 'limit_requests', type: 'limit_requests' }),
    reason: 'rate-limit',
  },
  {
    source: 'wire.md 5 (Alibaba, key of another region)',
    status: 401,
    body: nested('Incorrect API key provided.', { code: 'invalid_api_key', type: 'invalid_request_error' }),
    reason: 'authentication',
  },
  {
    source: 'wire.md 5 (Groq)',
    status: 413,
    body: nested(
      'Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000, please reduce your message size.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    reason: 'context-length',
    contextTokens: 6000,
    requestedTokens: 7000,
  },
  {
    source: 'wire.md 5 (Groq)',
    status: 429,
    body: nested(
      'Rate limit reached for model `x` on tokens per day (TPD): Limit 100000, Used 99000, Requested 3000. Please try again in 14m24.5s.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    reason: 'rate-limit',
    retryAfterMs: 864_500,
  },
  {
    source: 'wire.md 5 (HF router)',
    status: 503,
    body: json({ error: 'Model deepseek-ai/DeepSeek-R1 is currently loading', estimated_time: 20 }),
    reason: 'loading',
    retryAfterMs: 2000,
  },
  {
    source: 'wire.md 5 (GLM, code as text)',
    status: 429,
    body: nested('余额不足或无可用资源包,请充值。', { code: '1113' }),
    reason: 'quota',
  },
  {
    source: 'wire.md 5 (GLM, code as text)',
    status: 429,
    body: nested('您的账户已达到速率限制,请您控制请求频率', { code: '1302' }),
    reason: 'rate-limit',
  },
  {
    source: 'wire.md 5 (LM Studio)',
    status: 404,
    body: json({ error: 'Unexpected endpoint or method. (POST /chat/completions)' }),
    reason: 'not-found',
  },
  {
    source: 'wire.md 5 (Fireworks)',
    status: 404,
    body: json({
      error: {
        object: 'error',
        type: 'invalid_request_error',
        code: 'NOT_FOUND',
        message: 'Model not found, inaccessible, and/or not deployed',
      },
    }),
    reason: 'not-found',
  },
  { source: 'wire.md 5 (NVIDIA)', status: 404, body: '404 page not found\n', reason: 'not-found' },
  {
    source: 'wire.md 5 (DeepInfra)',
    status: 429,
    body: json({ detail: { error: 'Model busy, retry later' } }),
    reason: 'overloaded',
  },
  {
    source: 'wire.md 5 (Novita)',
    status: 403,
    body: json({ code: 403, reason: 'NOT_ENOUGH_BALANCE', message: 'not enough balance', metadata: {} }),
    reason: 'quota',
  },
]

const shapeRows: readonly FailureRow[] = [
  {
    source: 'wire.md 6 (FastAPI)',
    status: 422,
    body: json({
      detail: [
        {
          loc: ['body', 'messages', 0, 'content'],
          msg: 'Input should be a valid string',
          type: 'string_type',
          input: ['MY SECRET PROMPT'],
        },
      ],
    }),
    reason: 'invalid-request',
  },
  {
    source: 'shape: list of errors',
    status: 400,
    body: json([
      { error: { code: 400, message: 'API key not valid. Please pass a valid API key.', status: 'INVALID_ARGUMENT' } },
    ]),
    reason: 'authentication',
  },
  {
    source: 'shape: error in an event',
    status: 429,
    body: 'event: error\ndata: {"error":{"message":"slow","code":"rate_limit_exceeded"}}\n\n',
    reason: 'rate-limit',
  },
  { source: 'shape: number', status: 400, body: '42', reason: 'invalid-request' },
  { source: 'shape: null', status: 500, body: 'null', reason: 'server-error' },
  { source: 'shape: empty object', status: 400, body: '{}', reason: 'invalid-request' },
  { source: 'shape: half a JSON', status: 503, body: '{"error":{"message":"Service is t', reason: 'overloaded' },
  {
    source: 'shape: errors inside errors',
    status: 500,
    body: json({ error: { error: { error: { error: { error: { error: 'deep' } } } } } }),
    reason: 'server-error',
  },
  {
    source: 'redirect',
    status: 301,
    body: '<html><title>301 Moved Permanently</title></html>',
    headers: { location: 'https://other.example/v1' },
    reason: 'invalid-request',
  },
  { source: 'redirect', status: 307, body: '', reason: 'invalid-request' },
  { source: 'gone', status: 410, body: nested('This model has been retired.'), reason: 'not-found' },
  { source: 'unknown 4xx', status: 418, body: '', reason: 'invalid-request' },
  { source: 'unknown 5xx', status: 599, body: '', reason: 'server-error' },
  { source: 'in band, no status', status: 200, body: json({ error: 'boom' }), reason: 'server-error' },
  {
    source: 'in band, class only',
    status: 200,
    body: nested('no', { type: 'invalid_request_error', code: 'invalid_request_error' }),
    reason: 'invalid-request',
  },
  { source: 'in band, class only', status: 200, body: nested('no', { type: 'service_unavailable_error' }), reason: 'overloaded' },
  { source: 'in band, words only', status: 200, body: nested('Content Exists Risk'), reason: 'content-filter' },
  { source: 'in band, words only', status: 200, body: json({ error: 'Insufficient Balance' }), reason: 'quota' },
]

/** R137: what stands in a name or a number says nothing about the cause. */
const deceptiveRows: readonly FailureRow[] = [
  {
    source: 'R137',
    status: 400,
    body: openai('Invalid value for model gpt-2503-429-preview: unknown option', null),
    reason: 'invalid-request',
  },
  { source: 'R137', status: 404, body: openai('The model `insufficient-quota-2503` does not exist', null), reason: 'not-found' },
  {
    source: 'R137',
    status: 400,
    body: openai('Bad setting for model `overloaded-context-length-7b`', null),
    reason: 'invalid-request',
  },
  { source: 'R137', status: 401, body: openai('Key for account 402 of model x-503 refused', null), reason: 'authentication' },
  { source: 'R137', status: 500, body: openai('Worker 429 died while on request 402', null), reason: 'server-error' },
  {
    source: 'wire.md 1.14',
    status: 429,
    body: nested('Your remaining balance allows fewer requests.', {}),
    reason: 'rate-limit',
  },
]

export const failureRows: readonly FailureRow[] = [
  ...deepseekRows,
  ...openaiRows,
  ...localRows,
  ...hostRows,
  ...shapeRows,
  ...deceptiveRows,
]
