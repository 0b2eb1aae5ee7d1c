import { expect, test } from 'vitest'
import { createBreaker } from '../../../src/health/breaker.ts'
import type { BreakerChange, BreakerPermit } from '../../../src/health/breaker.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import type { BreakerSettings } from '../../../src/health/settings.ts'

const why = { reason: 'overloaded', message: 'Busy.' } as const

function breakerWith(settings: Partial<BreakerSettings> = {}) {
  const changes: BreakerChange[] = []
  const breaker = createBreaker({
    settings: { ...loadFirst.breaker, ...settings },
    random: () => 0.5,
    onChange: change => void changes.push(change),
  })
  const enter = (now: number): BreakerPermit => {
    const permit = breaker.enter(now)
    if (permit === undefined) throw new Error(`It is ${breaker.state(now)}.`)
    return permit
  }
  return {
    breaker,
    changes,
    enter,
    fail: (now: number) => breaker.fail(enter(now), why, now),
    succeed: (now: number) => breaker.succeed(enter(now), now),
    states: () => changes.map(({ state }) => state),
  }
}

/** Open at 2 s for 2 s. */
function opened() {
  const all = breakerWith()
  for (const now of [0, 1_000, 2_000]) all.fail(now)
  return all
}

test('opens after three failures in a row where calls are rare', () => {
  const { breaker, fail, states } = breakerWith()
  fail(0)
  fail(20_000)
  expect(breaker.state(20_000)).toBe('closed')
  fail(40_000)
  expect(states()).toEqual(['open'])
})

test('a success in between begins the row anew', () => {
  const { fail, succeed, states } = breakerWith()
  for (const now of [0, 20_000, 60_000, 80_000]) {
    if (now === 60_000) succeed(40_000)
    fail(now)
  }
  expect(states()).toEqual([])
})

test('an idle hour is forgotten: one failure after it opens nothing, whatever was before', () => {
  const { fail, states } = breakerWith()
  fail(0)
  fail(1_000)
  fail(3_600_000)
  expect(states()).toEqual([])
})

test('opens at half of ten calls in five seconds, not before (R97)', () => {
  const { fail, succeed, states } = breakerWith()
  for (let call = 0; call < 9; call += 1) (call % 2 === 0 ? fail : succeed)(call * 100)
  expect(states()).toEqual([])
  fail(900)
  expect(states()).toEqual(['open'])
})

test('many good calls of half a minute ago do not hide that everything fails now', () => {
  const { fail, succeed, states } = breakerWith()
  for (let now = 0; now < 30_000; now += 10) succeed(now)
  let failures = 0
  for (let now = 30_000; states().length === 0; now += 10) {
    fail(now)
    failures += 1
  }
  expect(failures).toBeLessThan(300)
})

test('at a low rate the last twenty calls count, for a minute', () => {
  const { fail, succeed, states } = breakerWith()
  for (let call = 0; call < 10; call += 1) succeed(call * 2_000)
  for (let call = 10; call < 19; call += 1) (call % 3 === 0 ? succeed : fail)(call * 2_000)
  expect(states()).toEqual([])
})

test('an answer that broke off counts as a failure, though its first content was a success (R105)', () => {
  const { breaker, enter, states } = breakerWith()
  for (let call = 0; call < 3; call += 1) {
    const permit = enter(call * 10_000)
    breaker.succeed(permit, call * 10_000 + 500)
    breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, call * 10_000 + 4_000)
  }
  expect(states()).toEqual(['open'])
})

test('a cut answer continues a row of failures before the first content (R105)', () => {
  const { breaker, enter, fail, states } = breakerWith()
  for (const now of [0, 1_000]) fail(now)
  const permit = enter(2_000)
  breaker.succeed(permit, 2_500)
  breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, 3_000)
  expect(states()).toEqual(['open'])
})

/** Three answers are cut one after the other, while others begin: no row of beginnings fails (R105). */
function cutThree(
  { breaker, enter }: ReturnType<typeof breakerWith>,
  from: number,
  between: (now: number) => void = () => {},
): void {
  for (const now of [from, from + 1_000, from + 2_000]) {
    const permit = enter(now)
    breaker.succeed(permit, now)
    breaker.succeed(enter(now), now)
    breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, now + 1)
    between(now + 2)
  }
}

test('three answers in a row that are cut open it, however many begin meanwhile (R105)', () => {
  const all = breakerWith()
  cutThree(all, 0)
  expect(all.states()).toEqual(['open'])
})

