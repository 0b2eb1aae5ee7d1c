import { expect, test } from 'vitest'
import { estimateOf, reportedTokens, tokensOf } from '../../../src/health/request-size.ts'
import type { Sized } from '../../../src/health/request-size.ts'

const text = 'a'.repeat(40)
const call = (more: Partial<Sized> = {}): Sized => ({
  messages: [{ role: 'user', content: text }],
  maxOutputTokens: undefined,
  tools: undefined,
  ...more,
})

test('four characters are a token, of all messages together, and the longest answer counts', () => {
  expect(tokensOf(call())).toBe(10)
  expect(tokensOf(call({ maxOutputTokens: 100 }))).toBe(110)
  const messages = [{ role: 'system', content: 'ab' } as const, { role: 'user', content: text } as const]
  expect(tokensOf(call({ messages }))).toBe(11)
})

test('of a message in parts the texts count, and an image as a thousand tokens', () => {
  const image = { type: 'image', image: 'data:image/png;base64,AAAA' } as const
  const content = [{ type: 'text', text } as const, image, image]
  expect(tokensOf(call({ messages: [{ role: 'user', content }] }))).toBe(2_010)
})

test('tools count as they are sent, and tools that cannot be sent count as nothing', () => {
  const tools = { weather: { description: 'The weather.', inputSchema: { type: 'object' } } }
  expect(tokensOf(call({ tools }))).toBe(Math.ceil((40 + JSON.stringify(tools).length) / 4))
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  expect(tokensOf(call({ tools: { weather: { inputSchema: circular } } }))).toBe(10)
})

test('the estimate of what a request uses has whole tokens, with the longest answer if there is one', () => {
  const input = estimateOf(call())
  expect(Number.isInteger(input)).toBe(true)
  expect(input).toBeGreaterThan(10)
  expect(estimateOf(call({ maxOutputTokens: 100 }))).toBe(input + 100)
})

test.for([
  ['both counts', { inputTokens: 3, outputTokens: 4 }, 7],
  ['counts of zero', { inputTokens: 0, outputTokens: 0 }, 0],
  ['the largest count', { inputTokens: 0, outputTokens: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
  ['nothing', undefined, 100],
  ['no output', { inputTokens: 3 }, 100],
  ['no input, and a small output', { outputTokens: 4 }, 100],
  ['no input, and a large output', { outputTokens: 400 }, 400],
  ['a negative input', { inputTokens: -3, outputTokens: 4 }, 100],
  ['a negative output', { inputTokens: 3, outputTokens: -4 }, 100],
  ['an input without an end', { inputTokens: Infinity, outputTokens: 4 }, 100],
  ['an output without an end', { inputTokens: 3, outputTokens: Infinity }, 100],
  ['an output that is no number', { inputTokens: 3, outputTokens: Number.NaN }, 100],
] as const)(
  'a server reported %s: what is no count leaves the estimate, so that it gives no tokens back',
  ([, usage, expected]) => {
    expect(reportedTokens(usage, 100)).toBe(expected)
  },
)
