import { type Capabilities, type ClientOptions, createClient } from 'unbusy'
import { type FakeClock, type FakeReply, type FakeTarget, fakeTarget } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

type Chances = Partial<ClientOptions> & {
  readonly capabilities?: Capabilities
  /** The targets behind those two. */
  readonly behind?: readonly FakeTarget[]
  /** What the probe gets, and what its target gets after it. */
  readonly probe: readonly FakeReply[]
  /** What the call's own attempts get, one after the other. */
  readonly own: readonly FakeReply[]
}

/** Opens the breaker of the first target, and waits until a call may probe it beside its own attempt at the second one. */
async function halfOpen(clock: FakeClock, { probe, own, behind = [], capabilities = { prefix: true }, ...options }: Chances) {
  const failures = Array.from({ length: 3 }, () => ({ error: 'overloaded' }) as const)
  const probed = fakeTarget([...failures, ...probe], { clock, name: 'probed', retry: 0, capabilities })
  const before = failures.map(() => 'Before.')
  const asked = fakeTarget([...before, ...own], { clock, name: 'asked', capabilities })
  const client = createClient({ chain: [probed, asked, ...behind], clock, random: () => 0.5, hedge: false, ...options })
  for (const _ of failures) await clock.until(client.generate('Hi'))
  await clock.advance(3_000)
  return { client, probed, asked }
}

test('a probe whose content comes after that of the call’s own attempt is dropped, though it would be whole first', async ({
  clock,
}) => {
  const { client } = await halfOpen(clock, {
    probe: [{ text: 'Probe.', firstChunkAfterMs: 200 }],
    own: [{ text: ['Own', ' answer.'], firstChunkAfterMs: 100, chunkEveryMs: 5_000 }],
  })
  const { text, attempts } = await clock.until(client.generate('Hi'))
  expect(text).toBe('Own answer.')
  expect(attempts).toMatchObject([
    { provider: 'probed', outcome: 'abandoned', kind: 'probe', durationMs: 200 },
    { provider: 'asked', outcome: 'answered', kind: 'first' },
  ])
})

test('a probe whose content comes when its call has already failed ends there: nobody reads its answer', async ({
  clock,
  events,
}) => {
  const { client } = await halfOpen(clock, {
    probe: [{ text: ['Too', ' late.'], firstChunkAfterMs: 500, chunkEveryMs: 5_000 }],
    own: [{ error: 'content-filter', headersAfterMs: 100 }],
    onEvent: events.listener,
  })
  const error: unknown = await clock.until(client.generate('Hi').catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ name: 'ChainExhaustedError' })
  await clock.advance(10_000)
  expect(events.attempts().at(-1)).toMatchObject({ kind: 'probe', outcome: 'abandoned', durationMs: 500, chunks: 1 })
})

test('a probe that began before a stream broke does not speak into its continuation by another target (R35)', async ({
  clock,
}) => {
  const third = fakeTarget(
    { text: ' an answer', firstChunkAfterMs: 5_000 },
    { clock, name: 'third', capabilities: { prefix: true } },
  )
  const { client } = await halfOpen(clock, {
    probe: [{ text: 'PROBE', firstChunkAfterMs: 200 }],
    own: [{ text: ['half', ' of'], firstChunkAfterMs: 100, cutAfterChunks: 1 }],
    behind: [third],
    afterFirstToken: 'continue',
    retry: 0,
  })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('half an answer')
})

test('a probe that outlives its call is kept until its verdict, and no longer (R114)', async ({ clock }) => {
  const kept = new Set<Set<unknown>>()
  const { add } = Set.prototype
  onTestFinished(() => void Object.assign(Set.prototype, { add }))
  Object.assign(Set.prototype, {
    add(this: Set<unknown>, value: unknown) {
      // what the client ends in close(): the probes that still run
      if (typeof value === 'object' && value !== null && 'candidate' in value) add.call(kept, this)
      return add.call(this, value)
    },
  })
  const { client, probed } = await halfOpen(clock, {
    probe: [{ text: 'Probe.', firstChunkAfterMs: 500 }],
    own: [{ text: 'Own.', firstChunkAfterMs: 100 }],
  })
  await clock.until(client.generate('Hi'))
  const sizes = () => [[...kept].map(({ size }) => size), probed.provider.active()]
  expect(sizes()).toEqual([[1], 1])
  await clock.advance(1_000)
  expect(sizes()).toEqual([[0], 0])
})

test('a probe that wins a stream and stops at its own limit is asked to go on, as any other winner is', async ({ clock }) => {
  const { client, probed } = await halfOpen(clock, {
    probe: [{ text: 'half', finishReason: 'length' }, ' and whole'],
    own: [{ text: 'Own.', firstChunkAfterMs: 5_000 }],
    afterFirstToken: 'continue',
    breaker: { successesToClose: 1 },
    continueOnLength: 1,
  })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('half and whole')
  expect(probed.provider.calls.at(-1)?.call.prefix?.text).toBe('half')
})

