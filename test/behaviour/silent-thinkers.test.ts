import { expect } from 'vitest'
import { createClient, host, openai } from '../../src/index.ts'
import type { ChainExhaustedError } from '../../src/index.ts'
import { fakeTarget } from '../../src/testing/index.ts'
import type { FakeClock, FakeTargetOptions } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const hides = { hidesReasoning: true } as const
const slow = (clock: FakeClock, afterMs: number, options: Omit<FakeTargetOptions, 'clock'> = {}) =>
  fakeTarget({ text: 'Thought.', firstChunkAfterMs: afterMs }, { clock, capabilities: hides, retry: 0, ...options })

test('a model that thinks in silence for 23 s answers, and is not blamed (F9)', async ({ clock }) => {
  const chain = [slow(clock, 23_000), fakeTarget('Other.', { clock })]
  const client = createClient({ chain, clock, hedge: false })
  for (let call = 0; call < 4; call += 1) {
    expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Thought.', attempts: [{ firstChunkMs: 23_000 }] })
  }
  expect(client.health()[0]).toMatchObject({ state: 'closed' })
})

test('without reasoning, without the capability, or with a limit of the user the clock is the usual one (F9)', async ({
  clock,
}) => {
  const other = fakeTarget('Other.', { clock })
  const ended = async (target: ReturnType<typeof slow>, input: object = {}, options: object = {}) => {
    const client = createClient({ chain: [target, other], clock, hedge: false, ...options })
    const { attempts } = await clock.until(client.generate({ prompt: 'Hi', ...input }))
    return [attempts[0]?.clock, attempts[0]?.durationMs]
  }
  expect(await ended(slow(clock, 23_000), { reasoning: 'off' })).toEqual(['firstChunk', 20_000])
  expect(await ended(slow(clock, 23_000, { capabilities: {} }))).toEqual(['firstChunk', 20_000])
  expect(await ended(slow(clock, 23_000, { timeout: { firstChunkMs: 5_000 } }))).toEqual(['firstChunk', 5_000])
  expect(await ended(slow(clock, 23_000), {}, { timeout: { firstChunkMs: 6_000 } })).toEqual(['firstChunk', 6_000])
  expect(await ended(slow(clock, 23_000), { timeout: { firstChunkMs: 7_000 } })).toEqual(['firstChunk', 7_000])
  expect(await ended(slow(clock, 23_000), { timeout: { headersMs: 9_000 }, reasoning: 'low' })).toEqual([undefined, 23_000])
  // the limit itself, and half of the time that is left where that is less
  expect(await ended(slow(clock, 500_000), { timeout: { totalMs: 600_000 } })).toEqual(['firstChunk', 120_000])
  expect(await ended(slow(clock, 500_000), { timeout: { totalMs: 100_000 } })).toEqual(['firstChunk', 50_000])
})

test('the last target that may answer has all the time that is left (F9)', async ({ clock }) => {
  const down = fakeTarget({ error: 'overloaded' }, { clock, retry: 0 })
  const client = createClient({ chain: [down, slow(clock, 170_000)], clock, hedge: false, timeout: { totalMs: 180_000 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Thought.' })
  const alone = createClient({ chain: [slow(clock, 1_000_000)], clock })
  const error = await clock.until(alone.generate('Hi').catch((thrown: unknown) => thrown as ChainExhaustedError))
  expect(error).toMatchObject({ attempts: [{ clock: 'total', durationMs: 120_000 }] })
  // a limit that the user has chosen ends it also when it is the last
  const chosen = createClient({ chain: [slow(clock, 100_000)], clock, timeout: { firstChunkMs: 8_000 } })
  await expect(clock.until(chosen.generate('Hi'))).rejects.toMatchObject({ attempts: [{ durationMs: 8_000 }] })
})

test('calls that end while it thinks do not open its breaker; silence of a minute does, and so does one without headers (F9)', async ({
  clock,
}) => {
  const stateAfter = async (options: { totalMs: number; hang?: boolean; capabilities?: object }) => {
    const target = fakeTarget(options.hang === true ? { hang: true } : { text: 'Late.', firstChunkAfterMs: 500_000 }, {
      ...{ clock, capabilities: options.capabilities ?? hides, retry: 0 },
    })
    const { totalMs } = options
    const client = createClient({ chain: [target], clock, timeout: { totalMs, headersMs: 10_000, firstChunkMs: totalMs } })
    await clock.until(Promise.all([1, 2, 3].map(() => client.generate('Hi').catch(() => {}))))
    return client.health()[0]?.state
  }
  expect(await stateAfter({ totalMs: 30_000 })).toBe('closed')
  expect(await stateAfter({ totalMs: 30_000, capabilities: {} })).toBe('open')
  expect(await stateAfter({ totalMs: 70_000 })).toBe('open')
  expect(await stateAfter({ totalMs: 30_000, hang: true })).toBe('open')
})

test('its probes may think too: a minute, and no other replaces them meanwhile (F9)', async ({ clock }) => {
  let isDown = true
  const thinker = fakeTarget(() => (isDown ? { error: 'server-error' } : { text: 'Thought.', firstChunkAfterMs: 23_000 }), {
    ...{ clock, name: 'thinker', capabilities: hides, retry: 0 },
  })
  const client = createClient({
    chain: [thinker, fakeTarget('Other.', { clock, name: 'other' })],
    clock,
    hedge: false,
    random: () => 0.5,
  })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
  expect(client.health()[0]).toMatchObject({ state: 'open' })
  isDown = false
  // a call each second, each of them answered by the other at once
  for (let second = 0; second < 110; second += 1) {
    await clock.advance(1_000)
    await clock.until(client.generate('Hi'))
  }
  expect(client.health()[0]).toMatchObject({ state: 'closed' })
})

test('which services hide what they think, and which of their models do not think (F9)', () => {
  const of = ({ provider }: ReturnType<typeof openai>) => provider.capabilities?.hidesReasoning ?? false
  const baseURL = 'https://example.com/v1'
  const answers = [
    openai(),
    openai('gpt-5.4-nano'),
    openai('o3'),
    host('azure', 'mine', { baseURL }),
    host('gemini', 'gemini-3-pro'),
  ]
  expect(answers.map(of)).toEqual([true, true, true, true, true])
  const plain = [
    openai('gpt-4.1'),
    openai('gpt-4o-mini'),
    host('gemini', 'gemini-2.0-flash'),
    host('azure', 'gpt-4o', { baseURL }),
  ]
  expect(plain.map(of)).toEqual([false, false, false, false])
  expect([host('groq', 'm'), host('openrouter', 'openai/gpt-6')].map(of)).toEqual([false, false])
  expect(of(openai('gpt-6-luna', { capabilities: { hidesReasoning: false } }))).toBe(false)
})
