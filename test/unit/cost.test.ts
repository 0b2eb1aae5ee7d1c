import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Call } from '../../src/contract.ts'
import type { AttemptRecord } from '../../src/contract-events.ts'
import type { FailureReason } from '../../src/contract-failures.ts'
import { billOf, costOfAll, costsOf } from '../../src/cost.ts'
import { isRefusal, worstCostOf } from '../../src/cost-estimate.ts'

const price = { input: 2, cachedInput: 0.5, output: 10 }
const million = 1_000_000
const costOf = (...given: Parameters<typeof billOf>) => billOf(...given).dollars

test('tokens of the cache have their own price, and the others theirs', () => {
  expect(costOf(price, { inputTokens: million, cachedInputTokens: 400_000, outputTokens: million })).toBeCloseTo(1.2 + 0.2 + 10)
  expect(costOf({ input: 2, output: 10 }, { inputTokens: million, cachedInputTokens: million, outputTokens: 0 })).toBe(2)
  // a server that says more of the cache than of the whole does not lower the bill below that
  expect(costOf(price, { inputTokens: 10, cachedInputTokens: million, outputTokens: 0 })).toBeCloseTo((10 * 0.5) / million)
})

test('what is not known is not 0; what is free is 0 without any usage', () => {
  expect(costOf(undefined, { inputTokens: 1, outputTokens: 1 })).toBeUndefined()
  expect(costOf(price, undefined)).toBeUndefined()
  expect(costOf(price, { inputTokens: 5 })).toBeUndefined()
  for (const count of [-1, Number.NaN, Infinity, -Infinity]) {
    expect(costOf(price, { inputTokens: 1, outputTokens: count })).toBeUndefined()
    expect(costOf(price, { inputTokens: count, outputTokens: 1 })).toBeUndefined()
    expect(costOf(price, { inputTokens: 1, cachedInputTokens: count, outputTokens: 1 })).toBeUndefined()
  }
  expect(costOf({ input: 0, cachedInput: 0, output: 0 }, undefined)).toBe(0)
})

test('input that is not reported is not free, unless it costs nothing', () => {
  const output = { outputTokens: million }
  expect(costOf(price, output)).toBeUndefined()
  expect(costOf({ input: 0, cachedInput: 1, output: 3 }, output)).toBeUndefined()
  expect(costOf({ input: 0, output: 3 }, output)).toBe(3)
  expect(costOf({ input: 0, output: 3, rules: [{ weekdays: [1], input: 0, output: 3 }] }, output)).toBe(3)
  expect(costOf({ input: 0, output: 3, rules: [{ weekdays: [1], input: 1, output: 3 }] }, output)).toBeUndefined()
  expect(costOf({ input: 0, output: 3, rules: [{ aboveInputTokens: 9, input: 0, output: 5 }] }, output)).toBeUndefined()
})

const record = (fields: Partial<AttemptRecord>): AttemptRecord => ({ attempt: 1, outcome: 'failed', ...fields }) as AttemptRecord

test('the answer, the waste and the unknown are told apart, and the unknown are in no sum', () => {
  const attempts = [
    record({ attempt: 0, outcome: 'skipped', cost: 0 }),
    record({ cost: 1 }),
    record({ cost: undefined, worstCost: 16 }),
    record({ outcome: 'abandoned', cost: undefined, worstCost: undefined }),
    record({ outcome: 'answered', cost: 2 }),
    record({ outcome: 'answered', cost: 4 }),
  ]
  expect(costsOf(attempts)).toEqual({ answered: 6, wasted: 1, unknownAttempts: 2, estimated: 16 })
  expect(costOfAll(attempts)).toBe(7)
  const unknown = [...attempts, record({ outcome: 'answered', cost: undefined, worstCost: 32 })]
  expect(costsOf(unknown)).toEqual({ answered: undefined, wasted: 1, unknownAttempts: 3, estimated: 48 })
  expect(costOfAll(unknown)).toBeUndefined()
  expect(costsOf([])).toEqual({ answered: 0, wasted: 0, unknownAttempts: 0, estimated: 0 })
})