test.for([
  ['for six seconds', {}, 600_000, 6_000, 'open'],
  ['for a minute where it thinks in silence', { hidesReasoning: true }, 600_000, 60_000, 'open'],
  // half a minute of a target that thinks proves nothing
  ['until the end of its call', { hidesReasoning: true }, 30_000, 30_000, 'half-open'],
] as const)('a probe may be silent %s', async ([, capabilities, totalMs, silentMs, state], { clock, events }) => {
  const { client } = await halfOpen(clock, {
    probe: [{ text: 'Late.', firstChunkAfterMs: 200_000 }],
    own: [{ text: 'Own.', firstChunkAfterMs: 100 }],
    capabilities,
    timeout: { totalMs, firstContentMs: 1_000 },
    onEvent: events.listener,
  })
  await clock.until(client.generate('Hi'))
  await clock.advance(silentMs)
  expect(events.attempts().at(-1)).toMatchObject({ kind: 'probe', outcome: 'failed', reason: 'timeout', durationMs: silentMs })
  expect(client.health()[0]?.state).toBe(state)
})

test('who won a race stays the winner when the loser is gone: a probe that comes after that is dropped', async ({ clock }) => {
  const failures = Array.from({ length: 3 }, () => ({ error: 'overloaded' }) as const)
  const before = failures.map(() => 'Before.')
  const probed = fakeTarget([...failures, { text: 'Probe.', firstChunkAfterMs: 9_000 }], { clock, name: 'probed', retry: 0 })
  const late = fakeTarget([...before, { text: 'Late.', firstChunkAfterMs: 20_000 }], { clock, name: 'late' })
  const hedge = fakeTarget({ text: ['Hedge', '.'], firstChunkAfterMs: 100, chunkEveryMs: 15_000 }, { clock, name: 'hedge' })
  const client = createClient({
    ...{ chain: [probed, late, hedge], clock, random: () => 0.5, breaker: { probeFirstChunkMs: 30_000 } },
    hedge: { budget: 1, spend: 1 },
  })
  for (const _ of failures) await clock.until(client.generate('Hi'))
  await clock.advance(3_000)
  const { text, attempts } = await clock.until(client.generate('Hi'))
  expect(text).toBe('Hedge.')
  expect(attempts).toMatchObject([
    { provider: 'probed', kind: 'probe', outcome: 'abandoned', durationMs: 9_000 },
    { provider: 'late', kind: 'first', outcome: 'abandoned' },
    { provider: 'hedge', kind: 'hedge', outcome: 'answered' },
  ])
})

test('who leaves in the very moment in which a probe begins ends it too', async ({ clock, events }) => {
  const controller = new AbortController()
  const { client, probed, asked } = await halfOpen(clock, {
    probe: [{ hang: true }],
    own: [{ hang: true }],
    onEvent(event) {
      events.listener(event)
      if (event.type === 'attempt-start' && event.kind === 'probe') controller.abort('left')
    },
  })
  const left: unknown = await client.generate({ prompt: 'Hi', signal: controller.signal }).catch((reason: unknown) => reason)
  expect([left, probed.provider.active(), asked.provider.active(), clock.pending()]).toEqual(['left', 0, 0, 0])
  expect(probed.provider.calls.at(-1)?.signal.reason).toBe('left')
})

test('a probe that answers the call is waited for, and nobody else is asked meanwhile', async ({ clock }) => {
  const { client, asked } = await halfOpen(clock, {
    probe: [{ text: ['Slow', ' probe.'], firstChunkAfterMs: 100, chunkEveryMs: 10_000 }],
    own: [{ text: 'Own.', firstChunkAfterMs: 5_000 }],
  })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Slow probe.' })
  expect(asked.provider.calls.slice(3)).toMatchObject([{ outcome: 'aborted' }])
})

test('a call asks the next target while its probe runs, and the end of a probe alone is no reason to ask one', async ({
  clock,
}) => {
  const third = fakeTarget('Third.', { clock, name: 'third' })
  const call = async (probe: FakeReply, own: FakeReply) => {
    const { client } = await halfOpen(clock, { probe: [probe], own: [own], behind: [third], hedge: { budget: 1, spend: 1 } })
    return clock.until(client.generate('Hi'))
  }
  const failing = { error: 'invalid-request', headersAfterMs: 200 } as const
  expect(await call({ text: 'Probe.', firstChunkAfterMs: 3_000 }, failing)).toMatchObject({ text: 'Third.' })
  expect(await call(failing, { text: 'Own.', firstChunkAfterMs: 1_500 })).toMatchObject({ text: 'Own.' })
  expect(third.provider.calls).toHaveLength(1)
})
