import { expect, test } from 'vitest'
import { z } from 'zod'
import { createClient, type GenerateInput, openai, openaiCompatible, type Target } from 'unbusy'
import { chatStream, startRecorder } from '../helpers/recording-server.ts'

/** The same refusals in the words of other services: what must change is the same, whoever says it and however. */
type Body = {
  readonly [field: string]: unknown
  readonly messages: readonly { readonly role: string }[]
  readonly tools?: readonly { readonly function: { readonly strict?: boolean } }[]
  readonly response_format?: { readonly type: string; readonly json_schema?: { readonly strict?: boolean } }
}
type Case = readonly [
  name: string,
  status: number,
  refusal: string,
  input: GenerateInput,
  isWrong: (body: Body) => boolean,
  isRight?: ((body: Body) => boolean) | undefined,
  target?: (baseURL: string) => Target,
]

const E = (message: string, more = {}) => JSON.stringify({ error: { message, type: 'invalid_request_error', ...more } })
const pyd = (loc: readonly unknown[], msg: string, more = {}) =>
  JSON.stringify({ detail: [{ type: 'x', loc, msg, input: 1, ...more }] })

const limitOf = (body: Body) => body['max_tokens'] ?? body['max_completion_tokens']
const max = (most: number) => (body: Body) => Number(limitOf(body) ?? 99_999) > most
const low = (most: number) => (body: Body) => limitOf(body) === most
const has = (field: string) => (body: Body) => body[field] !== undefined
const isStrict = ({ tools }: Body) => tools?.[0]?.function.strict !== undefined

const plain = (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 })
const developer = (baseURL: string) => openai({ baseURL, apiKey: 'k', retry: 0 })
const enforcing = (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0, capabilities: { output: 'json-schema' } })

const long: GenerateInput = { prompt: 'Hi', maxOutputTokens: 2000 }
const toolsStrict: GenerateInput = { prompt: 'Hi', tools: { t: { inputSchema: z.object({ a: z.string() }), strict: true } } }
const foreignId = 'call:00|abcdef'
const foreign: GenerateInput = {
  messages: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: '', toolCalls: [{ toolCallId: foreignId, toolName: 't', input: {} }] },
    { role: 'tool', toolCallId: foreignId, content: '1' },
  ],
}
const settings: GenerateInput = {
  prompt: 'Hi',
  seed: 7,
  topP: 0.5,
  stopSequences: ['x'],
  temperature: 1,
  extraBody: { top_k: 4 },
}

const ceil = (name: string, status: number, refusal: string): Case => [name, status, refusal, long, max(1500), low(1500)]
const room = (name: string, status: number, refusal: string): Case => [name, status, refusal, long, max(1448), low(1448)]
const role = (name: string, status: number, refusal: string): Case => [
  name,
  status,
  refusal,
  { system: 'S', prompt: 'Hi' },
  ({ messages }) => messages[0]?.role === 'developer',
  ({ messages }) => messages[0]?.role === 'system',
  developer,
]
const field = (name: string, status: number, refusal: string, wrong = 'seed'): Case => [
  name,
  status,
  refusal,
  settings,
  has(wrong),
]
const str = (name: string, status: number, refusal: string): Case => [
  name,
  status,
  refusal,
  { prompt: 'Hi' },
  body => body['stream'] !== false,
]
const sch = (
  name: string,
  status: number,
  refusal: string,
  isWrong = (body: Body) => body.response_format?.type === 'json_schema',
): Case => [name, status, refusal, { prompt: 'Hi', output: z.object({ a: z.string() }) }, isWrong, undefined, enforcing]
const ids = (name: string, status: number, refusal: string): Case => [
  name,
  status,
  refusal,
  foreign,
  body => JSON.stringify(body).includes(foreignId),
]

