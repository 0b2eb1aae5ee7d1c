import { expect, test } from 'vitest'
import type { FailureReason, Source } from '../../src/contract.ts'
import { ProviderError } from '../../src/errors.ts'
import { addUsage } from '../../src/add-usage.ts'
import { createSeam, type Kept, type SeamOptions } from '../../src/seam.ts'

const options: SeamOptions = { afterFirstToken: 'continue', continueOnLength: 0, maxOutputTokens: undefined, isPlainText: true }
const kept: Kept = { text: 'Hello', reasoningText: 'hm', tokens: 3, hasToolCall: false, usage: {} }
const failure = (reason: FailureReason) => new ProviderError('no', { reason })

function source(targetIndex = 0, prefix: boolean | undefined = true): Source {
  return { provider: { name: 'p', capabilities: { prefix }, stream: async () => {} }, model: 'm', targetIndex, attempt: 1 }
}

test('a target goes on only from plain text, without a tool call, where it says that it can, and where that was chosen', () => {
  const resume = (over: Partial<SeamOptions>, part: Kept | undefined = kept, from = source()) =>
    createSeam({ ...options, ...over }).resumeOn(part, from)
  expect(resume({})).toEqual({ prefix: { text: 'Hello', reasoningText: 'hm' } })
  expect(resume({ afterFirstToken: 'fail' })).toBeUndefined()
  expect(resume({ afterFirstToken: 'restart' })).toBeUndefined()
  expect(resume({ isPlainText: false })).toBeUndefined()
  expect(resume({}, { ...kept, hasToolCall: true })).toBeUndefined()
  expect(resume({}, { ...kept, text: '' })).toBeUndefined()
  expect(createSeam(options).resumeOn(undefined, source())).toBeUndefined()
  expect(resume({}, kept, source(0, false))).toBeUndefined()
  // not known is not declared: a 200 that ignores the prefix would be glued (R30, R36)
  expect(createSeam(options).resumeOn(kept, { ...source(), provider: { name: 'p', stream: async () => {} } })).toBeUndefined()
})

test('what is left of the limit is asked for, and where nothing is left nobody is asked to go on', () => {
  const seam = createSeam({ ...options, maxOutputTokens: 10 })
  expect(seam.resumeOn(kept, source())?.maxOutputTokens).toBe(7)
  expect(seam.resumeOn({ ...kept, tokens: 10 }, source())).toBeUndefined()
  expect(createSeam({ ...options, maxOutputTokens: 10, continueOnLength: 3 }).takeLength({ ...kept, tokens: 10 }, source())).toBe(
    false,
  )
})

test('only a target that was asked to go on, and of which nothing came, is asked anew for its refusal, and only that one', () => {
  const seam = createSeam(options)
  expect(seam.beginsAnew(failure('invalid-request'), source(), kept)).toBe(false)
  seam.resumeOn(kept, source(0))
  seam.resumeOn(kept, source(1))
  expect(seam.beginsAnew(failure('overloaded'), source(0), kept)).toBe(false)
  expect(seam.beginsAnew(failure('malformed-response'), source(0), { ...kept, text: 'Hello world' })).toBe(false)
  expect(seam.beginsAnew(failure('invalid-request'), source(0), kept)).toBe(true)
  expect(seam.resumeOn(kept, source(0))).toBeUndefined()
  expect(seam.resumeOn(kept, source(1))).toBeDefined()
  // asked anew, its next refusal is its own
  expect(seam.beginsAnew(failure('invalid-request'), source(0), kept)).toBe(false)
})

test('a length is taken so often as was said, goes on whatever the mode, and counts for nothing once something broke', () => {
  const seam = createSeam({ ...options, afterFirstToken: 'fail', continueOnLength: 2 })
  expect(seam.resumeOn(kept, source())).toBeUndefined()
  expect([1, 2, 3].map(() => seam.takeLength(kept, source()))).toEqual([true, true, false])
  const other = createSeam({ ...options, afterFirstToken: 'fail', continueOnLength: 2 })
  expect(other.takeLength(kept, source())).toBe(true)
  expect(other.resumeOn(kept, source())).toBeDefined()
  other.failed()
  expect(other.resumeOn(kept, source())).toBeUndefined()
})

test('usage is summed, and what nobody reported stays unknown', () => {
  expect(addUsage({ inputTokens: 1, outputTokens: 2 }, { outputTokens: 3, totalTokens: 4 })).toEqual({
    ...{ inputTokens: 1, outputTokens: 5, totalTokens: 4 },
    ...{ cachedInputTokens: undefined, reasoningTokens: undefined },
  })
})
