import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  accountsFor,
  createAccount,
  fits,
  fitsInMs,
  hold,
  leftOf,
  renewHold,
  settle,
  settleHold,
} from '../../../src/chain/account.ts'
import type { AttemptRecord } from '../../../src/contract-events.ts'
import { createWorld } from '../../helpers/health-world.ts'

const minute = 60_000

test('what runs counts with the most that it may cost, and then with what it cost', () => {
  const account = createAccount('budget', { dollars: 10, perMs: minute })
  hold(account, 6)
  expect(leftOf(account, 0)).toBe(4)
  expect([fits(account, 4, 0), fits(account, 4.01, 0)]).toEqual([true, false])
  settle(account, 6, { dollars: 1, now: 0 })
  expect(leftOf(account, 0)).toBe(9)
})

test('what was spent comes back when it is as old as the time of the budget, and not before', () => {
  const account = createAccount('budget', { dollars: 10, perMs: minute })
  hold(account, 8)
  settle(account, 8, { dollars: 8, now: 500 })
  expect(fits(account, 3, minute)).toBe(false)
  const inMs = fitsInMs(account, 3, minute)!
  expect(inMs).toBeGreaterThan(0)
  expect(fits(account, 3, minute + inMs)).toBe(true)
  expect(fitsInMs(account, 11, minute)).toBeUndefined()
})

test('a budget for good gives nothing back, and what is free always fits', () => {
  const account = createAccount('maxCost', { dollars: 1, perMs: Infinity })
  hold(account, 2)
  settle(account, 2, { dollars: 2, now: 0 })
  expect(fits(account, 0.001, 1e15)).toBe(false)
  expect(fitsInMs(account, 0.5, 0)).toBeUndefined()
  expect(fits(account, 0, 0)).toBe(true)
  expect(fits(createAccount('none', { dollars: 0, perMs: 1 }), 0, 0)).toBe(true)
})

test('sums that fit to the cent fit', () => {
  const account = createAccount('maxCost', { dollars: 0.3, perMs: Infinity })
  for (let request = 0; request < 3; request += 1) {
    expect(fits(account, 0.1, 0)).toBe(true)
    hold(account, 0.1)
  }
  expect(fits(account, 0.1, 0)).toBe(false)
})

test('in no time of that length more is spent than the budget, whatever comes when', () => {
  const request = fc.record({
    afterMs: fc.nat(20_000),
    worst: fc.double({ min: 0.01, max: 5, noNaN: true }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    lastsMs: fc.nat(30_000),
  })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), fc.constantFrom(1, 1_000, minute), (requests, perMs) => {
      const account = createAccount('budget', { dollars: 5, perMs })
      const made: { from: number; to: number; worst: number; cost: number; settled: boolean }[] = []
      let now = 0
      for (const { afterMs, worst, share, lastsMs } of requests) {
        now += afterMs
        for (const one of made.toSorted((a, b) => a.to - b.to)) {
          if (one.settled || one.to > now) continue
          settle(account, one.worst, { dollars: one.cost, now: one.to })
          one.settled = true
        }
        if (!fits(account, worst, now)) continue
        hold(account, worst)
        made.push({ from: now, to: now + lastsMs, worst, cost: worst * share, settled: false })
      }
      for (const { from } of made) {
        const inTime = made.filter(other => other.from >= from && other.from < from + perMs)
        expect(inTime.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(5 * (1 + 1e-6))
      }
      expect(account.spent.length).toBeLessThanOrEqual(62)
    }),
  )
})

test('when an amount fits again is told by all that was spent before, one slice of time after the other, and by what runs', () => {
  const account = createAccount('budget', { dollars: 10, perMs: minute })
  for (const second of [0, 10, 20]) {
    hold(account, 3)
    settle(account, 3, { dollars: 3, now: second * 1_000 })
  }
  hold(account, 1)
  expect([1, 3, 6, 9].map(dollars => fitsInMs(account, dollars, 20_000))).toEqual([41_000, 41_000, 51_000, 61_000])
  expect(fitsInMs(account, 9.01, 20_000), 'a dollar runs').toBeUndefined()
})

test('when nothing runs nothing is held, to the last bit, and spending in one slice is one sum', () => {
  const account = createAccount('budget', { dollars: 1, perMs: minute })
  for (const dollars of [0.1, 0.2]) hold(account, dollars)
  for (const dollars of [0.1, 0.2]) settle(account, dollars, { dollars: 0.1, now: 0 })
  expect(account.held).toBe(0)
  expect(account.spent).toEqual([{ slice: 0, dollars: 0.2 }])
})

test('what other requests hold stays held when one ends', () => {
  const account = createAccount('budget', { dollars: 10, perMs: minute })
  for (const dollars of [4, 1]) hold(account, dollars)
  settle(account, 1, { dollars: 0, now: 0 })
  expect(leftOf(account, 0)).toBe(6)
})

test('what may cost anything fits nowhere, not even where everything is allowed', () => {
  expect(fits(createAccount('budget', { dollars: Infinity, perMs: minute }), Infinity, 0)).toBe(false)
})

test('a call is limited by its own `maxCost`, for good, and by the budget of the client', () => {
  const ofClient = createAccount('budget', { dollars: 10, perMs: minute })
  expect(accountsFor(undefined, undefined)).toEqual([])
  expect(accountsFor(ofClient, undefined)).toEqual([ofClient])
  const own = { name: '`maxCost` of the call', budget: { dollars: 0, perMs: Infinity } }
  expect(accountsFor(undefined, 0)).toMatchObject([own])
  expect(accountsFor(ofClient, 0)).toMatchObject([own, ofClient])
})

const costing = (cost: number | undefined) => ({ cost }) as AttemptRecord

test('an ended request costs what its record says; what no cost can be counts as the most that it may cost', () => {
  const left = (cost: number | undefined) => {
    const accounts = [createAccount('a', { dollars: 10, perMs: minute }), createAccount('b', { dollars: 20, perMs: minute })]
    for (const account of accounts) hold(account, 3)
    settleHold({ dollars: 3, accounts, clock: createWorld() }, costing(cost))
    expect(accounts.map(({ held }) => held)).toEqual([0, 0])
    return accounts.map(account => leftOf(account, createWorld().now()))
  }
  expect([0, 1, 3.5].map(left)).toEqual([
    [10, 20],
    [9, 19],
    [6.5, 16.5],
  ])
  for (const cost of [undefined, -1, Infinity, Number.NaN]) expect(left(cost)).toEqual([7, 17])
})

test('a request that is repeated with changes is paid, and money for the next one is held, or nothing changes', () => {
  const accounts = [createAccount('a', { dollars: 10, perMs: minute }), createAccount('b', { dollars: 100, perMs: minute })]
  const taken = { dollars: 6, accounts, clock: createWorld() }
  for (const account of accounts) hold(account, 6)
  expect(renewHold(taken, costing(4))).toBe(true)
  const held = () => accounts.map(account => [account.held, leftOf(account, taken.clock.now())])
  expect(held()).toEqual([
    [6, 0],
    [6, 90],
  ])
  expect(renewHold(taken, costing(0.5)), 'one account has nothing left').toBe(false)
  expect(held()).toEqual([
    [6, 0],
    [6, 90],
  ])
})
