import type { Call, FailureReason, Target } from 'unbusy'
import { runAttempt } from 'unbusy/testing'
import { expect, test } from 'vitest'

type Options = { readonly model?: string; readonly apiKey?: string; readonly stream?: boolean }
type Failure = { readonly reason: FailureReason; readonly status: number }

export type RealService = {
  target(options?: Options): Target
  readonly wrongKey?: Failure
  readonly wrongModel?: Failure
}

const call: Partial<Call> = { maxOutputTokens: 8, temperature: 0, seed: 1 }

/**
 * What the contract of `unbusy/testing` asks of a provider, as far as a server that behaves well can be brought to show it: the suite
 * itself runs against misbehaving ones.
 */
export function keptPromises({ target, wrongKey, wrongModel }: RealService): void {
  test.each([true, false])(
    'it tells the text, and one finish as its last event, with length and usage (stream: %s)',
    async stream => {
      const run = runAttempt(target({ stream }), { call })
      await run.over
      expect(run.error).toBeUndefined()
      expect(run.text()).not.toBe('')
      expect(run.events.filter(({ type }) => type === 'finish')).toHaveLength(1)
      expect(run.events.at(-1)).toMatchObject({
        ...{ type: 'finish', finishReason: 'length' },
        usage: { inputTokens: expect.any(Number) as number, outputTokens: 8 },
      })
      expect(run.events.find(({ type }) => type === 'headers')).toMatchObject({ status: 200 })
    },
  )

  test('it answers the same as a stream and as JSON', async () => {
    const runs = [true, false].map(stream => runAttempt(target({ stream }), { call }))
    await Promise.all(runs.map(async ({ over }) => over))
    expect(runs[0]?.text()).toBe(runs[1]?.text())
  })

  test.skipIf(wrongKey === undefined)('a wrong key is refused, and stands in no error', async () => {
    for (const stream of [true, false]) {
      const run = runAttempt(target({ apiKey: 'sk-wrong-0123456789', stream }), { call })
      await run.over
      expect(run.error).toMatchObject(wrongKey ?? {})
      expect(JSON.stringify(run.error) + String(run.error)).not.toContain('0123456789')
    }
  })

  test.skipIf(wrongModel === undefined)('a model that is not there is refused', async () => {
    for (const stream of [true, false]) {
      const run = runAttempt(target({ model: 'nowhere', stream }), { call })
      await run.over
      expect(run.error).toMatchObject(wrongModel ?? {})
    }
  })

  test('it is aborted at once, with the reason that was given', async () => {
    const run = runAttempt(target(), { call: { ...call, maxOutputTokens: 500 } })
    await run.until(({ type }) => type === 'text-delta')
    run.abort('enough')
    await run.over
    expect(run.error).toBe('enough')
  })
}
