import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import type { FailureReason } from '../../../src/contract-failures.ts'
import type { Charged, Permit, TargetHealth } from '../../../src/health/health.ts'
import { createWorld, failureOf, healthIn } from '../../helpers/health-world.ts'
import { seeded } from '../../helpers/random.ts'

/** Everything a walk can do to two targets of one key and one of another, in any order. */
const acts = ['enter', 'probe', 'hedge', 'last', 'firstChunk', 'late', 'answer', 'abandon', 'fail', 'wait', 'leave'] as const
const kinds: readonly (readonly [FailureReason, Charged])[] = [
  ['network', 'target'],
  ['overloaded', 'target'],
  ['server-error', 'target'],
  ['truncated', 'target'],
  ['timeout', 'target'],
  ['rate-limit', 'gate'],
  ['quota', 'key'],
  ['authentication', 'key'],
  ['permission', 'key'],
  ['not-found', 'model'],
  ['loading', 'nobody'],
  ['invalid-request', 'nobody'],
]

const step = fc.record({
  act: fc.constantFrom(...acts),
  which: fc.nat(2),
  held: fc.nat(8),
  kind: fc.nat(kinds.length - 1),
  passMs: fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(400_000)),
  namedMs: fc.option(fc.oneof(fc.constant(0), fc.nat(5_000), fc.nat(3_600_000), fc.constant(2_592_000_000)), { nil: undefined }),
})
const steps = fc.array(step, { maxLength: 200, size: 'max' })
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** Up to this a named time is obeyed to the letter. */
const quarter = 900_000

type Held = { readonly permit: Permit; readonly which: number }

/** Runs the steps; tells every entering and every named time, and ends in what is left over. */
function live(given: readonly Step[], seed: number) {
  const world = createWorld(0)
  const { health, target, events } = healthIn(world, { random: seeded(seed) })
  const targets = [target(), target({ model: 'pro', index: 1 }), target({ name: 'openai', index: 2 })] as const
  const held: Held[] = []
  const leaves: (() => void)[] = []
  /** Until when nothing may be sent, by target. */
  const named = [0, 0, 0]
  const early: string[] = []
  const log: unknown[] = []
  let woken = 0

  const note = (which: number, permit: Permit | undefined) => {
    log.push([world.now(), which, permit !== undefined])
    if (permit === undefined) return
    if (world.now() < named[which]!) early.push(`target ${which} at ${world.now()}, ${named[which]! - world.now()} ms early`)
    held.push({ permit, which })
  }
  const end = (index: number, give: (one: Held) => void) => {
    const [one] = held.splice(index % Math.max(1, held.length), 1)
    if (one !== undefined) give(one)
  }
  const name = (which: number, charged: Charged, namedMs: number) => {
    const both = charged === 'key' && which < 2 ? [0, 1] : [which]
    for (const each of both) named[each] = Math.max(named[each]!, world.now() + Math.min(namedMs, quarter))
  }
  const act = ({ act: what, which, held: index, kind, namedMs }: Step) => {
    const asked: TargetHealth = targets[which]!
    if (what === 'enter') note(which, asked.enter('call'))
    if (what === 'probe') note(which, asked.enter('probe'))
    if (what === 'hedge') note(which, asked.enter('hedge'))
    if (what === 'last') note(which, asked.enterAsLastResort())
    if (what === 'firstChunk') held[index % Math.max(1, held.length)]?.permit.firstChunk(index * 100)
    if (what === 'late') held[index % Math.max(1, held.length)]?.permit.late()
    if (what === 'answer') end(index, ({ permit }) => permit.end('answered'))
    if (what === 'abandon') end(index, ({ permit }) => permit.end('abandoned'))
    if (what === 'wait') leaves.push(asked.onOpening(() => (woken += 1)))
    if (what === 'leave') leaves.splice(index, 1)[0]?.()
    if (what !== 'fail') return
    end(index, one => {
      const [reason, charged] = kinds[kind]!
      // A 403, or a quota, may be about one model only: then the time that it named is that model's.
      if (namedMs !== undefined) name(one.which, reason === 'permission' || reason === 'quota' ? 'model' : charged, namedMs)
      one.permit.end({ failure: failureOf(reason, { retryAfterMs: namedMs }), charged })
    })
  }

  for (const each of given) {
    world.pass(each.passMs)
    act(each)
  }
  for (const { permit } of held) permit.end('abandoned')
  for (const leave of leaves) leave()
  return { world, health, targets, early, events, log: [log, events, woken] }
}

test('nothing is sent before a time that a server named, or a quarter of an hour of it, in any order of events (R92, F20)', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (given, seed) => {
      expect(live(given, seed).early).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('afterwards nothing is in flight, nobody waits and no timer is left', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (given, seed) => {
      const { world, health } = live(given, seed)
      expect(health.snapshot().map(({ inFlight, waiting }) => [inFlight, waiting])).toEqual(health.snapshot().map(() => [0, 0]))
      health.close()
      expect(world.timers()).toBe(0)
      expect(world.longestDelay()).toBeLessThanOrEqual(2 ** 31 - 1)
    }),
    { numRuns: 300 },
  )
})

test('whatever happened, every target is used again when it answers (R101, R136)', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (given, seed) => {
      const { world, targets } = live(given, seed)
      for (let hour = 0; hour < 40 * 24; hour += 1) {
        world.pass(3_600_000)
        if (targets.every(target => target.check().state === 'available')) break
        for (const target of targets) {
          for (let call = 0; call < 3; call += 1) {
            const permit = target.enter('call')
            permit?.firstChunk(100)
            permit?.end('answered')
          }
        }
      }
      expect(targets.map(target => target.check().state)).toEqual(['available', 'available', 'available'])
    }),
    { numRuns: 100 },
  )
})

test('every change that is told is a change', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (given, seed) => {
      const states = new Map<string, string>()
      for (const event of live(given, seed).events) {
        if (event.type !== 'health-change') continue
        const name = `${event.provider} ${event.model}`
        // a gate may be told once more, when it lasts longer
        if (event.state !== 'gated') expect(event.state).not.toBe(states.get(name) ?? 'closed')
        expect(event.sinceMs).toBeGreaterThanOrEqual(0)
        states.set(name, event.state)
      }
    }),
    { numRuns: 100 },
  )
})

afterEach(() => {
  vi.useRealTimers()
})

test('when the clock on the wall jumps by an hour, nothing changes', () => {
  fc.assert(
    fc.property(steps, fc.integer(), (given, seed) => {
      const { log } = live(given, seed)
      vi.useFakeTimers({ toFake: ['Date'] })
      let jump = 1
      const jumping = given.map(each => ({
        ...each,
        get passMs() {
          jump = -jump
          vi.setSystemTime(Date.now() + jump * 3_600_000)
          return each.passMs
        },
      }))
      expect(live(jumping, seed).log).toEqual(log)
    }),
    { numRuns: 30 },
  )
})