test('an answer that ends well ends the row of cut ones, but not one that never began, nor one of before an outage', () => {
  const good = breakerWith()
  cutThree(good, 0, now => {
    const permit = good.enter(now)
    good.breaker.succeed(permit, now)
    good.breaker.finish(permit, now)
  })
  expect(good.states()).toEqual([])
  const unbegun = breakerWith()
  cutThree(unbegun, 0, now => unbegun.states().length === 0 && unbegun.breaker.finish(unbegun.enter(now), now))
  expect(unbegun.states()).toEqual(['open'])
  const old = breakerWith()
  const permit = old.enter(0)
  old.breaker.succeed(permit, 0)
  for (const now of [1, 2, 3]) old.fail(now)
  old.breaker.close(4)
  cutThree(old, 5, now => old.breaker.finish(permit, now))
  expect(old.states()).toEqual(['open', 'closed', 'open'])
})

test('cut answers of before the outage do not count against what has closed again', () => {
  const all = breakerWith()
  cutThree(all, 0)
  all.breaker.close(10_000)
  const permit = all.enter(10_000)
  all.breaker.succeed(permit, 10_000)
  all.breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, 10_001)
  expect(all.states()).toEqual(['open', 'closed'])
})

test('when an outage cuts hundreds of answers at once it opens at once', () => {
  const { breaker, enter, states } = breakerWith()
  const permits = Array.from({ length: 500 }, (_, call) => enter(call * 10))
  permits.forEach((permit, call) => breaker.succeed(permit, call * 10 + 5))
  let cut = 0
  for (const permit of permits) {
    if (states().length > 0) break
    breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, 5_000)
    cut += 1
  }
  expect(cut).toBeLessThanOrEqual(250)
})

test('two in a hundred answers that break off open nothing', () => {
  const { breaker, enter, states } = breakerWith()
  for (let call = 0; call < 5_000; call += 1) {
    const permit = enter(call * 10)
    breaker.succeed(permit, call * 10)
    if (call % 50 === 0) breaker.fail(permit, { reason: 'truncated', message: 'Cut.' }, call * 10)
    else breaker.finish(permit, call * 10)
  }
  expect(states()).toEqual([])
})

test('is open for 2, 4, 8, 10, 10 seconds while its probes fail, spread by a fifth (R104)', () => {
  const { breaker, changes, fail } = opened()
  for (let round = 0; round < 4; round += 1) fail(breaker.blockedUntil(0))
  const times = changes.filter(({ state }) => state === 'open').map(({ until, now }) => until! - now)
  expect(times).toEqual([2_000, 4_000, 8_000, 10_000, 10_000])
  const drawn = (draw: number) => {
    const waits: number[] = []
    const onChange = ({ until, now }: BreakerChange) => void waits.push(until! - now)
    const spread = createBreaker({ settings: loadFirst.breaker, random: () => draw, onChange })
    for (const now of [0, 1, 2]) spread.fail(spread.enter(now)!, why, now)
    return waits
  }
  expect(drawn(0)).toEqual([1_600])
  expect(drawn(0.999)[0]).toBeCloseTo(2_400, -1)
})

test('lets nobody in while it is open, and exactly one when its time is over (R107)', () => {
  const { breaker } = opened()
  expect(breaker.enter(3_999)).toBeUndefined()
  expect(breaker.enter(4_000)).toMatchObject({ probe: 1 })
  for (let call = 0; call < 100; call += 1) expect(breaker.enter(4_000 + call)).toBeUndefined()
})

test('three probes that succeed one after the other close it, and everybody may enter again (R101, R136)', () => {
  const { breaker, succeed, states } = opened()
  for (const now of [4_000, 5_000, 6_000]) {
    expect(breaker.state(now)).toBe('half-open')
    succeed(now)
  }
  expect(states()).toEqual(['open', 'half-open', 'closed'])
  expect([1, 2, 3].map(() => breaker.enter(6_000)?.probe)).toEqual([0, 0, 0])
})

test('the time of being open begins small again after it has closed', () => {
  const { breaker, changes, fail, succeed } = opened()
  fail(4_000)
  for (const now of [8_000, 9_000, 10_000]) succeed(now)
  for (const now of [11_000, 12_000, 13_000]) fail(now)
  expect(changes.at(-1)).toMatchObject({ state: 'open', until: 15_000 })
  expect(breaker.state(14_999)).toBe('open')
})

