import { expect, test } from 'vitest'
import { callFor, choose, contentDueAt, isCandidate, leastLeftMs, othersLeft, refusalOf } from '../../../src/chain/next-target.ts'
import type { Candidate, ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import type { Call } from '../../../src/contract.ts'
import type { Availability } from '../../../src/health/health.ts'

type Given = {
  readonly state?: Availability['state']
  readonly until?: number
  /** Whether health lets the call in after all, and whether the retry budget does. */
  readonly enters?: boolean
  readonly retries?: boolean
  /** How long the target usually takes to its first token. */
  readonly p50?: number
  readonly target?: Partial<ChainTarget>
}

/** A target, with what health was asked for. */
function candidateOf(name: string, { state = 'available', until = 0, enters = true, retries = true, p50, target }: Given = {}) {
  const log: string[] = []
  const health = {
    check: () => ({ state, reason: 'overloaded', message: 'It is busy.', until }),
    enter: (kind: string) => {
      log.push(kind)
      return enters ? { name: `${name} as ${kind}`, end: (outcome: string) => void log.push(outcome) } : undefined
    },
    takeRetry: () => retries,
    firstChunk: () => p50 && { p50 },
  }
  const candidate = {
    ...{ target: { provider: { name }, model: 'm', health, ...target }, asked: 0, spent: false, isAgain: false },
    ...{ refusal: undefined, skipped: false, isFinal: false },
  } as unknown as Candidate
  return { candidate, log }
}

/** A call that has a minute, a second after it began. */
function walkOf(candidates: readonly { readonly candidate: Candidate }[], given: Partial<Walk> = {}): Walk {
  return {
    ...{ clock: { now: () => 1_000 }, startedAt: 0, deadline: 60_000, firstContentAt: Infinity, hasContent: false },
    ...{ candidates: candidates.map(({ candidate }) => candidate), legs: [], trail: [], failures: [], hasFallback: true },
    ...{ call: { model: 'any' } as Call, accounts: undefined },
    ...given,
  } as unknown as Walk
}

type Row = readonly (readonly [name: string, given?: Given])[]

/** Whom a call asks next, and whom it probes beside. */
function chosen(row: Row, { besides = false, ...given }: Partial<Walk> & { readonly besides?: boolean } = {}) {
  const all = row.map(([name, of]) => candidateOf(name, of))
  const walk = walkOf(all, given)
  const choice = choose(walk, besides)
  const nameOf = ({ permit }: { readonly permit: unknown }) => (permit as { readonly name: string }).name
  return {
    asked: choice && nameOf(choice),
    probes: choice?.probes.map(nameOf),
    logs: all.map(({ log }) => log.join(' ')),
    skips: walk.failures.map(({ provider, reason, retryAfterMs }) => `${provider} ${reason} ${retryAfterMs}`),
    all,
  }
}

test('the first target in order that is available and lets the call in is asked, with all that may be probed before it', () => {
  expect(chosen([['a'], ['b']])).toMatchObject({ asked: 'a as call', probes: [], logs: ['call', ''] })
  expect(chosen([['a', { enters: false }], ['b']])).toMatchObject({ asked: 'b as call' })
  const down = { state: 'half-open' } as const
  expect(chosen([['a', down], ['b', { ...down, enters: false }], ['c'], ['d', down]])).toMatchObject({
    ...{ asked: 'c as call', probes: ['a as probe'], logs: ['probe', 'probe', 'call', ''] },
  })
  // the probe might answer in place of the only target that may be asked
  expect(chosen([['a', down], ['b']], { hasFallback: false })).toMatchObject({ asked: 'b as call', probes: [] })
})

test('where nobody else is available the call is the probe', () => {
  const down = { state: 'half-open' } as const
  const blocked = { state: 'blocked', until: 3_000 } as const
  expect(
    chosen([
      ['a', blocked],
      ['b', { ...down, enters: false }],
      ['c', down],
    ]),
  ).toMatchObject({ asked: 'c as probe', probes: [] })
  expect(
    chosen([
      ['a', blocked],
      ['b', { state: 'blocked', until: Infinity }],
    ]),
  ).toMatchObject({
    ...{ asked: undefined, skips: ['a overloaded 2000', 'b overloaded undefined'] },
  })
})

test('a hedge goes only to a target that is known to be up, and probes nobody', () => {
  const down = { state: 'half-open' } as const
  expect(chosen([['a', down], ['b']], { besides: true })).toMatchObject({ asked: 'b as hedge', probes: [], logs: ['', 'hedge'] })
  expect(chosen([['a', down]], { besides: true })).toMatchObject({ asked: undefined, logs: [''] })
})

test('another round takes a retry from the budget of the target, and gives the permit back where there is none', () => {
  const again = (given: Given) => {
    const one = candidateOf('a', given)
    one.candidate.isAgain = true
    return { choice: choose(walkOf([one]), false), ...one }
  }
  expect(again({})).toMatchObject({ choice: { permit: { name: 'a as call' } }, log: ['call'], candidate: { spent: false } })
  expect(again({ retries: false })).toMatchObject({
    ...{ choice: undefined, log: ['call', 'unused'], candidate: { spent: true, isFinal: true } },
  })
  // neither may take from the budget
  expect(again({ enters: false, retries: false })).toMatchObject({
    choice: undefined,
    candidate: { spent: false, isFinal: false },
  })
  expect(chosen([['a', { retries: false }]]).asked).toBe('a as call')
})

test.for([
  [1, undefined],
  [2, 'a as call'],
] as const)('with %i ms left the call asks: %s', ([leftMs, asked]) => {
  expect(chosen([['a']], { deadline: 1_000 + leftMs }).asked).toBe(asked)
})

test('with less than three seconds left, or a twentieth of the call, only the last target that may answer is asked', () => {
  const askedOf = (row: Row, deadline: number, startedAt = 0) => chosen(row, { deadline, startedAt }).asked
  const long = -1_000_000
  expect([askedOf([['a'], ['b']], 3_999, long), askedOf([['a'], ['b']], 4_000, long)]).toEqual(['b as call', 'a as call'])
  expect(askedOf([['a'], ['b', { state: 'half-open' }]], 3_999, long)).toBe('a as call')
  // a second of twenty is a twentieth
  expect([askedOf([['a'], ['b']], 1_999, -18_001), askedOf([['a'], ['b']], 2_000, -18_000)]).toEqual(['b as call', 'a as call'])
  const walk = (deadline: number, given: Partial<Walk> = {}) => walkOf([], { deadline, ...given })
  expect([leastLeftMs(walk(10_000)), leastLeftMs(walk(10_000, { startedAt: 5_000 })), leastLeftMs(walk(100_000))]).toEqual([
    500, 250, 3_000,
  ])
  expect(contentDueAt(walk(10_000, { firstContentAt: 4_000 }))).toBe(4_000)
  expect(contentDueAt(walk(10_000, { firstContentAt: 40_000 }))).toBe(10_000)
  expect(contentDueAt(walk(10_000, { firstContentAt: 4_000, hasContent: true }))).toBe(10_000)
})

test('a target whose first token usually comes after the end is asked only where no other one could be quicker', () => {
  // 59,000 ms are left
  expect(chosen([['a', { p50: 45_400 }], ['b']]).asked).toBe('b as call')
  expect(chosen([['a', { p50: 45_380 }], ['b']]).asked).toBe('a as call')
  expect(
    chosen([
      ['a', { p50: 45_400 }],
      ['b', { state: 'half-open' }],
    ]).asked,
  ).toBe('a as call')
})

test('who was asked enough, is being asked or refuses the call may not be asked', () => {
  const [one, other] = [candidateOf('a'), candidateOf('b')]
  const walk = walkOf([one, other])
  expect(isCandidate(walk, one.candidate)).toBe(true)
  const leg = { candidate: one.candidate, end: undefined } as Leg
  walk.legs = [
    { ...leg, candidate: other.candidate },
    { ...leg, end: { type: 'abandoned' } },
  ]
  expect(isCandidate(walk, one.candidate)).toBe(true)
  walk.legs = [leg]
  expect(isCandidate(walk, one.candidate)).toBe(false)
  walk.legs = []
  one.candidate.spent = true
  expect(isCandidate(walk, one.candidate)).toBe(false)
  expect(isCandidate(walk, candidateOf('c', { target: { when: () => false } }).candidate)).toBe(false)
})

test('others are left while one of them might be asked at once', () => {
  const left = (given: Given) => {
    const [one, other] = [candidateOf('a'), candidateOf('b', given)]
    return othersLeft(walkOf([one, other]), one.candidate)
  }
  expect([left({}), left({ state: 'half-open' }), left({ state: 'blocked' }), left({ target: { when: () => false } })]).toEqual([
    ...[true, false, false, false],
  ])
  const alone = candidateOf('a')
  expect(othersLeft(walkOf([alone]), alone.candidate)).toBe(false)
})

test('a target is asked once whether it can take this call, with its model in it', () => {
  const models: string[] = []
  const refuse = ({ model }: Call) => {
    models.push(model)
    return { reason: 'quota', message: 'No.' }
  }
  const { candidate } = candidateOf('a', { target: { provider: { name: 'a', refuse } } as never })
  const walk = walkOf([{ candidate }])
  expect([refusalOf(walk, candidate), refusalOf(walk, candidate)]).toMatchObject([{ reason: 'quota' }, { reason: 'quota' }])
  expect(models).toEqual(['m'])
  expect(chosen([['a', { target: { provider: { name: 'a', refuse } } as never }], ['b']])).toMatchObject({
    ...{ asked: 'b as call', skips: ['a quota undefined'] },
  })
})

test('`when` is asked before the provider; what `prepare` may change is not refused before it ran', () => {
  const refusals: string[] = []
  const provider = { name: 'a', refuse: () => (refusals.push('asked'), { reason: 'quota' }) }
  const excluded = { reason: 'excluded', message: 'Its `when` does not allow this call.' }
  const of = (target: object) => {
    const { candidate } = candidateOf('a', { target: { provider, ...target } as never })
    return refusalOf(walkOf([]), candidate)
  }
  expect([of({ when: () => false }), refusals]).toEqual([excluded, []])
  const prepare = () => ({})
  expect([of({ prepare }), of({ prepare, when: () => true }), of({ prepare, when: () => false })]).toEqual([
    undefined,
    undefined,
    excluded,
  ])
  expect(refusals).toEqual([])
  expect([of({ when: () => true }), refusals]).toEqual([{ reason: 'quota' }, ['asked']])
})

test('a target gets the call with its own model, and the same object each time', () => {
  const walk = { call: { model: '', messages: [], metadata: {}, seed: 3 } } as unknown as Walk
  const candidate = { target: { model: 'm' }, call: undefined } as Candidate
  expect(callFor(walk, candidate)).toEqual({ model: 'm', messages: [], metadata: {}, seed: 3 })
  expect(callFor(walk, candidate)).toBe(candidate.call)
})
