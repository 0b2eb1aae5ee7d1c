import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Breaker, type BreakerPermit, type BreakerState, createBreaker } from '../../../src/health/breaker.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import { seeded } from '../../helpers/random.ts'

/**
 * Any order of calls, probes, late outcomes, cancellations, lost probes and waits. The model knows what must hold, not how
 * it is computed.
 */
type Held = {
  readonly permit: BreakerPermit
  readonly epoch: number
  readonly isProbe: boolean
  readonly since: number
  verdict: boolean
}

type Model = {
  now: number
  state: BreakerState
  /** Counts the changes that were told. */
  epoch: number
  /** Openings without a closing in between. */
  openings: number
  until: number
  /** Probes that succeeded in this epoch. */
  successes: number
  /** Failures of this epoch. */
  failures: number
  /** Probes are numbered. */
  lastProbe: number
  held: Held[]
}

type Real = { readonly breaker: Breaker; readonly model: Model }

const { settings, leaseMs } = { settings: loadFirst.breaker, leaseMs: loadFirst.breaker.probeLeaseMs }

function liveProbes({ held, epoch, now }: Model): number {
  return held.filter(each => each.isProbe && each.epoch === epoch && !each.verdict && now - each.since < leaseMs).length
}

function createReal(model: Model, seed: number): Real {
  const breaker = createBreaker({
    settings,
    random: seeded(seed),
    onChange({ state, until, now }) {
      const allowed = { closed: ['open'], open: ['half-open'], 'half-open': ['open', 'closed'] }
      expect(allowed[model.state]).toContain(state)
      if (state === 'open') {
        const openMs = Math.min(settings.maxOpenMs, settings.openMs * 2 ** model.openings)
        expect(until! - now).toBeGreaterThanOrEqual(0.8 * openMs - 1e-6)
        expect(until! - now).toBeLessThanOrEqual(1.2 * openMs + 1e-6)
        model.openings += 1
        model.until = until!
        if (model.state === 'closed') expect(model.failures, 'it opens for failures of its own epoch').toBeGreaterThanOrEqual(3)
      }
      if (state === 'closed') {
        expect(model.successes).toBe(settings.successesToClose)
        model.openings = 0
      }
      model.state = state
      model.epoch += 1
      model.successes = 0
      model.failures = 0
    },
  })
  return { breaker, model }
}

type Command = { readonly run: (real: Real) => void; toString(): string }

const command = (name: string, run: (real: Real) => void): Command => ({ run, toString: () => name })

const wait = fc.integer({ min: 0, max: 12_000 }).map(ms => command(`wait ${ms}`, ({ model }) => void (model.now += ms)))

const enter = fc.constant(
  command('enter', ({ breaker, model }) => {
    const before = liveProbes(model)
    const { state, now } = model
    const permit = breaker.enter(now)
    if (state === 'closed') expect(permit, 'nobody waits while it is closed').toMatchObject({ probe: 0 })
    else if (state === 'open' && now < model.until) expect(permit).toBeUndefined()
    else if (before > 0) expect(permit, 'one probe at a time').toBeUndefined()
    if (permit === undefined) return
    model.lastProbe = Math.max(model.lastProbe, permit.probe)
    model.held.push({ permit, epoch: model.epoch, isProbe: permit.probe > 0, since: now, verdict: false })
    expect(permit.probe > 0).toBe(model.state === 'half-open')
  }),
)

/** Something happens to one of the attempts that are still held, however old it is. */
const outcome = fc.tuple(fc.constantFrom('succeed', 'fail', 'abandon'), fc.nat(20)).map(([act, which]) =>
  command(`${act} ${which}`, ({ breaker, model }) => {
    const held = model.held[which % Math.max(1, model.held.length)]
    if (held === undefined) return
    const { now, epoch } = model
    const isStale = held.epoch !== epoch
    // Its place was given to another one. As long as nobody has taken it, a late verdict is welcome.
    const isLost = held.isProbe && model.lastProbe > held.permit.probe
    // What is told of the change that follows counts this outcome already.
    if (act === 'succeed' && held.isProbe && !isStale && !isLost && !held.verdict) model.successes += 1
    if (act === 'fail' && !isStale) model.failures += 1
    if (act === 'succeed') breaker.succeed(held.permit, now)
    if (act === 'fail') breaker.fail(held.permit, { reason: 'overloaded', message: '' }, now)
    if (act === 'abandon') breaker.abandon(held.permit)
    if (isStale || act === 'abandon') expect(model.epoch, 'it changes nothing').toBe(epoch)
    if (act === 'succeed') held.verdict = true
    // A success may be followed by a break-off; everything else was the last that is heard of it.
    if (act === 'fail' || act === 'abandon') model.held.splice(model.held.indexOf(held), 1)
  }),
)

function consistent({ breaker, model }: Real): void {
  const { now, state, until } = model
  expect(liveProbes(model)).toBeLessThanOrEqual(1)
  const isOpening = state === 'open' && now >= until
  expect(breaker.state(now)).toBe(isOpening ? 'half-open' : state)
  const mayEnter = state === 'closed' || isOpening || (state === 'half-open' && liveProbes(model) === 0)
  expect(breaker.blockedUntil(now) <= now, 'it says when somebody may enter').toBe(mayEnter)
}

test('whatever happens in whatever order: one live probe, no stale outcome acts, nobody but the probe waits', () => {
  const steps = fc.array(
    fc.oneof({ arbitrary: enter, weight: 4 }, { arbitrary: outcome, weight: 4 }, { arbitrary: wait, weight: 1 }),
    {
      maxLength: 150,
      size: 'max',
    },
  )
  fc.assert(
    fc.property(steps, fc.integer(), (commands, seed) => {
      const model: Model = {
        ...{ now: 0, state: 'closed', epoch: 0, openings: 0, until: 0, successes: 0, failures: 0 },
        lastProbe: 0,
        held: [],
      }
      const real = createReal(model, seed)
      for (const each of commands) {
        each.run(real)
        consistent(real)
      }
    }),
    { numRuns: 400 },
  )
})

test('however a target has behaved, it is used again once it answers (R136)', () => {
  const past = fc.array(fc.record({ isFailure: fc.boolean(), afterMs: fc.nat(5_000) }), { maxLength: 200 })
  fc.assert(
    fc.property(past, fc.integer(), (outcomes, seed) => {
      const breaker = createBreaker({ settings, random: seeded(seed), onChange: () => {} })
      let now = 0
      const call = (isFailure: boolean) => {
        const permit = breaker.enter(now)
        if (permit === undefined) return
        if (isFailure) breaker.fail(permit, { reason: 'overloaded', message: '' }, now)
        else breaker.succeed(permit, now)
      }
      for (const { isFailure, afterMs } of outcomes) {
        now += afterMs
        call(isFailure)
      }
      for (let second = 0; second < 20; second += 1) {
        now += 1_000
        call(false)
      }
      expect(breaker.state(now)).toBe('closed')
    }),
  )
})
