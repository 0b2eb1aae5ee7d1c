import type { Clock } from '../contract.ts'
import type { AttemptRecord } from '../contract-events.ts'
import type { Budget } from '../contract-targets.ts'

/**
 * A spending limit over a rolling window. A request counts with its maximum cost while it runs, and with its real cost for one window
 * after its end.
 */
export type Account = {
  /** The name of the budget in messages. */
  readonly name: string
  readonly budget: Budget
  /** The money reserved for running requests. */
  held: number
  holds: number
  /** The money spent, by slices of the window; old slices are dropped. */
  spent: readonly Spent[]
}

type Spent = { readonly slice: number; readonly dollars: number }

/** Spending is summed per slice, so that memory does not grow with the number of calls. */
const slices = 60

export function createAccount(name: string, budget: Budget): Account {
  return { name, budget, held: 0, holds: 0, spent: [] }
}

/** Returns the accounts that limit the spending of a call besides the budgets of targets. */
export function accountsFor(ofClient: Account | undefined, maxCost: number | undefined): readonly Account[] {
  const own = maxCost === undefined ? [] : [createAccount('`maxCost` of the call', { dollars: maxCost, perMs: Infinity })]
  return ofClient === undefined ? own : [...own, ofClient]
}

/** Returns what is left now, in US dollars; negative if requests cost more than estimated. */
export function leftOf(account: Account, now: number): number {
  return account.budget.dollars - account.held - sumOf(current(account, now))
}

/** Whether this amount may be spent now. The tolerance covers rounding errors of floating-point sums. */
export function fits(account: Account, dollars: number, now: number): boolean {
  if (dollars === 0) return true
  return dollars !== Infinity && dollars <= leftOf(account, now) + account.budget.dollars * 1e-9
}

/** Returns in how many milliseconds this amount may be spent if nothing else is spent; undefined: not known. */
export function fitsInMs(account: Account, dollars: number, now: number): number | undefined {
  const { budget, held } = account
  const kept = current(account, now)
  for (const [index, { slice }] of kept.entries()) {
    const left = budget.dollars - held - sumOf(kept.slice(index + 1))
    const gone = goneAt(account, slice)
    if (dollars <= left) return gone === Infinity ? undefined : Math.max(0, gone - now)
  }
  return undefined
}

/** Reserves the maximum cost of a request that begins. */
export function hold(account: Account, dollars: number): void {
  account.held += dollars
  account.holds += 1
}

/** Releases the reserved money of an ended request, and records its cost. */
export function settle(account: Account, held: number, { dollars, now }: { dollars: number; now: number }): void {
  account.holds -= 1
  account.held = account.holds === 0 ? 0 : Math.max(0, account.held - held)
  const kept = current(account, now)
  const slice = sliceOf(account, now)
  const last = kept.at(-1)
  account.spent =
    last?.slice === slice ? [...kept.slice(0, -1), { slice, dollars: last.dollars + dollars }] : [...kept, { slice, dollars }]
}

/** Money that is reserved for a request while it runs. */
export type Hold = { readonly dollars: number; readonly accounts: readonly Account[]; readonly clock: Clock }

/** Settles an ended request. An unknown cost counts as its maximum. */
export function settleHold(taken: Hold, record: AttemptRecord): void {
  const { dollars, accounts: from, clock } = taken
  for (const account of from) settle(account, dollars, { dollars: costIn(taken, record), now: clock.now() })
}

/** Reserves money for the changed request with which a provider repeats a failed one. False: there is not enough; nothing was settled. */
export function renewHold(taken: Hold, record: AttemptRecord): boolean {
  const { accounts: from, clock, dollars } = taken
  // the money that is reserved now is free for the next request
  if (from.some(account => !fits(account, costIn(taken, record), clock.now()))) return false
  settleHold(taken, record)
  for (const account of from) hold(account, dollars)
  return true
}

/** A third-party provider may report any number: a negative cost must not give money back. */
function costIn({ dollars }: Hold, { cost }: AttemptRecord): number {
  return cost !== undefined && cost >= 0 && cost < Infinity ? cost : dollars
}

function current(account: Account, now: number): readonly Spent[] {
  return account.spent.filter(({ slice }) => goneAt(account, slice) > now)
}

/** A budget for good (`perMs: Infinity`) has one slice, which never leaves. */
function sliceOf({ budget: { perMs } }: Account, now: number): number {
  return Math.floor((now * slices) / perMs)
}

/** Returns when the last spending of this slice leaves the window. */
function goneAt({ budget: { perMs } }: Account, slice: number): number {
  return ((slice + 1) * perMs) / slices + perMs
}

function sumOf(spent: readonly Spent[]): number {
  return spent.reduce((sum, { dollars }) => sum + dollars, 0)
}
