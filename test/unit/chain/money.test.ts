import { expect } from 'vitest'
import type { Fold } from '../../../src/answer/answer.ts'
import { type Account, createAccount, leftOf } from '../../../src/chain/account.ts'
import { abandoned } from '../../../src/chain/attempt.ts'
import { affords, budgetRefusal, hasAccount, openAccount, takeAside, takeMoney, tooDear } from '../../../src/chain/money.ts'
import type { Candidate, ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import type { ProviderEvent } from '../../../src/contract.ts'
import type { Permit, TargetHealth } from '../../../src/health/health.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const minute = 60_000
const call = { model: 'm', messages: [], metadata: {}, maxOutputTokens: 2 }
/** A request to it costs two dollars. */
const price = { input: 0, output: 1_000_000 }

const targetOf = (given: Partial<ChainTarget> = {}) =>
  ({ provider: { name: 'own' }, model: 'm', price, isPrivate: false, health: {} as TargetHealth, ...given }) as ChainTarget

const accountOf = (dollars: number) => createAccount('`budget` of the client', { dollars, perMs: minute })

function callOf(clock: FakeClock, accounts: readonly Account[] | undefined, given: Partial<ChainTarget> = {}) {
  const walk = { clock, call, accounts, trail: [], failures: [] } as unknown as Walk
  const candidate = { target: targetOf(given), asked: 0, spent: false } as unknown as Candidate
  const emitted: ProviderEvent[] = []
  const fold = { emit: (event: ProviderEvent) => emitted.push(event) > 0, drop: () => {} } as unknown as Fold
  return { walk, candidate, emitted, fold, take: (of = call) => takeMoney(walk, { candidate, call: of, fold }) }
}

test('targets of one identity have one budget: another amount or another time for it is refused', () => {
  const [health, other] = [{} as TargetHealth, {} as TargetHealth]
  expect(hasAccount(health)).toBe(false)
  expect(openAccount(health, { dollars: 5, perMs: minute })).toBe(true)
  expect(openAccount(health, { dollars: 5, perMs: minute })).toBe(true)
  expect(openAccount(health, { dollars: 6, perMs: minute })).toBe(false)
  expect(openAccount(health, { dollars: 5, perMs: 2 * minute })).toBe(false)
  expect([hasAccount(health), hasAccount(other)]).toEqual([true, false])
})

test('a request begins when each budget has its price, and takes it from each', ({ clock }) => {
  const health = {} as TargetHealth
  openAccount(health, { dollars: 3, perMs: minute })
  const ofClient = accountOf(10)
  const { take, walk, candidate } = callOf(clock, [ofClient], { health })
  expect(take()?.dollars).toBe(2)
  expect(leftOf(ofClient, 0)).toBe(8)
  // the budget of the target has one dollar left
  expect(take()).toBeUndefined()
  expect(leftOf(ofClient, 0)).toBe(8)
  expect(budgetRefusal(walk, candidate)).toEqual({
    reason: 'budget',
    message: 'It may cost up to $2, but only $1 of the `budget` of the target is left.',
    retryAfterMs: undefined,
  })
})

test('no budget, and a price that is not known: nothing and everything may be asked', ({ clock }) => {
  const without = callOf(clock, undefined, { price: undefined })
  expect(budgetRefusal(without.walk, without.candidate)).toBeUndefined()
  const unknown = callOf(clock, [accountOf(10)], { price: undefined })
  expect(unknown.take()).toBeUndefined()
  expect(budgetRefusal(unknown.walk, unknown.candidate)).toMatchObject({ message: expect.stringContaining('has no `price`') })
  expect(callOf(clock, [accountOf(10)], { price: undefined, isPrivate: true }).take()?.dollars).toBe(0)
})

test('what `prepare` makes of a call is not known before it runs, so its price is looked at then', ({ clock }) => {
  const { walk, candidate, take } = callOf(clock, [accountOf(3)], { prepare: () => ({}) })
  walk.accounts?.forEach(account => (account.held = 3))
  expect(budgetRefusal(walk, candidate)).toBeUndefined()
  expect(take()).toBeUndefined()
  expect(budgetRefusal(walk, candidate)).toMatchObject({ reason: 'budget' })
})

test('a retry that costs more than is left is reported as a skip, one that does not is not', ({ clock }) => {
  const rich = callOf(clock, [accountOf(2)])
  expect([affords(rich.walk, rich.candidate), rich.walk.trail]).toEqual([true, []])
  const poor = callOf(clock, [accountOf(1)])
  expect(affords(poor.walk, poor.candidate)).toBe(false)
  expect(poor.walk.trail).toMatchObject([{ record: { outcome: 'skipped', reason: 'budget' } }])
})

test('the answer warns that its length was guessed, where tokens cost money and nobody limits them', ({ clock }) => {
  const warnings = (given: Partial<ChainTarget>, of: object = {}) => {
    const { take, emitted } = callOf(clock, [accountOf(9_000)], given)
    expect(take({ ...call, ...of })).toBeDefined()
    return emitted.map(event => (event.type === 'warning' ? event.setting : event.type))
  }
  const unlimited = { maxOutputTokens: undefined }
  expect(warnings({}, unlimited)).toEqual(['maxOutputTokens'])
  expect(warnings({})).toEqual([])
  expect(warnings({ price: { input: 0, output: 0 } }, unlimited)).toEqual([])
})

test('a request that belongs to no call is paid from the budgets of the client and of its target', ({ clock }) => {
  const health = {} as TargetHealth
  expect(takeAside(targetOf({ account: undefined }), call, clock)).toBeUndefined()
  openAccount(health, { dollars: 5, perMs: minute })
  const account = accountOf(3)
  const target = targetOf({ account, health })
  const taken = takeAside(target, call, clock)
  expect([taken?.dollars, taken?.accounts.length, leftOf(account, 0)]).toEqual([2, 2, 1])
  // the target has three dollars left, the client one
  expect(takeAside(target, call, clock)).toBeNull()
  expect(leftOf(account, 0)).toBe(1)
  expect(takeAside(targetOf({ account: undefined, health }), call, clock)?.accounts).toHaveLength(1)
})

test('a request that has become too dear is undone, and its target is given up if it was asked before', async ({ clock }) => {
  const undone = async (asked: number) => {
    const { walk, candidate, fold } = callOf(clock, [accountOf(1)])
    candidate.asked = asked
    const ends: string[] = []
    const leg = { candidate } as Leg
    const permit = { end: (outcome: string) => void ends.push(outcome) } as unknown as Permit
    await expect(tooDear(walk, leg, { permit, fold })).rejects.toBe(abandoned)
    expect([ends, leg.thrown, candidate.asked]).toEqual([['unused'], abandoned, asked - 1])
    expect(walk.trail).toMatchObject([{ record: { outcome: 'skipped', reason: 'budget' } }])
    return candidate.spent
  }
  expect([await undone(1), await undone(2)]).toEqual([false, true])
})