const cases: readonly Case[] = [
  ceil('F41 anthropic', 400, E('max_tokens: 2000 > 1500, which is the maximum allowed number of output tokens for claude')),
  ceil(
    'F41 bedrock',
    400,
    JSON.stringify({
      message:
        'The maximum tokens you requested exceeds the model limit of 1500. Try again with a maximum tokens value that is lower than 1500.',
    }),
  ),
  ceil(
    'F41 groq',
    400,
    E(
      '`max_tokens` must be less than or equal to `1500`, the maximum value for `max_tokens` is less than the `context_window` for this model',
      { param: 'max_tokens' },
    ),
  ),
  ceil(
    'F41 tgi',
    422,
    JSON.stringify({ error: 'Input validation error: `max_new_tokens` must be <= 1500. Given: 2000', error_type: 'validation' }),
  ),
  ceil(
    'F41 tgi2',
    422,
    JSON.stringify({
      error: 'Input validation error: `max_new_tokens` must be strictly positive and less than or equal to 1500',
    }),
  ),
  ceil(
    'F41 zhipu range',
    400,
    JSON.stringify({ error: { code: '1210', message: 'API 调用参数有误，max_tokens 取值范围为 [1, 1500]' } }),
  ),
  ceil('F41 sf zh', 400, JSON.stringify({ code: 20015, message: 'max_tokens 不能超过 1500', data: null })),
  ceil('F41 zh max', 400, E('参数 max_tokens 的最大值为 1500，当前值为 2000')),
  ceil('F41 zh 2', 400, E('max_tokens 必须小于等于 1500')),
  ceil('F41 zh 3', 400, E('最大输出长度为 1500 tokens，您请求了 2000')),
  ceil('F41 qianfan', 400, JSON.stringify({ error_code: 336003, error_msg: 'the max_output_tokens must be in [2, 1500]' })),
  ceil('F41 moonshot', 400, E('Invalid request: max_tokens must be between 1 and 1,500')),
  ceil(
    'F41 gemini',
    400,
    JSON.stringify([
      {
        error: {
          code: 400,
          message:
            'Unable to submit request because it has a maxOutputTokens value of 2000 but the supported range is from 1 (inclusive) to 1501 (exclusive). Update the value and try again.',
          status: 'INVALID_ARGUMENT',
        },
      },
    ]),
  ),
  ceil(
    'F41 mistral pyd',
    422,
    JSON.stringify({
      object: 'error',
      message: {
        detail: [
          {
            type: 'less_than_equal',
            loc: ['body', 'max_tokens'],
            msg: 'Input should be less than or equal to 1500',
            input: 2000,
            ctx: { le: 1500 },
          },
        ],
      },
      type: 'invalid_request_error',
    }),
  ),
  ceil('F41 fastapi', 422, pyd(['body', 'max_tokens'], 'Input should be less than or equal to 1500', { ctx: { le: 1500 } })),
  ceil(
    'F41 pyd v1',
    422,
    pyd(['body', 'max_tokens'], 'ensure this value is less than or equal to 1500', { ctx: { limit_value: 1500 } }),
  ),
  ceil(
    'F41 cohere',
    400,
    JSON.stringify({ message: 'too many tokens: max tokens must be less than or equal to 1500, but received 2000.' }),
  ),
  ceil(
    'F41 xai',
    400,
    JSON.stringify({
      code: 'Client specified an invalid argument',
      error: "This model's maximum completion tokens is 1500, however you requested 2000",
    }),
  ),
  ceil('F41 pplx', 400, E('["At body -> max_tokens: Input should be less than or equal to 1500"]')),
  ceil(
    'F41 cerebras',
    400,
    JSON.stringify({
      message: 'max_completion_tokens: value 2000 exceeds maximum 1500',
      type: 'invalid_request_error',
      param: 'max_completion_tokens',
    }),
  ),
  ceil('F41 limit', 400, E('max_tokens 2000 is greater than the limit of 1500')),
  ceil('F41 exceeds', 400, E('max_tokens (2000) exceeds the maximum of 1500 for this model')),
  ceil('F41 exceeds2', 400, E('max_tokens value 2000 exceeds model output limit 1500')),
  ceil('F41 must not exceed', 400, E("'max_tokens' must not exceed 1500 (got 2000)")),
  ceil(
    'F41 sep',
    400,
    E('max_tokens is too large: 2,000. This model supports at most 1,500 completion tokens, whereas you provided 2,000.'),
  ),
  ceil(
    'F41 litellm',
    400,
    E(
      'litellm.BadRequestError: OpenAIException - max_tokens is too large: 2000. This model supports at most 1500 completion tokens, whereas you provided 2000.',
    ),
  ),
  ceil('F41 dashscope', 400, E('<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 1500]')),
  ceil('F41 text', 400, 'max_tokens must be at most 1500'),
  ceil('F41 500', 500, E('max_tokens must be at most 1500, got 2000')),
  ceil(
    'F41 413',
    413,
    E('max_tokens is too large: 2000. This model supports at most 1500 completion tokens, whereas you provided 2000.'),
  ),
  ceil('F41 ai21', 422, JSON.stringify({ detail: 'max_tokens should be between 0 and 1500' })),
  ceil(
    'F41 openrouter raw',
    400,
    JSON.stringify({
      error: {
        message: 'Provider returned error',
        code: 400,
        metadata: {
          raw: JSON.stringify({ error: { message: 'Invalid max_tokens value, the valid range of max_tokens is [1, 1500]' } }),
          provider_name: 'DeepSeek',
        },
      },
    }),
  ),
  ceil(
    'F41 inband',
    200,
    `data: ${E('Invalid max_tokens value, the valid range of max_tokens is [1, 1500]', { code: 400 })}\n\n`,
  ),
  ceil('F41 inband json', 200, E('Invalid max_tokens value, the valid range of max_tokens is [1, 1500]', { code: 400 })),
  room(
    'F42 deepseek',
    400,
    E(
      "This model's maximum context length is 2048 tokens. However, you requested 2600 tokens (600 in the messages, 2000 in the completion). Please reduce the length",
    ),
  ),
  room(
    'F42 legacy',
    400,
    E(
      "This model's maximum context length is 2048 tokens, however you requested 2600 tokens (600 in your prompt; 2000 for the completion). Please reduce your prompt; or completion length.",
    ),
  ),
  room('F42 lmdeploy', 400, E('The input length 600 + max_new_tokens 2000 exceeds session_len 2048')),
  room(
    'F42 mlc',
    400,
    E('Request prompt has 600 tokens in total, and max_tokens is 2000, larger than the model context window size 2048'),
  ),
  room(
    'F42 anthropic',
    400,
    E(
      'input length and `max_tokens` exceed context limit: 600 + 2000 > 2048, decrease input length or `max_tokens` and try again',
    ),
  ),
  room('F42 zh', 400, E('输入长度 600 与 max_tokens 2000 之和超过模型最大上下文长度 2048')),
  room(
    'F42 openrouter',
    400,
    E(
      "This endpoint's maximum context length is 2048 tokens. However, you requested about 2600 tokens (600 of text input, 2000 in the output). Please reduce the length of either one.",
    ),
  ),
  room(
    'F42 openrouter raw',
    400,
    JSON.stringify({
      error: {
        message: 'Provider returned error',
        code: 400,
        metadata: {
          raw: JSON.stringify({
            error: {
              message:
                "This model's maximum context length is 2048 tokens. However, you requested 2600 tokens (600 in the messages, 2000 in the completion).",
            },
          }),
        },
      },
    }),
  ),
  room(
    'F42 cloudflare',
    413,
    JSON.stringify({
      errors: [
        {
          message:
            'AiError: The estimated number of input and maximum output tokens (2600) exceeded this model context window limit (2048).',
          code: 5021,
        },
      ],
      success: false,
    }),
  ),
  room(
    'F42 500 vllm',
    500,
    E(
      "This model's maximum context length is 2048 tokens. However, you requested 2600 tokens (600 in the messages, 2000 in the completion)",
    ),
  ),
  room('F42 prompt+max', 400, E('prompt tokens (600) + max_tokens (2000) > context window (2048)')),
  room('F42 sum', 400, E('The sum of prompt tokens (600) and max_tokens (2000) exceeds the maximum context length (2048)')),
  room(
    'F42 inband',
    200,
    `data: ${E("This model's maximum context length is 2048 tokens. However, you requested 2600 tokens (600 in the messages, 2000 in the completion).", { code: 400 })}\n\n`,
  ),
  [
    'F12 afford sep',
    402,
    E(
      'This request requires more credits, or fewer max_tokens. You requested up to 2,000 tokens, but can only afford 301. To increase, visit',
      { code: 402 },
    ),
    long,
    max(301),
    low(301),
  ],
  [
    'F12 afford 200',
    200,
    E('This request requires more credits, or fewer max_tokens. You requested up to 2000 tokens, but can only afford 301.', {
      code: 402,
    }),
    long,
    max(301),
    low(301),
  ],
  [
    'F12 afford sse',
    200,
    `: OPENROUTER PROCESSING\n\ndata: ${E('This request requires more credits, or fewer max_tokens. You requested up to 2000 tokens, but can only afford 301.', { code: 402 })}\n\n`,
    long,
    max(301),
    low(301),
  ],
  [
    'F12 afford key',
    403,
    E(
      'This request requires more credits, or fewer max_tokens. You requested up to 2000 tokens, but can only afford 301. To increase, visit https://openrouter.ai/settings/keys and adjust the key total limit',
      { code: 403 },
    ),
    long,
    max(301),
    low(301),
  ],
  [
    'F12 afford default',
    402,
    E('This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104.', {
      code: 402,
    }),
    { prompt: 'Hi' },
    body => !(Number(body['max_tokens']) <= 30_104),
  ],
  [
    'F19 groq tpm',
    413,
    E(
      'Request too large for model `x` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 1500, Requested 2600, please reduce your message size and try again.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    long,
    max(900),
    low(900),
  ],
  [
    'F19 openai tpm',
    429,
    E(
      'Request too large for gpt-4 in organization org on tokens per min (TPM): Limit 1,500, Requested 2,600. The input or output tokens must be reduced in order to run successfully.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    long,
    max(900),
    low(900),
  ],
  [
    'F19 groq tpm used',
    429,
    E(
      'Rate limit reached for model `x` on tokens per minute (TPM): Limit 1500, Used 0, Requested 2600. Please try again in 50s.',
      { code: 'rate_limit_exceeded', type: 'tokens' },
    ),
    long,
    max(900),
    low(900),
  ],
  str(
    'F40 unsupported',
    400,
    E("Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.", {
      param: 'stream',
      code: 'unsupported_value',
    }),
  ),
  str(
    'F40 no param',
    400,
    E("Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported."),
  ),
  str('F40 bedrock', 400, JSON.stringify({ message: 'The model is unsupported for streaming' })),
  str(
    'F40 bedrock2',
    400,
    JSON.stringify({ message: "This model doesn't support the stream field. Remove stream and try again." }),
  ),
  str('F40 tools', 400, E('This model does not support tool use in streaming mode.')),
  str('F40 zh', 400, E('该模型不支持流式输出')),
  str('F40 zh2', 400, E('仅支持非流式调用')),
  str('F40 pyd', 422, pyd(['body', 'stream'], 'Input should be False')),
  str('F40 not impl', 501, E('Streaming is not implemented')),
  str('F40 nyi', 500, JSON.stringify({ detail: 'Streaming not supported' })),
  str('F40 only', 400, E('stream=true is not supported. Please set stream=false')),
  str('F40 must', 400, E('stream must be set to false for this model')),
  str('F40 text', 400, 'streaming not supported'),
  str('F40 not yet', 400, E('Streaming is not yet supported for this model')),
  str('F40 responses disabled', 400, E('Streaming responses are disabled for this deployment')),
  str('F40 404 openrouter', 404, E('No endpoints found that support streaming', { code: 404 })),
  sch(
    'F43 llama 400',
    400,
    JSON.stringify({
      error: {
        code: 400,
        message: 'JSON schema conversion failed:\nUnrecognized schema: {"not":{}}',
        type: 'invalid_request_error',
      },
    }),
  ),
  sch(
    'F43 llama 500',
    500,
    JSON.stringify({
      error: { code: 500, message: 'Failed to initialize samplers: failed to parse grammar', type: 'server_error' },
    }),
  ),
  sch(
    'F43 llguidance',
    400,
    JSON.stringify({
      object: 'error',
      message: 'Grammar error: Unimplemented keys: ["patternProperties"]',
      type: 'BadRequestError',
      code: 400,
    }),
  ),
  sch(
    'F43 xgrammar',
    400,
    JSON.stringify({
      object: 'error',
      message: 'The provided JSON schema contains features not supported by xgrammar.',
      type: 'BadRequestError',
      code: 400,
    }),
  ),
  sch(
    'F43 sglang',
    400,
    JSON.stringify({ object: 'error', message: 'Failed to compile json grammar: err', type: 'BadRequestError', code: 400 }),
  ),
  sch(
    'F43 openai',
    400,
    E("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model. Learn more", {
      param: 'response_format',
    }),
  ),
  sch(
    'F43 groq',
    400,
    E('This model does not support response format `json_schema`. See supported models at', { param: 'response_format' }),
  ),
  sch('F43 deepseek', 400, E('This response_format type is unavailable now')),
  sch('F43 zh', 400, E('模型不支持结构化输出')),
  sch(
    'F43 states',
    400,
    JSON.stringify([
      {
        error: {
          code: 400,
          message: 'The specified schema produces a constraint that has too many states for serving.',
          status: 'INVALID_ARGUMENT',
        },
      },
    ]),
  ),
  sch(
    'F43 gemini',
    400,
    JSON.stringify([
      {
        error: {
          code: 400,
          message:
            'Invalid JSON payload received. Unknown name "additionalProperties" at \'generation_config.response_schema\': Cannot find field.',
          status: 'INVALID_ARGUMENT',
        },
      },
    ]),
  ),
  sch(
    'F43 value',
    400,
    E("Invalid value: 'json_schema'. Supported values are: 'text' and 'json_object'.", { param: 'response_format.type' }),
  ),
  sch('F43 pyd', 422, pyd(['body', 'response_format', 'type'], "Input should be 'text' or 'json_object'")),
  sch(
    'F43 pyd strict',
    422,
    pyd(['body', 'response_format', 'json_schema', 'strict'], 'Extra inputs are not permitted'),
    body => body.response_format?.json_schema?.strict !== undefined,
  ),
  sch('F43 regex', 400, E('Invalid regex in JSON schema: look-around not supported')),
  sch(
    'F43 outlines',
    500,
    JSON.stringify({ object: 'error', message: 'outlines: Unsupported JSON Schema structure', code: 500 }),
  ),
  sch(
    'F43 bedrock',
    400,
    JSON.stringify({ message: 'The value at output_config.format.schema is invalid: unsupported keyword' }),
  ),
  sch(
    'F43 ark',
    400,
    E(
      'The parameter `response_format.type` specified in the request are not valid: `json_schema` is not supported by this model.',
      { code: 'InvalidParameter', param: 'response_format.type' },
    ),
  ),
  field('F44 mistral', 422, pyd(['body', 'seed'], 'Extra inputs are not permitted')),
  field(
    'F44 mistral msg',
    422,
    JSON.stringify({
      object: 'error',
      message: { detail: [{ type: 'extra_forbidden', loc: ['body', 'seed'], msg: 'Extra inputs are not permitted', input: 7 }] },
    }),
  ),
  field('F44 groq', 400, E("property 'seed' is unsupported")),
  field('F44 cohere', 422, JSON.stringify({ message: "unknown field: parameter 'seed' is not a valid field" })),
  field('F44 anthropic', 400, E('seed: Extra inputs are not permitted')),
  field('F44 xai', 400, JSON.stringify({ code: 'x', error: 'Argument not supported on this model: seed' })),
  field('F44 azure', 400, E("Unknown parameter: 'seed'.")),
  field('F44 zh', 400, E('不支持的参数: seed')),
  field('F44 zh2', 400, E('参数 seed 不支持')),
  field(
    'F44 aws',
    400,
    JSON.stringify({
      message: 'Malformed input request: #: extraneous key [seed] is not permitted, please reformat your input and try again.',
    }),
  ),
  field(
    'F44 aws stop',
    400,
    JSON.stringify({ message: 'Malformed input request: #: extraneous key [stop] is not permitted' }),
    'stop',
  ),
  field('F44 fireworks', 400, E("Extra inputs are not permitted, field: 'seed', value: 7")),
  field(
    'F44 cerebras',
    400,
    JSON.stringify({
      message: "body.seed: property 'body.seed' is unsupported",
      type: 'invalid_request_error',
      param: 'seed',
      code: 'wrong_api_format',
    }),
  ),
  field('F44 go', 400, 'json: unknown field "seed"\n'),
  field('F44 go err', 400, JSON.stringify({ error: 'json: unknown field "top_k"' }), 'top_k'),
  field(
    'F44 serde',
    422,
    'Failed to deserialize the JSON body into the target type: unknown field `seed`, expected one of `model`, `messages` at line 1 column 40',
  ),
  field('F44 jsonschema', 400, E("Additional properties are not allowed ('seed', 'top_k' were unexpected)"), 'seed'),
  field(
    'F44 two',
    422,
    JSON.stringify({
      detail: [
        { loc: ['body', 'seed'], msg: 'extra fields not permitted', type: 'value_error.extra' },
        { loc: ['body', 'top_k'], msg: 'extra fields not permitted', type: 'value_error.extra' },
      ],
    }),
    'top_k',
  ),
  field('F44 not impl', 400, E('`seed` is not currently supported')),
  field('F44 cannot', 400, E("You cannot specify both 'temperature' and 'top_p' for this model. Please use only one."), 'top_p'),
  field('F44 claude', 400, E('`temperature` and `top_p` cannot both be specified for this model. Please use only one.'), 'top_p'),
  field('F44 deprecated', 400, E('`temperature` is deprecated for this model.'), 'temperature'),
  field('F44 disabled', 400, E("'stop' is not supported with this model.", { param: 'stop' }), 'stop'),
  field('F44 500', 500, JSON.stringify({ detail: "create() got an unexpected keyword argument 'seed'" })),
  field('F44 422 plain', 422, JSON.stringify({ detail: 'Unsupported parameter: seed' })),
  field('F44 unsup list', 400, E('The following parameters are not supported: seed, top_k'), 'seed'),
  field(
    'F44 litellm',
    400,
    E(
      "litellm.UnsupportedParamsError: openai does not support parameters: ['seed'], for model=x. To drop these, set `litellm.drop_params=True`",
    ),
  ),
  field('F44 inband', 200, `data: ${E('Unrecognized request argument supplied: seed', { code: 400 })}\n\n`),
  ['F44 strict groq', 400, E("'tools.0.function' : property 'strict' is unsupported"), toolsStrict, isStrict],
  [
    'F44 strict pyd',
    422,
    pyd(['body', 'tools', 0, 'function', 'strict'], 'Extra inputs are not permitted'),
    toolsStrict,
    isStrict,
  ],
  ['F44 strict path', 400, E('tools[0].function.strict: Extra inputs are not permitted'), toolsStrict, isStrict],
  [
    'F44 strict serde',
    422,
    E('tools[0].function: unknown field `strict`, expected one of `name`, `description`, `parameters`'),
    toolsStrict,
    isStrict,
  ],
  [
    'F44 stream_options nested',
    422,
    pyd(['body', 'stream_options', 'include_usage'], 'Extra inputs are not permitted'),
    { prompt: 'Hi' },
    has('stream_options'),
  ],
  [
    'F44 reasoning groq',
    400,
    E(
      "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
    ),
    {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b', reasoningText: 'r' },
        { role: 'user', content: 'c' },
      ],
    },
    body => JSON.stringify(body.messages).includes('reasoning_content'),
    undefined,
    baseURL => openaiCompatible('m', { baseURL, retry: 0, reasoningHistory: 'keep' }),
  ],
  role(
    'F45 mistral',
    422,
    pyd(
      ['body', 'messages', 0],
      "Input tag 'developer' found using 'role' does not match any of the expected tags: 'system', 'user', 'assistant', 'tool'",
    ),
  ),
  role('F45 qwen', 400, E("developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.['0].role'")),
  role(
    'F45 openai',
    400,
    E("Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user', 'function', and 'tool'.", {
      param: 'messages[0].role',
    }),
  ),
  role('F45 groq', 400, E("'messages.0' : discriminator property 'role' has invalid value")),
  role('F45 zhipu', 400, JSON.stringify({ error: { code: '1214', message: '角色信息不正确' } })),
  role('F45 zh', 400, E('messages 中 role 只能为 system、user、assistant、tool')),
  role('F45 litellm', 400, E('Invalid role: developer')),
  role('F45 jinja', 500, JSON.stringify({ error: { code: 500, message: 'Unexpected message role.', type: 'server_error' } })),
  role(
    'F45 sglang',
    400,
    E("1 validation error for ChatCompletionRequest messages.0.role Input should be 'system', 'user', 'assistant' or 'tool'"),
  ),
  role(
    'F45 ernie',
    400,
    JSON.stringify({
      error: { code: 'invalid_messages', message: 'the role of message[0] should be one of system,user,assistant,function' },
    }),
  ),
  role(
    'F45 cohere',
    400,
    JSON.stringify({ message: "invalid request: 'messages[0].role' must be one of the following: [USER ASSISTANT TOOL SYSTEM]" }),
  ),
  ids(
    'F56 openai',
    400,
    E(
      "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 10, but got a string with length 14 instead.",
      { code: 'string_above_max_length' },
    ),
  ),
  ids('F56 anthropic', 400, E("messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")),
  ids(
    'F56 bedrock',
    400,
    JSON.stringify({
      message:
        "1 validation error detected: Value 'call:00|abcdef' at 'messages.2.member.content.1.member.toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
    }),
  ),
  ids(
    'F56 mistral',
    400,
    JSON.stringify({
      object: 'error',
      message: 'Tool call id was call:00|abcdef but must be a-z, A-Z, 0-9, with a length of 9.',
      code: '3280',
    }),
  ),
  ids(
    'F56 mistral 422',
    422,
    pyd(['body', 'messages', 1, 'assistant', 'tool_calls', 0, 'id'], "String should match pattern '^[a-zA-Z0-9]{9}$'"),
  ),
  ids('F56 bedrock, its own words', 400, JSON.stringify({ message: 'tool_use ids must match ^[a-zA-Z0-9_-]{1,64}$' })),
  ids('F56 zh', 400, E('tool_call_id 长度不能超过 10')),
]

const answer = '{"a":"x"}'
const whole = JSON.stringify({ choices: [{ message: { role: 'assistant', content: answer }, finish_reason: 'stop' }] })

const named = cases.map(([name, status, refusal, input, isWrong, isRight, target]) => ({
  ...{ name, status, refusal, input, isWrong, isRight, target },
}))

test.each(named)('$name', async ({ status, refusal, input, isWrong, isRight, target = plain }) => {
  const server = await startRecorder(({ body: sent }) => {
    const body = sent as Body
    if (isWrong(body)) return { status, body: refusal }
    return body['stream'] === false ? { body: whole } : chatStream(answer)
  })
  const result = await createClient({ chain: [target(server.origin)] }).generate(input)
  expect(result.text).toBe(answer)
  expect(server.requests.length).toBeGreaterThan(1)
  expect(isRight?.(server.requests.at(-1)?.body as Body)).not.toBe(false)
  expect(result.warnings.length).toBeGreaterThan(0)
})

test.each([
  ['F40', 400, E('Non-streaming is not supported for this model')],
  ['F40', 400, E('stream=false is not supported')],
  ['F40', 400, E('不支持非流式输出')],
  ['F41', 400, E('max_tokens (2000) exceeds the maximum context length of 1048')],
  ['F44', 500, E("An unexpected error occurred at 'seed'")],
  ['F44', 500, E('Unexpected end of stream')],
  ['F45', 500, E('Unexpected error')],
  ['F45', 403, E('Your role is not permitted to use this model')],
])('%s: %i %s names no cure, and is not asked again', async (_, status, refusal) => {
  const server = await startRecorder(() => ({ status, body: refusal }))
  const client = createClient({ chain: [openai({ baseURL: server.origin, apiKey: 'k', retry: 0 })], retry: { rounds: 1 } })
  const failed = client.generate({ prompt: 'Hi', system: 'S', maxOutputTokens: 2000, seed: 7 })
  await expect(failed).rejects.toMatchObject({ name: 'ChainExhaustedError' })
  expect(server.requests).toHaveLength(1)
})
