import { expect, test } from 'vitest'
import { estimateOf, tokensOf } from '../../../src/health/request-size.ts'
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
