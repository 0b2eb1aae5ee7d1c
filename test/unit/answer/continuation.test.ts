import { expect, test } from 'vitest'
import type { Source } from '../../../src/contract-events.ts'
import type { FailureReason } from '../../../src/contract-failures.ts'
import { ProviderError } from '../../../src/errors.ts'
import { addUsage } from '../../../src/usage.ts'
import {
  prefixWasRefused,
  type Continuation,
  type Kept,
  overridesFor,
  continuationFailed,
  type ContinuationOptions,
  mayContinue,
} from '../../../src/answer/continuation.ts'

const options: ContinuationOptions = {
  afterFirstToken: 'continue',
  continueOnLength: 0,
  maxOutputTokens: undefined,
  isPlainText: true,
}
const createContinuation = (given: ContinuationOptions): Continuation => ({
  options: given,
  lengthsLeft: given.continueOnLength,
  isLength: false,
  asked: undefined,
})
const kept: Kept = { text: 'Hello', reasoningText: 'hm', tokens: 3, hasToolCall: false, usage: {} }
const failure = (reason: FailureReason) => new ProviderError('no', { reason })

function source(targetIndex = 0, prefix: boolean | undefined = true): Source {
  const provider = { name: 'p', capabilities: { prefix }, stream: async () => {} }
  return { provider, model: 'm', name: undefined, targetIndex, step: targetIndex, attempt: 1 }
}

test('a target goes on only from plain text, without a tool call, where it says that it can, and where that was chosen', () => {
  const resume = (over: Partial<ContinuationOptions>, part: Kept | undefined = kept, from = source()) =>
    overridesFor(createContinuation({ ...options, ...over }), part, from)
  expect(resume({})).toEqual({ prefix: { text: 'Hello', reasoningText: 'hm' } })
  expect(resume({ afterFirstToken: 'fail' })).toBeUndefined()
  expect(resume({ afterFirstToken: 'restart' })).toBeUndefined()
  expect(resume({ isPlainText: false })).toBeUndefined()
  expect(resume({}, { ...kept, hasToolCall: true })).toBeUndefined()
  expect(resume({}, { ...kept, text: '' })).toBeUndefined()
  expect(overridesFor(createContinuation(options), undefined, source())).toBeUndefined()
  expect(resume({}, kept, source(0, false))).toBeUndefined()
  // not known is not declared: a 200 that ignores the prefix would be glued (R30, R36)
  expect(
    overridesFor(createContinuation(options), kept, { ...source(), provider: { name: 'p', stream: async () => {} } }),
  ).toBeUndefined()
})

test('what is left of the limit is asked for, and where nothing is left nobody is asked to go on', () => {
  const continuation = createContinuation({ ...options, maxOutputTokens: 10 })
  expect(overridesFor(continuation, kept, source())?.maxOutputTokens).toBe(7)
  expect(overridesFor(continuation, { ...kept, tokens: 10 }, source())).toBeUndefined()
  expect(
    mayContinue(createContinuation({ ...options, maxOutputTokens: 10, continueOnLength: 3 }), { ...kept, tokens: 10 }, source()),
  ).toBe(false)
})

test('only a target that was asked to go on, and of which nothing came, is asked anew for its refusal, and only that one', () => {
  const continuation = createContinuation(options)
  expect(prefixWasRefused(continuation, { failure: failure('invalid-request'), source: source(), kept })).toBe(false)
  overridesFor(continuation, kept, source(0))
  overridesFor(continuation, kept, source(1))
  expect(prefixWasRefused(continuation, { failure: failure('overloaded'), source: source(0), kept })).toBe(false)
  expect(
    prefixWasRefused(continuation, {
      failure: failure('malformed-response'),
      source: source(0),
      kept: { ...kept, text: 'Hello world' },
    }),
  ).toBe(false)
  expect(prefixWasRefused(continuation, { failure: failure('invalid-request'), source: source(0), kept })).toBe(true)
  expect(overridesFor(continuation, kept, source(0))).toBeUndefined()
  expect(overridesFor(continuation, kept, source(1))).toBeDefined()
  // asked anew, its next refusal is its own
  expect(prefixWasRefused(continuation, { failure: failure('invalid-request'), source: source(0), kept })).toBe(false)
})

test('a length is taken so often as was said, goes on whatever the mode, and counts for nothing once something broke', () => {
  const continuation = createContinuation({ ...options, afterFirstToken: 'fail', continueOnLength: 2 })
  expect(overridesFor(continuation, kept, source())).toBeUndefined()
  expect([1, 2, 3].map(() => mayContinue(continuation, kept, source()))).toEqual([true, true, false])
  const other = createContinuation({ ...options, afterFirstToken: 'fail', continueOnLength: 2 })
  expect(mayContinue(other, kept, source())).toBe(true)
  expect(overridesFor(other, kept, source())).toBeDefined()
  continuationFailed(other)
  expect(overridesFor(other, kept, source())).toBeUndefined()
})

test('usage is summed, and what nobody reported stays unknown', () => {
  expect(addUsage({ inputTokens: 1, outputTokens: 2 }, { outputTokens: 3, totalTokens: 4 })).toEqual({
    ...{ inputTokens: 1, outputTokens: 5, totalTokens: 4 },
    ...{ cachedInputTokens: undefined, reasoningTokens: undefined },
  })
})
