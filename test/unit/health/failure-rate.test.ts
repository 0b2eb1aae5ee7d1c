import { expect, test } from 'vitest'
import { createFailureRate } from '../../../src/health/failure-rate.ts'
import { loadFirst } from '../../../src/health/settings.ts'

const rateOf = (settings: Partial<typeof loadFirst.breaker> = {}) => createFailureRate({ ...loadFirst.breaker, ...settings })

/** `s` for a success and `f` for a failure, one each ms. Returns after which of them the target counts as broken. */
function brokenAfter(results: string, { from = 0, everyMs = 1, rate = rateOf() } = {}): readonly number[] {
  return results.split('').flatMap((result, index) => {
    const now = from + index * everyMs
    if (result === 's') rate.succeed(now)
    else rate.fail(now)
    return rate.isBroken(now) ? [index + 1] : []
  })
}

test('three failures in a row are enough where there are fewer than ten calls in five seconds', () => {
  expect(brokenAfter('ff')).toEqual([])
  expect(brokenAfter('fff')).toEqual([3])
  expect(brokenAfter('sssssfff')).toEqual([8])
  expect(brokenAfter('ffsff')).toEqual([])
})

test('from ten calls on, half of them must fail', () => {
  expect(brokenAfter('sssssssfff'), 'three of ten').toEqual([])
  expect(brokenAfter('sssssfffff'), 'three in a row while there were fewer, and five of ten').toEqual([8, 9, 10])
  expect(brokenAfter('sfsfsfsfsf')).toEqual([10])
  expect(brokenAfter('sfsfsfsfss')).toEqual([])
})

test('calls of more than five seconds ago count only among the last twenty, and none of more than a minute ago', () => {
  // one call in two seconds: there are never ten in five seconds
  expect(brokenAfter('sfsfsfsfsf', { everyMs: 2_000 })).toEqual([10])
  expect(brokenAfter('ff', { everyMs: 60_001 })).toEqual([])
  expect(brokenAfter('fff', { everyMs: 30_000 })).toEqual([3])
  expect(brokenAfter('fff', { everyMs: 30_001 }), 'the first is forgotten').toEqual([])
})

test('what broke off after it had begun is a failure in the place of its success', () => {
  const rate = rateOf()
  const begun = [0, 1, 2].map(now => rate.succeed(now))
  for (const success of begun.slice(0, 2)) rate.takeBack(success, 10)
  expect(rate.isBroken(10)).toBe(false)
  rate.takeBack(begun[2]!, 10)
  expect(rate.isBroken(10)).toBe(true)
})

test('an answer that broke off when its call is no longer known changes nothing else', () => {
  const rate = rateOf()
  const first = rate.succeed(0)
  for (let call = 0; call < 40; call += 1) rate.succeed(20_000 + call * 1_000)
  rate.takeBack(first, 60_000)
  expect(rate.isBroken(60_000)).toBe(false)
})

test('a failure takes the place of its own success, not of the last one', () => {
  const rate = rateOf()
  const begun = [0, 1, 2].map(now => rate.succeed(now))
  for (const success of begun.slice(0, 2)) rate.takeBack(success, 10)
  rate.fail(11)
  expect(rate.isBroken(11), 'a success was between').toBe(false)
})

test('three answers in a row that break off are an outage, also when their beginnings are long forgotten', () => {
  const rate = rateOf()
  const begun = [0, 1, 2].map(now => rate.succeed(now))
  for (let call = 0; call < 40; call += 1) rate.succeed(20_000 + call * 1_000)
  const broken = begun.map(success => (rate.takeBack(success, 60_000), rate.isBroken(60_000)))
  expect(broken).toEqual([false, false, true])
})

test('after five seconds a burst of calls no longer speaks for the target', () => {
  const rate = rateOf()
  expect(brokenAfter('ssssssssss', { rate, from: 1_300 })).toEqual([])
  expect(brokenAfter('fff', { rate, from: 5_500 }), 'three of thirteen').toEqual([])
  const later = rateOf()
  brokenAfter('ssssssssss', { rate: later, from: 1_300 })
  expect(brokenAfter('fff', { rate: later, from: 6_000 })).toEqual([3])
})

