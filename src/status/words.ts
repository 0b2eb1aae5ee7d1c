import type { TargetState } from '../contract-events.ts'
import type { CallCounts, ClientStatus, TargetStatus } from '../telemetry/activity.ts'

/** How severe the situation is. */
export type Level = 'good' | 'fair' | 'bad' | 'idle'

/** The summary that an operator on call reads first. */
export type Verdict = { readonly level: Level; readonly title: string; readonly text: string }

/** A symbol for each level, because colour must not be the only signal. */
export const signs: Readonly<Record<Level, string>> = { good: '✔', fair: '▲', bad: '✖', idle: '○' }

type StateWords = { readonly sign: string; readonly words: string; readonly level: Level }

export const states: Readonly<Record<TargetState, StateWords>> = {
  closed: { sign: '✔', words: 'is up', level: 'good' },
  'half-open': { sign: '◐', words: 'is being tried', level: 'fair' },
  gated: { sign: '■', words: 'must wait', level: 'fair' },
  open: { sign: '✖', words: 'is down', level: 'bad' },
}

/** Four steps of fifteen seconds. A verdict over five minutes would recover too slowly. */
const lastMinute = 4

/** The share of unanswered calls from which the level is `bad` instead of `fair`. */
const badShare = 0.05

export function verdictOf({ closed, targets, recent }: ClientStatus): Verdict {
  if (closed) return { level: 'bad', title: 'This client is closed', text: 'It takes no more calls.' }
  const minute = sumOf(recent.steps.slice(-lastMinute))
  const { answered, fallback, aborted } = minute
  const lost = lostIn(minute)
  const all = answered + lost
  const text = textOf(targets, minute)
  if (targets.every(({ state }) => state === 'open' || state === 'gated')) return { level: 'bad', title: 'No target is up', text }
  if (all > 0 && lost / all >= badShare) return { level: 'bad', title: 'Calls get no answer', text }
  if (lost > 0) return { level: 'fair', title: 'Some calls get no answer', text }
  if (targets.filter(({ step }) => step === 0).every(({ state }) => state === 'open' || state === 'gated'))
    return { level: 'fair', title: 'The first target is down, others answer', text }
  if (fallback > answered / 2) return { level: 'fair', title: 'Most answers come from another target', text }
  // they may have left because no answer came
  if (all === 0 && aborted > 0) return { level: 'fair', title: 'Every caller left before the end of the answer', text }
  if (all === 0)
    return { level: 'idle', title: 'No calls in the last minute', text: sentences([standingOf(targets, 'Every target is up')]) }
  return { level: 'good', title: 'Every call gets an answer', text }
}

/** The targets that are not up, and what became of the calls of the last minute. */
function textOf(targets: readonly TargetStatus[], minute: CallCounts): string {
  const lost = lostIn(minute)
  const all = minute.answered + lost
  const { aborted } = minute
  return sentences([
    standingOf(targets, ''),
    all === 0 ? '' : `${lost} of ${all} calls of the last minute got no answer`,
    aborted === 0 ? '' : abortedText(aborted, all),
    all + aborted === 0 ? 'No calls in the last minute' : '',
  ])
}

function abortedText(aborted: number, others: number): string {
  if (aborted === 1) return `1 ${others === 0 ? 'call' : 'more'} was aborted by its caller`
  return `${aborted} ${others === 0 ? 'calls' : 'more'} were aborted by their callers`
}

function lostIn({ degraded, failed }: CallCounts): number {
  return degraded + failed
}

function standingOf(targets: readonly TargetStatus[], none: string): string {
  const others = targets.filter(({ state }) => state !== 'closed')
  return others.length === 0 ? none : others.map(target => `${nameOf(target)} ${states[target.state].words}`).join(', ')
}

function sentences(parts: readonly string[]): string {
  return `${parts.filter(part => part !== '').join('. ')}.`
}

export function sumOf(steps: readonly CallCounts[]): CallCounts {
  const add = (of: (step: CallCounts) => number): number => steps.reduce((sum, step) => sum + of(step), 0)
  return {
    answered: add(({ answered }) => answered),
    fallback: add(({ fallback }) => fallback),
    degraded: add(({ degraded }) => degraded),
    failed: add(({ failed }) => failed),
    aborted: add(({ aborted }) => aborted),
  }
}

export function nameOf({ name, provider }: Pick<TargetStatus, 'name' | 'provider'>): string {
  return name ?? provider
}

/** Failures that differ only in time and request. They are grouped, because ten equal lines would hide a different one. */
export type FailureGroup = {
  readonly target: TargetStatus
  readonly reason: string
  readonly status: number | undefined
  readonly count: number
  readonly newest: string
  readonly oldest: string
  readonly requestId: string | undefined
}

/** Groups the failures of all targets, newest first. */
export function failureGroups(targets: readonly TargetStatus[]): readonly FailureGroup[] {
  const groups = targets.flatMap(target => {
    const byKind = Map.groupBy(target.lastFailures, ({ reason, status }) => `${reason} ${status}`)
    return [...byKind.values()].map((failures): FailureGroup => {
      const [first] = failures
      const { reason = 'unknown', status, at = '' } = first ?? {}
      const requestId = failures.find(failure => failure.requestId !== undefined)?.requestId
      return { target, reason, status, count: failures.length, newest: at, oldest: failures.at(-1)?.at ?? at, requestId }
    })
  })
  return groups.toSorted((one, other) => (one.newest < other.newest ? 1 : -1))
}

// ---- numbers as people read them

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

export function dollars(amount: number): string {
  if (amount === 0) return '$0'
  if (amount < 0.000_1) return '< $0.0001'
  return amount < 1 ? `$${amount.toFixed(4)}` : `$${amount.toFixed(2)}`
}

/** Formats a share; there is none if the total is 0. */
export function share(part: number, all: number): string {
  return all === 0 ? '' : `${((100 * part) / all).toFixed(1).replace(/\.0$/, '')} %`
}

/** Returns the time of day of an ISO date. */
export function timeOfDay(iso: string): string {
  return `${iso.slice(11, 19)} UTC`
}

/** The load that a server reports, if it was asked. */
export function serverWords({ asleep, kvUsage, running, waiting }: NonNullable<TargetStatus['server']>): string {
  if (asleep === true) return 'the server is asleep'
  const cache = kvUsage === undefined ? '' : `, cache ${Math.round(kvUsage * 100)} %`
  return `the server has ${running} running and ${waiting} waiting${cache}`
}

export type Pings = NonNullable<TargetStatus['keepWarm']>

export function pingResult({ lastMs, lastReason }: Pings): string {
  return lastReason === undefined ? `ok, took ${duration(lastMs ?? 0)}` : `failed: ${lastReason}`
}