test('a probe that is lost gives its place back after ten seconds, and its late verdict changes nothing', () => {
  const { breaker, enter, states } = opened()
  const lost = enter(4_000)
  expect(breaker.blockedUntil(13_999)).toBe(14_000)
  const next = enter(14_000)
  breaker.fail(lost, why, 14_001)
  expect(states()).toEqual(['open', 'half-open'])
  breaker.succeed(next, 14_500)
  expect(breaker.blockedUntil(14_500)).toBeLessThan(14_500)
})

test('a probe that is abandoned lets the next one start at once; one without a verdict lets it rest (R104)', () => {
  const { breaker, enter } = opened()
  breaker.abandon(enter(4_000))
  const second = enter(4_000)
  breaker.ignore(second, 4_200)
  expect(breaker.enter(5_199)).toBeUndefined()
  expect(breaker.enter(5_200)).toBeDefined()
})

test('an outcome of before the outage neither closes nor opens what is half-open now', () => {
  const { breaker, enter, fail, states } = breakerWith()
  const old = [enter(0), enter(0), enter(0), enter(0)]
  for (const now of [0, 1_000, 2_000]) fail(now)
  enter(4_000)
  breaker.succeed(old[0]!, 4_100)
  breaker.succeed(old[1]!, 4_200)
  breaker.succeed(old[2]!, 4_300)
  breaker.fail(old[3]!, why, 4_400)
  expect(states()).toEqual(['open', 'half-open'])
})

test('failures of before the outage do not count against what has closed again', () => {
  const { breaker, enter, fail, succeed, states } = breakerWith()
  const old = Array.from({ length: 20 }, () => enter(0))
  for (const now of [0, 1_000, 2_000]) fail(now)
  for (const now of [4_000, 5_000, 6_000]) succeed(now)
  for (const permit of old) breaker.fail(permit, why, 7_000)
  expect(states()).toEqual(['open', 'half-open', 'closed'])
})

test('a probe whose answer breaks off after its first content opens it again', () => {
  const { breaker, enter, states } = opened()
  const probe = enter(4_000)
  breaker.succeed(probe, 4_500)
  breaker.fail(probe, { reason: 'truncated', message: 'Cut.' }, 5_000)
  expect(states()).toEqual(['open', 'half-open', 'open'])
})

test('a call that was let through an open breaker and succeeds is as good as a probe', () => {
  const { breaker, succeed, states } = opened()
  breaker.succeed(breaker.enterOpen(3_000), 3_500)
  expect(breaker.state(3_500)).toBe('half-open')
  for (const now of [3_600, 3_700]) succeed(now)
  expect(states()).toEqual(['open', 'half-open', 'closed'])
})

test('a call that was let through an open breaker and fails does not make it wait longer', () => {
  const { breaker, changes } = opened()
  breaker.fail(breaker.enterOpen(3_000), why, 3_500)
  expect(changes).toHaveLength(1)
  expect(breaker.blockedUntil(3_500)).toBe(4_000)
})

test('what another process has learned opens it, for the later of two times (R107)', () => {
  const { breaker, changes } = breakerWith()
  breaker.openUntil(9_000, why, 0)
  breaker.openUntil(5_000, why, 10)
  expect(breaker.blockedUntil(10)).toBe(9_000)
  expect(changes).toEqual([{ state: 'open', reason: 'overloaded', until: 9_000, now: 0 }])
})

test('its thresholds are the ones it was given (R98)', () => {
  const { fail, states } = breakerWith({ consecutiveFailures: 1 })
  fail(0)
  expect(states()).toEqual(['open'])
  const patient = breakerWith({ consecutiveFailures: 5 })
  for (const now of [0, 1_000, 2_000, 3_000]) patient.fail(now)
  expect(patient.states()).toEqual([])
})

test('without a breaker nothing opens, whatever is counted, and nobody is told (R98)', () => {
  const changes: BreakerChange[] = []
  const breaker = createBreaker({ settings: false, random: () => 0.5, onChange: change => void changes.push(change) })
  for (let call = 0; call < 100; call += 1) breaker.fail(breaker.enter(call)!, why, call)
  breaker.openUntil(10_000, why, 100)
  expect([breaker.state(100), breaker.blockedUntil(100), breaker.needsProbe(100)]).toEqual(['closed', -Infinity, false])
  expect(breaker.enter(100)).toEqual({ epoch: 0, probe: 0, success: undefined })
  expect(breaker.enterOpen(100)).toEqual(breaker.enter(100))
  expect(breaker.cause()).toEqual({ reason: 'server-error', message: '' })
  expect(changes).toEqual([])
})

