import type { Charged, FailureReason, ResponseHeaders } from '../../../../src/contract.ts'

/** What the server sent: words alone stand for an error with that message. */
type Said = string | object

export type FailureLine = readonly [
  from: string,
  status: number,
  said: Said,
  reason: FailureReason,
  charged: Charged,
  more?: {
    readonly headers?: ResponseHeaders
    readonly retryAfterMs?: number | undefined
    readonly atMostMs?: number
    readonly message?: RegExp
    readonly text?: string
  },
]

const error = (message: string, fields: object = {}) => ({ error: { message, ...fields } })
const google = (id: string, retryDelay?: string) => [
  {
    error: {
      code: 429,
      message: 'You exceeded your current quota, please check your plan and billing details.',
      status: 'RESOURCE_EXHAUSTED',
      details: [
        { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaMetric: 'x', quotaId: id }] },
        ...(retryDelay === undefined ? [] : [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }]),
      ],
    },
  },
]
const minimax = (code: number, message: string) => ({
  id: '',
  choices: null,
  base_resp: { status_code: code, status_msg: message },
})
const zhipu = (code: string, message: string) => ({ error: { code, message } })
const minute = { atMostMs: 60_000 }

/** One line for each wording that was met: what was sent, what it means, who pays. */
export const failureLines: readonly FailureLine[] = [
  [
    'F10 DashScope',
    429,
    error(
      'You exceeded your current quota, please check your plan. See https://help.aliyun.com/zh/model-studio/error-code#token-limit',
      { code: 'insufficient_quota', type: 'insufficient_quota' },
    ),
    'rate-limit',
    'gate',
    minute,
  ],
  [
    'F10 DashScope',
    429,
    { code: 'Throttling.AllocationQuota', message: 'Allocated quota exceeded, please increase your quota limit.' },
    'rate-limit',
    'gate',
  ],
  [
    'F10 an empty account',
    400,
    { code: 'Arrearage', message: 'Access denied, please make sure your account is in good standing.' },
    'quota',
    'key',
  ],
  ['F10 Zhipu', 429, zhipu('1302', '您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。'), 'rate-limit', 'gate'],
  ['F10 new-api', 429, error('您的请求过于频繁，请 30 秒后重试'), 'rate-limit', 'gate', { ...minute, retryAfterMs: 30_000 }],
  [
    'F10 Volcengine',
    429,
    error('The Tokens Per Minute (TPM) limit of the associated model for your account has been exceeded.', {
      code: 'ModelAccountTpmRateLimitExceeded',
      type: 'TooManyRequests',
    }),
    'rate-limit',
    'gate',
  ],
  [
    'F10 SiliconFlow',
    403,
    { code: 50_603, message: 'RPM limit reached for this account.', data: null },
    'rate-limit',
    'gate',
    minute,
  ],

  [
    'F11 Gemini',
    429,
    google('GenerateRequestsPerMinutePerProjectPerModel-FreeTier', '36s'),
    'rate-limit',
    'gate',
    { ...minute, retryAfterMs: 36_000 },
  ],
  ['F11 Gemini', 429, google('GenerateRequestsPerDayPerProjectPerModel-FreeTier'), 'quota', 'model'],
  [
    'F11 Vertex',
    429,
    { error: { code: 429, message: 'Resource exhausted. Please try again later.', status: 'RESOURCE_EXHAUSTED' } },
    'rate-limit',
    'gate',
  ],

  [
    'F12 OpenRouter',
    402,
    error(
      'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104.',
      { code: 402 },
    ),
    'quota',
    'request',
  ],
  [
    'F13 DashScope',
    403,
    {
      code: 'AllocationQuota.FreeTierOnly',
      message:
        'The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the "use free tier only" mode.',
    },
    'quota',
    'model',
  ],
  [
    'F13 DashScope',
    403,
    error('Free allocated quota exceeded.', { code: 'AllocationQuota.FreeTierOnly', type: 'AllocationQuota.FreeTierOnly' }),
    'quota',
    'model',
  ],
  [
    'F14 Volcengine',
    429,
    error('Your account [1] has reached the set inference limit for the [x] model, and the model service has been paused.', {
      code: 'SetLimitExceeded',
      type: 'TooManyRequests',
    }),
    'quota',
    'model',
  ],
  [
    'F15 Fireworks',
    412,
    error('Account x is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.', {
      code: 'PRECONDITION_FAILED',
    }),
    'quota',
    'key',
  ],
  [
    'F15 Moonshot',
    403,
    error('Your account org-x is suspended due to insufficient balance, please recharge your account', {
      type: 'exceeded_current_quota_error',
    }),
    'quota',
    'key',
  ],
  ['F15 Chinese', 403, error('您的账户已被停用，请联系客服'), 'quota', 'key'],
  [
    'F16 LiteLLM',
    400,
    error('Budget has been exceeded! Current cost: 12.1, Max budget: 10.0', { type: 'budget_exceeded', code: '400' }),
    'quota',
    'key',
  ],
  [
    'F16 LiteLLM',
    429,
    error('ExceededBudget: User over budget. Spend: 11, Budget: 10', { type: 'budget_exceeded', code: '429' }),
    'quota',
    'key',
  ],
  ['F16 LiteLLM, no type', 400, error('Budget has been exceeded! Team=x Current cost: 12.1, Max budget: 10.0'), 'quota', 'key'],

  ['F17 MiniMax', 200, minimax(1008, 'insufficient balance'), 'quota', 'key'],
  ['F17 MiniMax', 200, minimax(1002, 'rate limit'), 'rate-limit', 'gate', minute],
  ['F17 MiniMax', 200, minimax(1004, 'login fail'), 'authentication', 'key'],
  ['F17 MiniMax', 200, minimax(1026, 'input new_sensitive'), 'content-filter', 'nobody'],
  ['F17 MiniMax', 200, minimax(1000, 'unknown error'), 'server-error', 'target'],
  ['F17 MiniMax', 200, minimax(2056, 'usage limit exceeded'), 'quota', 'key'],
  [
    'F17 Volcengine',
    400,
    { ResponseMetadata: { RequestId: 'r-12345', Error: { Code: 'AccountOverdueError', Message: 'overdue' } } },
    'quota',
    'key',
  ],

  [
    'F18 Groq',
    498,
    error('Flex tier capacity exceeded', { type: 'capacity_exceeded', code: 'capacity_exceeded' }),
    'overloaded',
    'target',
  ],
  ['F18 Groq', 498, '', 'overloaded', 'target'],
  [
    'F18 Mistral',
    429,
    {
      object: 'error',
      message: 'Service tier capacity exceeded for this model.',
      type: 'service_tier_capacity_exceeded',
      param: null,
      code: '3505',
    },
    'overloaded',
    'target',
  ],
  ['F18 new-api', 429, error('当前分组上游负载已饱和，请稍后再试'), 'overloaded', 'target'],

  [
    'F19 Groq',
    429,
    error(
      'Rate limit reached for model x on tokens per minute (TPM): Limit 7000, Used 0, Requested 12903. Please try again in 50s.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    'context-length',
    'request',
    { retryAfterMs: undefined },
  ],
  [
    'F19 Groq',
    413,
    error('Request too large for model x: Limit 7000, Requested 12903, please reduce your message size and try again.', {
      code: 'rate_limit_exceeded',
      type: 'tokens',
    }),
    'context-length',
    'request',
  ],
  [
    'F19 it fits',
    429,
    error('Rate limit reached for model x: Limit 7000, Used 6000, Requested 2000. Please try again in 50s.', {
      code: 'rate_limit_exceeded',
    }),
    'rate-limit',
    'gate',
    { retryAfterMs: 50_000 },
  ],

  [
    'F21 OpenAI',
    429,
    error('Rate limit reached. Please try again in 20ms.', { code: 'rate_limit_exceeded' }),
    'rate-limit',
    'gate',
    { retryAfterMs: 20, headers: { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' } },
  ],
  [
    'F24 Cloudflare',
    403,
    '<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>',
    'malformed-response',
    'target',
    { headers: { 'cf-mitigated': 'challenge' } },
  ],
  ['F24 WAF', 405, '<html><head><title>405 Not Allowed</title></head></html>', 'malformed-response', 'target'],
  [
    'F24 AWS',
    403,
    '<html>\n<head><title>403 Forbidden</title></head>\n<body><center><h1>403 Forbidden</h1></center></body></html>',
    'malformed-response',
    'target',
    { headers: { server: 'awselb/2.0' } },
  ],
  [
    'F24 Akamai',
    403,
    "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY>You don't have permission to access this. Reference #18.1</BODY></HTML>",
    'malformed-response',
    'target',
  ],
  ['F24 nginx', 401, '<html><head><title>401 Authorization Required</title></head></html>', 'malformed-response', 'target'],
  [
    'F24 nginx',
    400,
    '<html><head><title>400 Request Header Or Cookie Too Large</title></head></html>',
    'malformed-response',
    'target',
  ],
  ['F24 nginx', 413, '<html><head><title>413 Request Entity Too Large</title></head></html>', 'context-length', 'request'],
  ['F24 nginx', 404, '<html><head><title>404 Not Found</title></head></html>', 'not-found', 'target', { message: /proxy/ }],
  ['F24 nginx', 429, '<html><head><title>429 Too Many Requests</title></head></html>', 'rate-limit', 'gate'],
  ['F24 Cloudflare', 403, 'error code: 1020', 'malformed-response', 'target'],
  ['F24 Cloudflare', 429, 'error code: 1015', 'rate-limit', 'gate'],
  ['F24 Cloudflare', 524, '<html><title>api.x | 524: A timeout occurred</title></html>', 'server-error', 'target'],
  ['F24 Envoy', 503, 'upstream connect error or disconnect/reset before headers. reset reason: overflow', 'overloaded', 'target'],
  ['F24 Istio', 403, 'RBAC: access denied', 'malformed-response', 'target'],
  [
    'F24 WAF in a 200',
    200,
    '<html><head><title>Attention Required! | Cloudflare</title></head></html>',
    'malformed-response',
    'target',
  ],
  [
    'F24 Vercel',
    429,
    '<!DOCTYPE html><title>Vercel Security Checkpoint</title>',
    'malformed-response',
    'target',
    { headers: { 'x-vercel-mitigated': 'challenge' } },
  ],
  [
    'F24 not a page',
    403,
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
    'permission',
    'key',
  ],

  [
    'F26 Groq',
    400,
    error("Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.", {
      type: 'invalid_request_error',
      code: 'tool_use_failed',
      failed_generation: '<function=get>{}',
    }),
    'invalid-output',
    'nobody',
    { text: '<function=get>{}' },
  ],
  [
    'F26 Groq',
    400,
    error("Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.", {
      code: 'json_validate_failed',
      failed_generation: '',
    }),
    'invalid-output',
    'nobody',
  ],
  [
    'F27 Kimi',
    400,
    error('Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)', {
      type: 'invalid_request_error',
    }),
    'context-length',
    'request',
  ],
  ['F27 Zhipu', 400, zhipu('1261', 'Prompt 超长'), 'context-length', 'request'],
  ['F27 Chinese', 400, error('输入内容过长，超过模型最大上下文长度'), 'context-length', 'request'],
  [
    'F27 LiteLLM',
    400,
    error('litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException'),
    'context-length',
    'request',
  ],

  [
    'F28 Zhipu',
    400,
    zhipu('1301', '系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。'),
    'content-filter',
    'nobody',
  ],
  [
    'F28 Z.ai',
    400,
    zhipu('1301', 'System detected potentially unsafe or sensitive content in input or generation.'),
    'content-filter',
    'nobody',
  ],
  [
    'F28 Moonshot',
    400,
    error('The request was rejected because it was considered high risk', { type: 'content_filter' }),
    'content-filter',
    'nobody',
  ],
  [
    'F28 Moonshot, no type',
    400,
    error('The request was rejected because it was considered high risk'),
    'content-filter',
    'nobody',
  ],
  [
    'F28 DashScope',
    400,
    error('<400> InternalError.Algo.DataInspectionFailed: Input data may contain inappropriate content.', {
      code: 'data_inspection_failed',
    }),
    'content-filter',
    'nobody',
  ],
  ['F28 Baidu', 200, { error_code: 336_104, error_msg: '输入内容包含敏感词，请检查' }, 'content-filter', 'nobody'],
  ['F28 Chinese', 400, error('内容安全审核未通过'), 'content-filter', 'nobody'],

  [
    'F29 LM Studio',
    200,
    { error: 'Unexpected endpoint or method. (POST /chat/completions)' },
    'not-found',
    'model',
    { message: /lack \/v1/ },
  ],
  ['F29 FastAPI', 404, { detail: 'Not Found' }, 'not-found', 'model', { message: /lack \/v1/ }],
  ['F29 Go', 404, '404 page not found\n', 'not-found', 'model', { message: /lack \/v1/ }],
  [
    'F29 OpenAI',
    404,
    error('Invalid URL (POST /chat/completions)', { type: 'invalid_request_error' }),
    'not-found',
    'model',
    { message: /lack \/v1/ },
  ],
  ['F30 LM Studio', 400, { error: 'Failed to load model "x". Error: not enough memory' }, 'server-error', 'model', minute],
  [
    'F30 LM Studio',
    400,
    { error: 'The model has crashed without additional information. (Exit code: 18446744072635812000)' },
    'server-error',
    'model',
    minute,
  ],
  [
    'F30 Ollama',
    500,
    { error: 'model requires more system memory (5.5 GiB) than is available (3.9 GiB)' },
    'server-error',
    'model',
    minute,
  ],
  ['F30 Ollama', 500, { error: 'llama runner process has terminated: exit status 2' }, 'server-error', 'model', minute],
  ['F31', 407, '', 'authentication', 'nobody', { message: /proxy/i }],
  [
    'F31',
    407,
    '<html><title>407 Proxy Authentication Required</title></html>',
    'authentication',
    'nobody',
    { message: /proxy/i },
  ],
  [
    'F32 OpenRouter',
    404,
    error('No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs', {
      code: 404,
    }),
    'invalid-request',
    'request',
  ],
  ['F32 OpenRouter', 404, error('No endpoints found that support image input', { code: 404 }), 'invalid-request', 'request'],
  [
    'F32 OpenRouter',
    404,
    error('No endpoints found that can handle the requested parameters.', { code: 404 }),
    'invalid-request',
    'request',
  ],
  [
    'F33 Groq',
    400,
    error('The model x has been decommissioned and is no longer supported.', {
      code: 'model_decommissioned',
      type: 'invalid_request_error',
    }),
    'not-found',
    'model',
  ],
  [
    'F33 Together',
    400,
    error('Unable to access non-serverless model x. Please visit to create and start a new dedicated endpoint.', {
      code: 'model_not_available',
      type: 'invalid_request_error',
    }),
    'not-found',
    'model',
  ],
  ['F33 Together', 400, error('x', { code: 'dedicated_endpoint_not_running' }), 'not-found', 'model'],
  ['F33 words alone', 400, error('The model x has been deprecated, learn more here'), 'not-found', 'model'],
  ['F33 words alone', 400, error('This model is no longer available.'), 'not-found', 'model'],
  [
    'F33 Mistral',
    400,
    { object: 'error', message: 'Invalid model: x', type: 'invalid_model', param: null, code: '1500' },
    'not-found',
    'model',
  ],
  ['F33 new-api', 503, error('当前分组 default 下对于模型 x 无可用渠道'), 'not-found', 'model'],
  ['F33 Chinese', 400, error('模型 x 已下线'), 'not-found', 'model'],

  ['F34 Ollama', 429, { error: 'you have reached your weekly usage limit, upgrade for higher limits' }, 'quota', 'key'],
  ['F34 Zhipu', 429, zhipu('1308', '已达到 5 小时的使用上限。您的限额将在 2026-12-01 03:00:00 重置。'), 'quota', 'key'],
  [
    'F34 Z.ai',
    429,
    zhipu('1310', 'Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-12-05 03:00:00'),
    'quota',
    'key',
  ],
  [
    'F34 xAI',
    429,
    {
      code: 'Some resource has been exhausted',
      error: 'Your team x has either used all available credits or reached its monthly spending limit.',
    },
    'quota',
    'key',
  ],
  [
    'F34 Anthropic form',
    400,
    {
      type: 'error',
      error: {
        type: 'invalid_request_error',
        message: 'Your credit balance is too low to access the API. Please go to Plans & Billing.',
      },
    },
    'quota',
    'key',
  ],
  ['F34 one-api', 403, error('用户额度不足', { code: 'insufficient_user_quota', type: 'new_api_error' }), 'quota', 'key'],
  ['F34 new-api', 403, error('该令牌额度已用尽 !token.UnlimitedQuota'), 'quota', 'key'],
  [
    'F34 a rate, in spite of its day',
    429,
    error('Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day'),
    'rate-limit',
    'gate',
  ],
  // met after the tables were written: each is one row and one line
  [
    'LiteLLM',
    429,
    error('No deployments available for selected model, Try again in 5 seconds.', { code: '429' }),
    'rate-limit',
    'gate',
    { retryAfterMs: 5_000 },
  ],
  ['SiliconFlow', 403, { code: 30_003, message: 'Model disabled.', data: null }, 'not-found', 'model'],
  ['Groq', 400, error('Organization has been restricted. Please reach out to support.'), 'permission', 'key'],
  [
    'F34 xAI',
    403,
    { code: 'The caller does not have permission', error: 'Your newly created team does not have any credits or licenses yet.' },
    'quota',
    'key',
  ],
  [
    'F34 a plan',
    429,
    { error: { type: 'usage_limit_reached', message: 'The usage limit has been reached', resets_in_seconds: 3_600 } },
    'quota',
    'key',
    { retryAfterMs: 3_600_000 },
  ],
  [
    'F34 Workers AI',
    429,
    { success: false, errors: [{ code: 3_036, message: 'you have used up your daily free allocation of 10,000 neurons' }] },
    'quota',
    'key',
  ],
  ['F34 Cohere', 429, { message: 'You are using a Trial key, which is limited to 1000 API calls / month.' }, 'quota', 'key'],
  [
    'F28 StepFun',
    451,
    error('The content you provided or machine outputted is blocked.', { type: 'censorship_blocked' }),
    'content-filter',
    'nobody',
  ],
  [
    'F32 OpenRouter, an account',
    404,
    error('No endpoints found matching your data policy (Free model publication).', { code: 404 }),
    'permission',
    'model',
  ],
  ['F33 OpenRouter', 404, error('No endpoints found for foo/bar.', { code: 404 }), 'not-found', 'model'],
  [
    'R103 LiteLLM',
    401,
    error('key not allowed to access model.', { type: 'key_model_access_denied', code: '401' }),
    'permission',
    'model',
  ],
  [
    'F28 Spark',
    200,
    { code: 10_013, message: '输入内容审核不通过，涉嫌违规，请重新调整输入内容', sid: 'x' },
    'content-filter',
    'nobody',
  ],
  ['F10 Baidu', 200, { error_code: 18, error_msg: 'Open api qps request limit reached' }, 'rate-limit', 'gate', minute],
]
