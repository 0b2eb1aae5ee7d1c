import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { failureNumbers, type FailureNumbers } from '../../../../src/providers/chat-failure/failure-numbers.ts'
import { leastMs } from '../../../helpers/least-ms.ts'

type Row = readonly [source: string, text: string, numbers: Partial<FailureNumbers>]

const context = (contextTokens: number, inputTokens: number, outputTokens?: number): Partial<FailureNumbers> => ({
  contextTokens,
  inputTokens,
  ...(outputTokens === undefined ? undefined : { outputTokens }),
  requestedTokens: inputTokens + (outputTokens ?? 0),
  ...(contextTokens > inputTokens ? { roomTokens: contextTokens - inputTokens } : undefined),
})

const rows: readonly Row[] = [
  ['GitHub Copilot', 'prompt token count of 130000 exceeds the limit of 128000', context(128_000, 130_000)],
  [
    'Mistral',
    'Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
    context(32_768, 65_673),
  ],
  ['watsonx', 'the number of input tokens 600 cannot exceed the total tokens limit 512 for this model', context(512, 600)],
  ['Chinese, a prompt that is too long', '输入长度不能超过4096，您输入了5000个token', {}],
  ['Chinese, the limit of another setting', 'max_tokens参数错误，top_k不能超过100', {}],
  ['a name with a number', 'moonshot-v1-8k and gpt-4-32k take 8k-style names, not a limit', {}],
  ['GitHub Models', 'Request body too large for gpt-4o model. Max size: 8000 tokens.', { contextTokens: 8_000 }],
  [
    'DeepSeek, OpenAI',
    "This model's maximum context length is 1048576 tokens. However, you requested 1058576 tokens (1000000 in the messages, 58576 in the completion). Please reduce the length of the messages or completion.",
    context(1_048_576, 1_000_000, 58_576),
  ],
  [
    'OpenAI with functions',
    "This model's maximum context length is 4097 tokens. However, you requested 5300 tokens (1000 in the messages, 300 in the functions, and 4000 in the completion).",
    context(4097, 1300, 4000),
  ],
  [
    'OpenAI completions',
    "This model's maximum context length is 4097 tokens, however you requested 4140 tokens (44 in your prompt; 4096 for the completion).",
    context(4097, 44, 4096),
  ],
  [
    'OpenAI, input alone',
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
    context(8192, 9001),
  ],
  [
    'DeepSeek with images',
    "This model's maximum context length is 1048576 tokens. However, the request resolved to 1000000 input tokens (including image/vision expansion).",
    context(1_048_576, 1_000_000),
  ],
  [
    'OpenRouter',
    "This endpoint's maximum context length is 163840 tokens. However, you requested about 200300 tokens (180000 of text input, 300 of tool input, 20000 in the output).",
    context(163_840, 180_300, 20_000),
  ],
  [
    'vLLM',
    "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 20 input tokens (5000 > 4096 - 20).",
    context(4096, 20, 5000),
  ],
  [
    'vLLM 0.9',
    "This model's maximum context length is 2048 tokens. However, you requested 2000 output tokens and your prompt contains 600 input tokens, for a total of 2600 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
    context(2048, 600, 2000),
  ],
  [
    'vLLM, at least',
    "This model's maximum context length is 128000 tokens. However, you requested 65535 output tokens and your prompt contains at least 62466 input tokens, for a total of at least 128001 tokens.",
    context(128_000, 62_466, 65_535),
  ],
  [
    'vLLM, the other way round',
    "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 3996 tokens.",
    context(4096, 5000, 100),
  ],
  ['vLLM, decoder', 'The decoder prompt (length 5000) is longer than the maximum model length of 4096.', context(4096, 5000)],
  [
    'SGLang',
    "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of 2600 tokens: 600 tokens from the input messages and 2000 tokens for the completion. Please reduce the number of tokens.",
    context(2048, 600, 2000),
  ],
  ['SGLang, input', "The input (5000 tokens) is longer than the model's context length (4096 tokens).", context(4096, 5000)],
  ['SGLang, length', "Input length (265330) exceeds model's maximum context length (262144).", context(262_144, 265_330)],
  ['SGLang, allowed', 'Input length (5000 tokens) exceeds the maximum allowed length (4090 tokens).', context(4090, 5000)],
  [
    'TGI',
    'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 600 `inputs` tokens and 4000 `max_new_tokens`',
    context(4096, 600, 4000),
  ],
  ['TGI, input', 'Input validation error: `inputs` must have less than 1024 tokens. Given: 2000', context(1024, 2000)],
  [
    'TensorRT-LLM',
    'The sum of prompt length (600.0) and max_tokens (4000) should not exceed max_seq_len (4096)',
    context(4096, 600, 4000),
  ],
  ['llama.cpp', 'the request exceeds the available context size (2048 tokens), try increasing it', { contextTokens: 2048 }],
  ['llama.cpp, both', 'request (5000 tokens) exceeds the available context size (2048 tokens)', context(2048, 5000)],
  [
    'LM Studio',
    'Trying to keep the first 5000 tokens when context overflows. However, the model is loaded with context length of only 4096 tokens',
    context(4096, 5000),
  ],
  [
    'LM Studio, n_keep',
    'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5000>= n_ctx: 4096)',
    context(4096, 5000),
  ],
  ['Anthropic', 'prompt is too long: 208310 tokens > 200000 maximum', context(200_000, 208_310)],
  [
    'Anthropic, sum',
    'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again',
    context(200_000, 190_000, 20_000),
  ],
  ['xAI', "This model's maximum prompt length is 131072 but the request contains 537812 tokens.", context(131_072, 537_812)],
  [
    'Google',
    'The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).',
    context(1_048_575, 1_196_265),
  ],
  ['Alibaba', 'Range of input length should be [1, 30720]', { contextTokens: 30_720 }],
  ['SiliconFlow', 'length of prompt_tokens (70000) must be less than max_seq_len (65536).', context(65_536, 70_000)],
  [
    'Kimi (F27)',
    'Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)',
    { contextTokens: 262_144, requestedTokens: 269_030 },
  ],
  [
    'Mistral',
    'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
    { inputTokens: 40_000 },
  ],
  ['Cohere', 'too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.', context(4081, 5000)],
  [
    'Cerebras',
    'Please reduce the length of the messages or completion. Current length is 8193 while limit is 8192',
    context(8192, 8193),
  ],
  ['Fireworks', 'The prompt is too long: 5000, model maximum context length: 4095', context(4095, 5000)],
  [
    'Groq, by the minute (F19)',
    'Rate limit reached for model `x` in organization `y` on tokens per minute (TPM): Limit 7000, Used 0, Requested 12903. Please try again in 50s.',
    { contextTokens: 7000, requestedTokens: 12_903 },
  ],
  [
    'OpenAI, by the minute',
    'Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 41136. The input or output tokens must be reduced.',
    { contextTokens: 30_000, requestedTokens: 41_136 },
  ],
  [
    'OpenAI, ceiling (F41)',
    'max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.',
    { outputCeiling: 16_384, outputTokens: 32_000 },
  ],
  ['DeepSeek, ceiling (F41)', 'Invalid max_tokens value, the valid range of max_tokens is [1, 8192]', { outputCeiling: 8192 }],
  ['Alibaba, ceiling', 'Range of max_tokens should be [1, 8192]', { outputCeiling: 8192 }],
  ['MiniMax, ceiling', 'max_tokens must be in range (0, 8192]', { outputCeiling: 8192 }],
  ['half open', 'max_tokens must be in the range [1, 8193)', { outputCeiling: 8192 }],
  [
    'Groq, ceiling',
    '`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model',
    { outputCeiling: 8192 },
  ],
  [
    'Ark, ceiling',
    'The parameter `max_tokens` specified in the request is not valid: integer above maximum value, expected a value <= 12288, but got 16384 instead.',
    { outputCeiling: 12_288, outputTokens: 16_384 },
  ],
  [
    'OpenAI, integer',
    "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 4096, but got 32000 instead.",
    { outputCeiling: 4096, outputTokens: 32_000 },
  ],
  [
    'Anthropic, ceiling',
    'max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet',
    { outputCeiling: 8192, outputTokens: 32_000 },
  ],
  [
    'Bedrock, ceiling',
    'The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096.',
    { outputCeiling: 4096 },
  ],
  [
    'Google, ceiling',
    'Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive).',
    { outputCeiling: 65_536, outputTokens: 100_000 },
  ],
  ['pydantic, ceiling', 'max_tokens: Input should be less than or equal to 8192', { outputCeiling: 8192 }],
  ['below', 'max_tokens must be less than 8192', { outputCeiling: 8191 }],
  ['between', 'max_completion_tokens must be between 1 and 16384', { outputCeiling: 16_384 }],
  ['Chinese', 'max_tokens参数取值范围应为 [1, 4096]', { outputCeiling: 4096 }],
  [
    'maximum first',
    'The maximum output tokens allowed is 8192, but max_tokens is 9000',
    { outputCeiling: 8192, outputTokens: 9000 },
  ],
  [
    'OpenRouter, 402 (F12)',
    'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104. To increase, visit ...',
    { outputTokens: 65_536, affordableTokens: 30_104 },
  ],
  ['afford, the other way', 'Your balance can only afford 512 tokens', { affordableTokens: 512 }],
  ['no numbers', 'Your input exceeds the context window of this model', {}],
  ['other numbers', 'Expected an array of length 3 at messages[12]', {}],
  ['concurrency', 'Your current concurrency is 26, which exceeds your concurrency limit of 25', {}],
]

