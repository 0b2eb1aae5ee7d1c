import { expect, test } from 'vitest'
import { finishOf } from '../../../../src/providers/chat-answer/finish.ts'
import { usageOf } from '../../../../src/providers/chat-answer/usage.ts'

test.each([
  ['stop', 'stop'],
  ['eos', 'stop'],
  ['eos_token', 'stop'],
  ['STOP', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['tool_calls', 'tool-calls'],
  ['function_call', 'tool-calls'],
  ['content_filter', 'content-filter'],
  ['something new', 'other'],
  ['constructor', 'other'],
  ['__proto__', 'other'],
])('the finish reason %s means %s', (raw, finishReason) => {
  expect(finishOf(raw)).toEqual({ finishReason })
})

test('only the beginning of a finish reason is read', () => {
  expect(finishOf(`max${' '.repeat(300)}token`)).toEqual({ finishReason: 'other' })
})

test.each([
  ['insufficient_system_resource', 'overloaded'],
  ['aborted', 'truncated'],
  ['abort', 'truncated'],
  ['error', 'server-error'],
  ['repetition', 'invalid-output'],
])('the finish reason %s is the failure %s (R28)', (raw, failure) => {
  expect(finishOf(raw)).toMatchObject({ failure })
})

test('what is not reported is undefined, and 0 is a number', () => {
  expect(usageOf({ prompt_tokens: 5, completion_tokens: 0 })).toEqual({
    inputTokens: 5,
    cachedInputTokens: undefined,
    outputTokens: 0,
    reasoningTokens: undefined,
    totalTokens: undefined,
  })
})

test.each([
  [{ prompt_tokens_details: { cached_tokens: 3 } }, { cachedInputTokens: 3 }],
  [{ prompt_cache_hit_tokens: 4 }, { cachedInputTokens: 4 }],
  [{ prompt_tokens_details: null, cached_tokens: 5 }, { cachedInputTokens: 5 }],
  [{ completion_tokens_details: { reasoning_tokens: 6 } }, { reasoningTokens: 6 }],
  [{ reasoning_tokens: 7 }, { reasoningTokens: 7 }],
  [
    { input_tokens: 8, output_tokens: 9 },
    { inputTokens: 8, outputTokens: 9 },
  ],
])('%j', (raw, expected) => {
  expect(usageOf(raw)).toMatchObject(expected)
})

test.each([null, undefined, 5, 'x', [], {}, { prompt_tokens: 'five' }, { prompt_tokens: -1 }, { prompt_tokens: null }])(
  '%j is no usage',
  raw => {
    expect(usageOf(raw)).toBeUndefined()
  },
)