test('when all is forgotten the next failures are counted from nothing', () => {
  const rate = rateOf()
  expect(brokenAfter('ff', { rate })).toEqual([])
  rate.clear()
  expect(brokenAfter('ff', { rate, from: 10 })).toEqual([])
  expect(brokenAfter('f', { rate, from: 20 })).toEqual([1])
  rate.clear()
  expect(brokenAfter('sssssssss', { rate, from: 30 })).toEqual([])
  rate.clear()
  expect(brokenAfter('fff', { rate, from: 50 })).toEqual([3])
})

test('of a target that usually fails a third of its calls, three in a row are nothing unusual, and an outage is', () => {
  const rate = rateOf()
  brokenAfter('sfs'.repeat(200), { rate, everyMs: 1_000 })
  expect(brokenAfter('fff', { rate, from: 700_000 })).toEqual([])
  expect(brokenAfter('f'.repeat(40), { rate, from: 800_000 }).length).toBeGreaterThan(20)
})

test('how many failures in a row are unusual depends on how many are usual', () => {
  const firstBroken = (usual: string) => {
    const rate = rateOf()
    brokenAfter(usual.repeat(100), { rate, everyMs: 3_000 })
    return brokenAfter('f'.repeat(20), { rate, from: 10_000_000, everyMs: 3_000 })[0]
  }
  expect(firstBroken('ssssssssssssssssssssssssssssssf'), 'one in thirty is healthy').toBe(3)
  expect([firstBroken('sssssssf'), firstBroken('sssf'), firstBroken('sf')]).toEqual([6, 9, 10])
})

test('of a target that usually fails half of its calls, the same share is unusual only after many calls', () => {
  const rate = rateOf()
  brokenAfter('sf'.repeat(200), { rate, everyMs: 3_000 })
  // no more than three failures of ten are ever taken as usual
  expect(brokenAfter('sf'.repeat(200), { rate, from: 10_000_000, everyMs: 10 })[0]).toBe(138)
})

test('where many calls were made within five seconds, those decide, not the last twenty', () => {
  const rate = rateOf()
  expect(brokenAfter('s'.repeat(100) + 'f'.repeat(20), { rate })).toEqual([])
  const broken = rateOf()
  const begun = Array.from({ length: 100 }, (_, now) => broken.succeed(now))
  for (const success of begun.slice(80)) broken.takeBack(success, 200)
  expect(broken.isBroken(200), 'twenty of a hundred answers broke off').toBe(false)
  for (const success of begun.slice(20, 80)) broken.takeBack(success, 200)
  expect(broken.isBroken(200), 'eighty of a hundred').toBe(true)
})

test('a call that is the oldest known is turned into a failure in its place, a forgotten one counts as a new failure', () => {
  const after = (calls: number) => {
    const rate = rateOf()
    const [first] = Array.from({ length: calls }, (_, call) => rate.succeed(call * 2_500))
    rate.takeBack(first!, 60_000)
    for (const now of [60_001, 60_002]) rate.fail(now)
    return rate.isBroken(60_002)
  }
  expect([after(20), after(25)]).toEqual([false, true])
})

test('no outage makes the next one usual', () => {
  const rate = rateOf()
  for (let outage = 0; outage < 20; outage += 1) {
    expect(brokenAfter('ssss' + 'f'.repeat(16), { rate, from: outage * 100_000, everyMs: 3_000 })[0]).toBe(7)
    rate.clear()
  }
})

test('what was usual before an outage is usual after it, and is counted once', () => {
  const rate = rateOf()
  brokenAfter('sf'.repeat(10), { rate, everyMs: 3_000 })
  rate.clear()
  brokenAfter('s'.repeat(20), { rate, from: 100_000, everyMs: 3_000 })
  expect(brokenAfter('f'.repeat(20), { rate, from: 200_000, everyMs: 3_000 })[0]).toBe(7)
})