const call = (fields: Partial<Call>): Call => ({ model: 'm', messages: [], metadata: {}, ...fields })

test('the worst case counts bytes, not letters, and an image by a constant', () => {
  const ofPrompt = (content: string) =>
    worstCostOf({ input: million, output: 0 }, call({ messages: [{ role: 'user', content }] }))
  expect(ofPrompt('x'.repeat(300))! - ofPrompt('')!).toBe(100)
  expect(ofPrompt('海'.repeat(100))! - ofPrompt('')!).toBe(100)
  const image = { type: 'image', image: `data:image/png;base64,${'A'.repeat(million)}` } as const
  const withImage = worstCostOf({ input: million, output: 0 }, call({ messages: [{ role: 'user', content: [image] }] }))
  expect(withImage! - ofPrompt('')!).toBe(2_000)
})

test('tools, schemas, thoughts, tool calls and prefixes are part of the prompt', () => {
  const tokens = (fields: Partial<Call>) => worstCostOf({ input: million, output: 0 }, call(fields))!
  const text = 'x'.repeat(3_000)
  expect(tokens({ tools: { look: { description: text, inputSchema: {} } } })).toBeGreaterThanOrEqual(1_000)
  expect(tokens({ output: { type: 'json', schema: { title: text } } })).toBeGreaterThanOrEqual(1_000)
  expect(tokens({ prefix: { text, reasoningText: text } })).toBe(2_000)
  expect(tokens({ messages: [{ role: 'assistant', content: '', reasoningText: text }] })).toBeGreaterThanOrEqual(1_000)
  const toolCalls = [{ toolCallId: 'a', toolName: 'look', input: { text } }]
  expect(tokens({ messages: [{ role: 'assistant', content: '', toolCalls }] })).toBeGreaterThanOrEqual(1_000)
})

test('without maxOutputTokens 4,096 tokens of output are counted, and a price of nothing makes a worst case of nothing', () => {
  expect(worstCostOf({ input: 0, output: million }, call({}))).toBe(4_096)
  expect(worstCostOf({ input: 0, output: million }, call({ maxOutputTokens: 7 }))).toBe(7)
  expect(worstCostOf({ input: 0, output: 0 }, call({}))).toBe(0)
  expect(worstCostOf(undefined, call({}))).toBeUndefined()
})

test('the worst case is never below what the same tokens cost', () => {
  const dollars = fc.double({ min: 0, max: 1_000, noNaN: true })
  fc.assert(
    fc.property(dollars, dollars, dollars, fc.nat(5_000), fc.nat(5_000), (input, cachedInput, output, words, maxOutputTokens) => {
      const any = { input, cachedInput, output }
      const worst = worstCostOf(any, call({ messages: [{ role: 'user', content: 'abc'.repeat(words) }], maxOutputTokens }))!
      const usage = { inputTokens: words, cachedInputTokens: words >> 1, outputTokens: maxOutputTokens }
      expect(worst).toBeGreaterThanOrEqual(costOf(any, usage)! * (1 - 1e-9))
    }),
  )
})

test.for([
  ['rate-limit', 429, undefined, true],
  ['authentication', 401, undefined, true],
  ['invalid-request', 422, undefined, true],
  ['overloaded', 503, 1_000, true],
  ['overloaded', 529, 1_000, true],
  ['overloaded', 503, undefined, false],
  ['server-error', 500, 1_000, false],
  ['server-error', 502, undefined, false],
  ['timeout', 504, undefined, false],
  ['timeout', 408, undefined, false],
  ['network', 499, undefined, false],
  ['content-filter', 400, undefined, false],
  ['context-length', 400, undefined, false],
  ['truncated', 200, undefined, false],
  ['network', undefined, undefined, false],
] as const)('%s with %s, named time %s: not billed is %s', ([reason, status, retryAfterMs, expected]) => {
  expect(isRefusal({ reason: reason satisfies FailureReason, retryAfterMs }, status)).toBe(expected)
})
