import { expect } from 'vitest'
import type { Answer } from '../../../src/answer/answer.ts'
import { createAccount } from '../../../src/chain/account.ts'
import { askAgain, askForMore, admitRepeat } from '../../../src/chain/ask-again.ts'
import { abandoned } from '../../../src/chain/attempt.ts'
import type { RunningAttempt, Walk } from '../../../src/chain/state.ts'
import type { AttemptRecord, Source } from '../../../src/contract-events.ts'
import { ProviderError, type ProviderErrorOptions } from '../../../src/errors.ts'
import type { Availability } from '../../../src/health/availability.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { failedLeg, type Given } from '../../helpers/one-leg.ts'
import { test } from '../../helpers/vitest.ts'

const answer = { text: 'Hello.' } as Answer
const busy = failure({ reason: 'overloaded' })
const full: Availability = { state: 'blocked', reason: 'overloaded', message: 'Full.', until: Infinity }

function failure(options: ProviderErrorOptions): ProviderError {
  return new ProviderError('It failed.', options)
}

/** Fails the first attempt so, and every other with `again`, if it is given. Returns how the leg ended and how often it was retried. */
async function retried(clock: FakeClock, of: ReturnType<typeof failedLeg>, thrown: unknown, again?: Error) {
  const { walk, leg } = of
  leg.thrown = thrown
  let retries = 0
  const ask = (): Promise<Answer> => {
    retries += 1
    if (again === undefined) return Promise.resolve(answer)
    leg.thrown = again
    return Promise.reject(again)
  }
  const end = await clock.until(askAgain(walk, leg, { failed: thrown, retry: ask }))
  return { end, retries }
}

// ---- who is asked again

test('a failure that may pass is retried after waits that grow, and the leg ends with the last failure', async ({ clock }) => {
  const of = failedLeg(clock)
  const { end, retries } = await retried(clock, of, busy, busy)
  expect(end).toEqual({ type: 'failed', failure: busy, decision: 'retry' })
  expect([retries, of.waits(), of.candidate.failed, of.walk.failures.length]).toEqual([2, [200, 400], 3, 3])
  const unheard = failedLeg(clock, { walk: { tell: undefined } })
  expect(await retried(clock, unheard, busy)).toMatchObject({ end: { type: 'answered', answer }, retries: 1 })
})

test('a leg that was abandoned, or ended from outside, is not asked again, and its failure is none of the call', async ({
  clock,
}) => {
  expect(await retried(clock, failedLeg(clock), abandoned)).toEqual({ end: { type: 'abandoned' }, retries: 0 })
  const ended = failedLeg(clock, { leg: { end: { type: 'abandoned' } } })
  expect(await retried(clock, ended, busy)).toMatchObject({ retries: 0 })
  expect([ended.walk.failures, ended.asked.sink]).toEqual([[], []])
})

test('a bug of a provider, and one in `decide`, end the leg as bugs', async ({ clock }) => {
  const bug = new Error('a bug')
  expect(await retried(clock, failedLeg(clock), bug)).toEqual({ end: { type: 'bug', error: bug }, retries: 0 })
  const decide = () => {
    throw bug
  }
  expect(await retried(clock, failedLeg(clock, { walk: { decide } }), busy)).toEqual({
    end: { type: 'bug', error: bug },
    retries: 0,
  })
})

test('the sink decides first, then the caller, then the table of the policy', async ({ clock }) => {
  const stopped = failedLeg(clock, { verdict: 'stop', walk: { decide: () => 'retry' } })
  expect(await retried(clock, stopped, busy)).toMatchObject({ end: { decision: 'stop' }, retries: 0 })
  expect(stopped.asked.sink).toMatchObject([{ model: 'm', attempt: 1 }])
  const next = failedLeg(clock, { walk: { decide: () => 'next' } })
  expect(await retried(clock, next, busy)).toMatchObject({ end: { decision: 'next' }, retries: 0 })
  expect(next.candidate.isFinal).toBe(true)
  const refused = failedLeg(clock)
  expect(await retried(clock, refused, failure({ reason: 'invalid-request' }))).toMatchObject({ retries: 0 })
  expect([refused.candidate.isFinal, refused.asked.retries]).toEqual([false, 0])
  expect(await retried(clock, failedLeg(clock, { budget: 1 }), busy, busy)).toMatchObject({ end: { type: 'failed' }, retries: 1 })
})

test('a changed request is sent at once, and is no retry; where it may not be, the policy decides', async ({ clock }) => {
  const changed = failedLeg(clock, { verdict: 'reword' })
  expect(await retried(clock, changed, failure({ reason: 'invalid-output' }))).toMatchObject({ end: { answer }, retries: 1 })
  expect([changed.waits(), changed.asked.retries, changed.candidate.failed, changed.asked.entered]).toEqual([[], 0, 0, 1])
  const refused = failedLeg(clock, { verdict: 'reword', enter: () => undefined })
  expect(await retried(clock, refused, failure({ reason: 'invalid-output' }))).toMatchObject({ end: { decision: 'next' } })
  const accounts = [createAccount('`budget` of the client', { dollars: 1, perMs: Infinity })]
  const poor = failedLeg(clock, { verdict: 'reword', walk: { accounts } })
  expect(await retried(clock, poor, failure({ reason: 'invalid-output' }))).toMatchObject({ retries: 0 })
  expect(poor.asked.entered).toBe(0)
})

