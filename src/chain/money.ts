import type { Answer, Fold } from '../answer/answer.ts'
import type { Call, Clock, ProviderEvent } from '../contract.ts'
import type { Failure } from '../contract-failures.ts'
import type { Budget } from '../contract-targets.ts'
import { assumedOutputTokens, worstCostOf } from '../cost-estimate.ts'
import type { TargetHealth } from '../health/health.ts'
import { type Account, createAccount, fits, fitsInMs, hold, type Hold, leftOf } from './account.ts'
import { abandoned } from './attempt.ts'
import { type Begun, notAsked, skip } from './skip.ts'
import type { Candidate, ChainTarget, Leg, Walk } from './state.ts'

/** Targets that share their health also share their budget. */
const accounts = new WeakMap<TargetHealth, Account>()

/** Records the budget of a target. Returns false if another target of the same identity has a different one. */
export function openAccount(health: TargetHealth, { dollars, perMs }: Budget): boolean {
  const account = accounts.get(health) ?? createAccount('`budget` of the target', { dollars, perMs })
  accounts.set(health, account)
  return account.budget.dollars === dollars && account.budget.perMs === perMs
}

export function hasAccount(health: TargetHealth): boolean {
  return accounts.has(health)
}

/**
 * Returns why the budgets do not allow another request to this target; undefined if they do, as far as is known before `prepare` runs.
 * The result is not cached, because it changes with every request of this call and of others.
 */
export function budgetRefusal(walk: Walk, candidate: Candidate): Partial<Failure> | undefined {
  const { target } = candidate
  if (walk.accounts === undefined || (target.prepare !== undefined && candidate.worst === undefined)) return undefined
  candidate.worst ??= worstOf(target, walk.call, walk.clock)
  const now = walk.clock.now()
  const worst = candidate.worst
  const account = accountsOf(walk, target).find(each => !fits(each, worst, now))
  if (account === undefined) return undefined
  if (worst === Infinity) return { reason: 'budget', message: unpriced }
  const message = `It may cost up to ${inDollars(worst)}, but only ${inDollars(leftOf(account, now))} of the ${account.name} is left.`
  return { reason: 'budget', message, retryAfterMs: fitsInMs(account, worst, now) }
}

const unpriced = 'It has no `price`, so it might cost more than is left. Give the target a `price`.'

/** Whether the budgets allow a retry or a repair. If not, reports the skip. */
export function affords(walk: Walk, candidate: Candidate): boolean {
  const refusal = budgetRefusal(walk, candidate)
  if (refusal !== undefined) skip(walk, candidate, refusal)
  return refusal === undefined
}

/** Reserves the maximum cost of a request in every account; no request starts without it. Undefined: there is not enough money. */
export function takeMoney(
  walk: Walk,
  { candidate, call, fold }: { candidate: Candidate; call: Call; fold: Fold },
): Hold | undefined {
  const { target } = candidate
  candidate.worst = worstOf(target, call, walk.clock)
  if (budgetRefusal(walk, candidate) !== undefined) return undefined
  const taken = { dollars: candidate.worst, accounts: accountsOf(walk, target), clock: walk.clock }
  for (const account of taken.accounts) hold(account, taken.dollars)
  if (call.maxOutputTokens === undefined && taken.dollars > 0) fold.emit(guessed)
  return taken
}

/** The same for a request that belongs to no call. `null`: there is not enough money. Undefined: no budget limits it. */
export function takeAside(target: ChainTarget, call: Call, clock: Clock): Hold | null | undefined {
  const from = accountsOf({ accounts: target.account === undefined ? [] : [target.account] }, target)
  if (from.length === 0) return undefined
  const dollars = worstOf(target, call, clock)
  if (from.some(account => !fits(account, dollars, clock.now()))) return null
  for (const account of from) hold(account, dollars)
  return { dollars, accounts: from, clock }
}

/** After the target was chosen, other requests used the money up, or `prepare` made the request more expensive. */
export function tooDear(walk: Walk, leg: Leg, begun: Begun): Promise<Answer> {
  leg.thrown = abandoned
  // `asked` counts this request too. After a retry nobody else marks the target: this leg ends as abandoned, and not as failed
  if (leg.candidate.asked > 1) leg.candidate.spent = true
  return notAsked(walk, leg, { ...begun, refusal: budgetRefusal(walk, leg.candidate) })
}

const guessed: ProviderEvent = {
  type: 'warning',
  setting: 'maxOutputTokens',
  message: `The cost is limited, but maxOutputTokens is not set: ${assumedOutputTokens} output tokens were assumed. A longer answer may cost more.`,
}

function worstOf({ price, isPrivate, epochOffsetMs }: ChainTarget, call: Call, clock: Clock): number {
  const at = price?.rules === undefined ? undefined : clock.now() + epochOffsetMs()
  return worstCostOf(price, call, at) ?? (isPrivate ? 0 : Infinity)
}

function accountsOf({ accounts: ofAll = [] }: Pick<Walk, 'accounts'>, { health }: ChainTarget): readonly Account[] {
  const own = accounts.get(health)
  return own === undefined ? ofAll : [...ofAll, own]
}

function inDollars(dollars: number): string {
  return `$${Number(Math.max(0, dollars).toPrecision(3))}`
}
