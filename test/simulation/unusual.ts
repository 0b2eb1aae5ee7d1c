import { inspect } from 'node:util'
import { succeeded } from './measures.ts'
import { deadlineMs, type Scenario } from './scenarios.ts'
import type { Ledger } from './world/ledger.ts'

/** The numbers of calls worth tracing: the first and last that failed, the slowest, the most often asked; and every fault. */
export function unusual(ledger: Ledger, scenario: Scenario, count: number): string {
  const { arrivals, answeredBy, attemptFirstTokenAt, attempts, faults, wrongError } = ledger
  const good = succeeded(ledger)
  const counted = [...arrivals.at.keys()].filter(call => arrivals.at[call]! >= scenario.countedFromMs)
  const failed = counted.filter(call => !good(call))
  const firstTokenMs = (call: number): number => attemptFirstTokenAt[answeredBy[call]!]! - arrivals.at[call]!
  const slow = counted.filter(good).toSorted((one, other) => firstTokenMs(other) - firstTokenMs(one))
  const often = counted.toSorted((one, other) => attempts[other]! - attempts[one]!)
  const name = (call: number): string =>
    `${call} (at ${(arrivals.at[call]! / 1000).toFixed(1)} s, ${attempts[call]} attempts, first token ${(firstTokenMs(call) / 1000).toFixed(1)} s)`
  const lines = {
    [`${failed.length} failed`]: [...failed.slice(0, count), ...failed.slice(count).slice(-count)],
    'settled late': counted.filter(call => ledger.settledAt[call]! - arrivals.at[call]! > deadlineMs + 1).slice(0, count),
    slowest: slow.slice(0, count),
    'asked most often': often.slice(0, count),
  }
  const listed = Object.entries(lines).map(([title, calls]) => `  ${title}: ${calls.map(name).join(', ')}`)
  const happened = Object.entries(faults).filter(([, times]) => times > 0)
  return [
    ...listed,
    `  faults: ${happened.map(([fault, times]) => `${fault} ${times}`).join(', ') || 'none'}`,
    ...(wrongError === undefined ? [] : [`  first wrong error: ${inspect(wrongError)}`]),
  ].join('\n')
}