test('a time of another process counts only if it is later than now and than the own time, and is told once', () => {
  const other = { reason: 'network', message: 'Another process learned it.' } as const
  const closed = breakerWith()
  closed.breaker.openUntil(1_000, other, 1_000)
  expect(closed.states()).toEqual([])
  const { breaker, changes, enter } = opened()
  for (const until of [3_000, 4_000]) breaker.openUntil(until, other, 2_500)
  expect([breaker.blockedUntil(2_500), breaker.cause()]).toEqual([4_000, why])
  breaker.openUntil(5_000, other, 2_500)
  expect([breaker.blockedUntil(2_500), breaker.cause()]).toEqual([5_000, other])
  expect(changes.map(({ state, until }) => [state, until])).toEqual([['open', 4_000]])
  enter(5_000)
  breaker.openUntil(8_000, other, 5_500)
  expect(changes.map(({ state, until }) => [state, until])).toEqual([
    ['open', 4_000],
    ['half-open', undefined],
    ['open', 8_000],
  ])
})

test('a last resort in a half-open breaker says nothing, also when its probe has been abandoned: it holds no lease', () => {
  const { breaker, enter, states } = opened()
  const probe = enter(4_000)
  const last = Array.from({ length: 4 }, () => breaker.enterOpen(4_100))
  breaker.abandon(probe)
  for (const permit of last.slice(1)) breaker.succeed(permit, 4_200)
  breaker.fail(last[0]!, why, 4_300)
  expect(states()).toEqual(['open', 'half-open'])
})

test('a time of another process counts after it was closed, also a shorter one than that of before', () => {
  const { breaker, changes } = breakerWith()
  breaker.openUntil(9_000, why, 0)
  breaker.close(1_000)
  breaker.openUntil(5_000, why, 2_000)
  expect([changes.length, breaker.blockedUntil(2_000)]).toEqual([3, 5_000])
})

test('closing what is closed tells nothing', () => {
  const { breaker, states } = breakerWith()
  breaker.close(0)
  expect(states()).toEqual([])
})

test('one answer is one success, however often it is told', () => {
  const { breaker, enter, fail, states } = breakerWith()
  const permit = enter(0)
  for (let told = 0; told < 20; told += 1) breaker.succeed(permit, 0)
  for (const now of [1, 2, 3]) fail(now)
  expect(states()).toEqual(['open'])
})

test('an answer of before an outage says nothing after it', () => {
  const { breaker, enter, fail, states } = breakerWith()
  const early = Array.from({ length: 20 }, () => enter(0))
  for (const now of [0, 1_000, 2_000]) fail(now)
  breaker.close(3_000)
  for (const permit of early) breaker.succeed(permit, 3_000)
  for (const permit of early.slice(0, 3)) breaker.finish(permit, 3_000)
  for (const now of [3_001, 3_002, 3_003]) fail(now)
  expect(states()).toEqual(['open', 'closed', 'open'])
})

test('a probe that has lost its lease says nothing when it is answered after all', () => {
  const { breaker, enter } = opened()
  const lost = enter(4_000)
  const second = enter(14_000)
  breaker.succeed(lost, 14_100)
  breaker.succeed(second, 14_200)
  breaker.succeed(enter(14_300), 14_300)
  expect(breaker.state(14_300)).toBe('half-open')
  breaker.succeed(enter(14_400), 14_400)
  expect(breaker.state(14_400)).toBe('closed')
})

test('calls that pass an open breaker as a last resort and fail leave it open no longer (R96)', () => {
  const { breaker, changes } = opened()
  for (let call = 0; call < 5; call += 1) breaker.fail(breaker.enterOpen(2_500), why, 2_500)
  expect([breaker.blockedUntil(2_500), changes.length]).toEqual([4_000, 1])
})

test('a fault of the own network forgives failures, and closes only what it has opened itself', () => {
  const network = { reason: 'network', message: 'Gone.' } as const
  const closed = breakerWith()
  for (const now of [0, 1_000]) closed.fail(now)
  closed.breaker.forgive(0, 1_500)
  closed.fail(2_000)
  expect(closed.states()).toEqual([])
  const overloaded = opened()
  overloaded.breaker.forgive(0, 2_100)
  expect(overloaded.states()).toEqual(['open'])
  const { breaker, enter, states } = breakerWith()
  for (const now of [0, 1_000, 2_000]) breaker.fail(enter(now), network, now)
  breaker.fail(enter(4_000), network, 4_000)
  breaker.forgive(3_000, 4_100)
  expect(states(), 'it was open before').toEqual(['open', 'half-open', 'open'])
  breaker.forgive(2_000, 4_100)
  expect(states().at(-1)).toBe('closed')
})