test('a probe is never retried, and is not asked to begin again', async ({ clock }) => {
  const probe = failedLeg(clock, { leg: { kind: 'probe' } })
  expect(await retried(clock, probe, busy)).toMatchObject({ end: { type: 'failed', decision: 'retry' }, retries: 0 })
  expect([probe.asked.sink, probe.candidate.failed]).toEqual([[undefined], 0])
})

test('while another leg answers the caller, a failure decides nothing', async ({ clock }) => {
  const other = failedLeg(clock)
  other.walk.winner = failedLeg(clock).leg
  expect(await retried(clock, other, busy)).toMatchObject({ end: { type: 'failed', decision: 'next' }, retries: 0 })
  expect([other.asked.sink, other.walk.failures]).toEqual([[], [busy]])
  const own = failedLeg(clock)
  own.walk.winner = own.leg
  expect(await retried(clock, own, busy)).toMatchObject({ end: { type: 'answered' }, retries: 1 })
})

// ---- the wait before it

test('no retry begins whose backoff would reach the end of the call, or of what it may wait', async ({ clock }) => {
  await clock.advance(5_000)
  for (const walk of [{ deadline: 5_200 }, { firstContentAt: 5_200 }, { waitLeftMs: 200 }]) {
    const late = failedLeg(clock, { walk: { deadline: Infinity, ...walk } })
    expect(await retried(clock, late, busy)).toMatchObject({ end: { type: 'failed' }, retries: 0 })
    // the budget of retries is for those that are made
    expect(late.asked.retries).toBe(0)
  }
  const inTime = failedLeg(clock, { walk: { waitLeftMs: 601 } })
  expect(await retried(clock, inTime, busy, busy)).toMatchObject({ retries: 2 })
  expect(inTime.walk.waitLeftMs).toBe(1)
  const once = failedLeg(clock, { walk: { waitLeftMs: 600 } })
  expect(await retried(clock, once, busy, busy)).toMatchObject({ retries: 1 })
})

test('a time that the server named is waited out if it is short enough, and the target is asked as soon as it opens', async ({
  clock,
}) => {
  await clock.advance(1_000)
  const limited = failure({ reason: 'rate-limit', retryAfterMs: 2_000 })
  const at = (ms: number, walk: Partial<Walk> = {}) => {
    const until = clock.now() + ms
    return failedLeg(clock, { walk, check: () => ({ state: 'blocked', reason: 'rate-limit', message: 'Later.', until }) })
  }
  const opens = at(2_000)
  clock.setTimeout(() => opens.asked.opened(), 2_000)
  expect(await retried(clock, opens, limited)).toMatchObject({ end: { type: 'answered' }, retries: 1 })
  expect([opens.waits(), opens.leg.waitMs]).toEqual([[2_000], 2_000])
  // too late for the call, or blocked for a reason of our own
  for (const [of, thrown] of [
    [at(2_000, { deadline: clock.now() + 2_000 }), limited],
    [at(2_000), busy],
  ] as const) {
    expect(await retried(clock, of, thrown)).toMatchObject({ end: { type: 'failed' }, retries: 0 })
    expect([of.waits(), of.asked.retries]).toEqual([[], 0])
  }
})

test('a leg that is ended while it waits is not asked again, and takes no place', async ({ clock }) => {
  const left = failedLeg(clock)
  clock.setTimeout(() => {
    left.leg.end = { type: 'abandoned' }
    left.leg.waiting?.cancel()
  }, 100)
  expect(await retried(clock, left, busy)).toMatchObject({ retries: 0 })
  expect(left.asked.entered).toBe(0)
  // or ended in the moment in which its wait is over
  const late = failedLeg(clock)
  clock.setTimeout(() => (late.leg.end = { type: 'abandoned' }), 200)
  expect(await retried(clock, late, busy)).toMatchObject({ retries: 0 })
  expect(late.asked.entered).toBe(0)
  // the time of the call ran out before the target opened
  const until = clock.now() + 1_000
  const check = (): Availability => ({ state: 'blocked', reason: 'rate-limit', message: 'Later.', until })
  const closed = failedLeg(clock, { check, walk: { deadline: clock.now() + 1_500 } })
  const limited = failure({ reason: 'rate-limit', retryAfterMs: 1_000 })
  expect(await retried(clock, closed, limited)).toMatchObject({ end: { type: 'failed' }, retries: 0 })
  expect(closed.asked.entered).toBe(0)
})