const none: FailureNumbers = {
  contextTokens: undefined,
  requestedTokens: undefined,
  inputTokens: undefined,
  outputTokens: undefined,
  outputCeiling: undefined,
  affordableTokens: undefined,
  roomTokens: undefined,
}

/** What a row does not speak of may follow from what it says: a sum, a room. */
function said(text: string, expected: Partial<FailureNumbers>): Partial<FailureNumbers> {
  const found = failureNumbers(text)
  return Object.fromEntries(Object.keys(expected).map(name => [name, found[name as keyof FailureNumbers]]))
}

describe('the numbers in a wording', () => {
  test.each(rows)('%s: %s', (_, text, expected) => {
    expect(said(text, expected)).toEqual(expected)
    if (Object.keys(expected).length === 0) expect(failureNumbers(text)).toEqual(none)
    if (expected.outputCeiling !== undefined) expect(failureNumbers(text).contextTokens).toBeUndefined()
    if (expected.contextTokens !== undefined) expect(failureNumbers(text).outputCeiling).toBeUndefined()
  })

  test.each(rows)('%s, with separators and quotes', (_, text, expected) => {
    for (const separator of [',', '_', '\u202f']) {
      const grouped = text.replace(/\d{4,}/g, digits => digits.replace(/\B(?=(?:\d{3})+$)/g, separator))
      expect(said(grouped, expected)).toEqual(expected)
    }
    expect(said(text.toUpperCase(), expected)).toEqual(expected)
    expect(said(text.replaceAll(' ', '\n  '), expected)).toEqual(expected)
  })
})

test('the numbers stand for what the words say, whatever they are', () => {
  const tokens = fc.integer({ min: 1, max: 2_000_000 })
  fc.assert(
    fc.property(tokens, tokens, tokens, (limit, input, output) => {
      const numbers = [
        `maximum context length is ${limit} tokens. However, you requested ${input + output} tokens (${input} in the messages, ${output} in the completion)`,
        `you requested ${output} output tokens and your prompt contains ${input} input tokens; the maximum context length is ${limit} tokens`,
        `your prompt contains ${input} input tokens and you requested ${output} output tokens, but the context length is only ${limit}`,
        `${input} tokens from the input messages and ${output} tokens for the completion: maximum context length of ${limit} tokens`,
      ].map(failureNumbers)
      const roomTokens = limit > input ? limit - input : undefined
      for (const found of numbers)
        expect(found).toMatchObject({
          contextTokens: limit,
          inputTokens: input,
          outputTokens: output,
          requestedTokens: input + output,
          roomTokens,
        })
    }),
  )
})

test('numbers are whole and not below zero, whatever a server writes', () => {
  const word = fc.constantFrom(
    ...[
      'maximum',
      'context',
      'length',
      'is',
      'max_tokens',
      'range',
      'of',
      'tokens',
      'input',
      'output',
      'requested',
      'afford',
      'at most',
    ],
    ...['[1, 20]', '(5', '100)', '-3', '1e9', '99999999999999999999', '0', '4,096', '<=', '>', '.', ':', '+'],
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), words => {
      for (const value of Object.values(failureNumbers(words.join(' '))))
        expect(value === undefined || (Number.isSafeInteger(value) && value >= 0)).toBe(true)
    }),
  )
})

test('no text takes long to read', () => {
  const pieces = [
    'max_tokens ',
    'max_tokens[',
    '(1',
    '1',
    ' tokens',
    'maximum ',
    'input length ',
    '1,111',
    'requested ',
    ' ',
    '\n',
    '"',
    'ı',
  ]
  for (const piece of pieces) {
    for (const end of ['', '[1, 2', ' x']) {
      const text = piece.repeat(200_000) + end
      expect(leastMs(() => failureNumbers(text), 50)).toBeLessThan(50)
    }
  }
})