test('a retry that finds its place taken by others may wait for one; one that is refused otherwise may not', async ({
  clock,
}) => {
  const overtaken = async (check: () => Availability, concurrency?: number) => {
    const of = failedLeg(clock, { check, enter: () => undefined, ...(concurrency !== undefined && { concurrency }) })
    const { end, retries } = await retried(clock, of, busy)
    expect([end.type, retries, of.asked.entered]).toEqual(['failed', 0, 1])
    return of.leg.isOvertaken
  }
  expect(await overtaken(() => full, 2)).toBe(true)
  // a short backoff is planned though the target is full now: a place may be free by then
  let isFull = true
  const frees = failedLeg(clock, { check: () => (isFull ? full : { state: 'available' }), concurrency: 2 })
  clock.setTimeout(() => (isFull = false), 100)
  expect(await retried(clock, frees, busy)).toMatchObject({ retries: 1 })
  let checks = 0
  const later = (blocked: Availability) => () => ((checks += 1) % 2 === 1 ? { state: 'available' as const } : blocked)
  expect(await overtaken(later(full))).toBe(false)
  expect(await overtaken(later({ ...full, until: clock.now() + 9_000 }), 2)).toBe(false)
  expect(await overtaken(later({ ...full, isInVain: true }), 2)).toBe(false)
  expect(await overtaken(() => ({ state: 'available' }), 2)).toBe(false)
})

test('a retry that may cost more than is left is not made, and the lack of money is reported', async ({ clock }) => {
  const poor = failedLeg(clock, {
    walk: { accounts: [createAccount('`budget` of the client', { dollars: 1, perMs: Infinity })] },
  })
  expect(await retried(clock, poor, busy)).toMatchObject({ end: { type: 'failed' }, retries: 0 })
  expect(poor.asked.retries).toBe(0)
  expect(poor.walk.trail.map(({ record }) => [record?.outcome, record?.reason])).toEqual([['skipped', 'budget']])
})

// ---- a continuation, and a request that its provider changes

test('an answer stays as it is when nobody may be asked to continue it, or that fails', async ({ clock }) => {
  const asks = async (wrong: Error, given: Given = {}) => {
    const of = failedLeg(clock, given)
    const ask = async () => {
      throw wrong
    }
    return { of, result: await askForMore(of.walk, of.leg, { answer, ask }).catch((thrown: unknown) => thrown) }
  }
  const refused = await asks(busy, { enter: () => undefined })
  expect([refused.result, refused.of.asked.cut]).toEqual([answer, 0])
  const failed = await asks(busy)
  expect([failed.result, failed.of.asked.cut, failed.of.walk.failures]).toEqual([answer, 1, [busy]])
  expect(failed.of.asked.sink).toEqual([undefined])
  const lost = await asks(abandoned)
  expect([lost.result, lost.of.asked.cut, lost.of.walk.failures]).toEqual([answer, 1, []])
  // who has left, and who has a bug, is told
  const leg = { end: { type: 'abandoned' } } as const
  expect((await asks(abandoned, { leg })).result).toBe(abandoned)
  expect((await asks(busy, { leg })).result).toBe(busy)
  const bug = new Error('a bug')
  expect((await asks(bug)).result).toBe(bug)
})

test('the record of a request that its provider changed stands before the request that runs', ({ clock }) => {
  const { walk, candidate } = failedLeg(clock)
  const attempt = () => ({ options: {} }) as RunningAttempt
  const [before, running, hedge] = [attempt(), attempt(), attempt()]
  const record = { reason: 'invalid-request' } as AttemptRecord
  const source = { attempt: 1 } as Source
  walk.trail = [before, running, hedge]
  expect(admitRepeat(walk, candidate, { running, record, source })).toBe(2)
  expect(walk.trail).toEqual([before, { record }, running, hedge])
  expect([walk.trail[2], candidate.asked]).toEqual([running, 2])
  expect(source).toEqual({ attempt: 2 })
  // one that begins again before it is in the trail
  walk.trail = [before]
  const early = attempt()
  admitRepeat(walk, candidate, { running: early, record, source })
  expect(walk.trail).toEqual([before, { record }, early])
})

test('a changed request that may cost more than is left is not sent, and that is reported', ({ clock }) => {
  const account = createAccount('`budget` of the client', { dollars: 1, perMs: Infinity })
  const { walk, candidate } = failedLeg(clock, { walk: { accounts: [account] } })
  const running = { options: { hold: { dollars: 2, accounts: [account], clock } } } as unknown as RunningAttempt
  const source = { attempt: 1 } as Source
  expect(admitRepeat(walk, candidate, { running, record: {} as AttemptRecord, source })).toBeUndefined()
  expect(walk.trail).toMatchObject([running, { record: { outcome: 'skipped', reason: 'budget' } }])
  expect([candidate.asked, source.attempt]).toEqual([1, 1])
})
