import type { MeasureName, Measures } from './measures.ts'
import { isReached, targetsOf, type Target } from './targets.ts'

/** One row: what a policy made of a scenario, as the mean of its seeds. */
export type Row = {
  readonly scenario: string
  readonly policy: string
  readonly processes: number
  readonly seeds: number
  readonly measures: Measures
  /** Peers are shown beside, not judged. */
  readonly judged: boolean
}

const columns: readonly (readonly [title: string, show: (measures: Measures) => string])[] = [
  ['success %', ({ successInBadTime }) => percent(successInBadTime)],
  ['all %', ({ success }) => percent(success)],
  ['TTFT p50/p99 s', one => `${seconds(one.firstTokenP50Ms)}/${seconds(one.firstTokenP99Ms)}`],
  ['latency p50/p99 s', one => `${seconds(one.latencyP50Ms)}/${seconds(one.latencyP99Ms)}`],
  ['attempts', ({ attempts }) => attempts.toFixed(3)],
  ['faulty rps', ({ faultyRps }) => faultyRps.toFixed(1)],
  ['waste %', ({ waste }) => percent(waste)],
  ['$/1k', ({ dollarsPer1k }) => dollarsPer1k.toFixed(2)],
  ['default %', ({ degraded }) => percent(degraded)],
  ['after p99 s', one => seconds(one.degradedP99Ms)],
  ['recovery s', ({ recoveryMs }) => seconds(recoveryMs)],
  ['return s', ({ returnMs }) => seconds(returnMs)],
  ['peak', ({ peak }) => peak.toFixed(2)],
  ['faults', ({ faults }) => String(faults)],
]

export function printRows(rows: readonly Row[]): string {
  const cells = rows.map(row => [
    row.scenario,
    row.policy,
    String(row.processes),
    ...columns.map(([, cellOf]) => cellOf(row.measures)),
  ])
  return align([['', 'policy', 'processes', ...columns.map(([title]) => title)], ...cells])
}

export type Verdict = { readonly row: Row; readonly target: Target; readonly reached: boolean }

export function judge(rows: readonly Row[]): readonly Verdict[] {
  return rows
    .filter(row => row.judged)
    .flatMap(row =>
      targetsOf(row.scenario, row.processes).map(target => ({
        row,
        target,
        reached: isReached(target, row.measures, row.seeds),
      })),
    )
}

export function printVerdicts(verdicts: readonly Verdict[]): string {
  return align(
    verdicts.map(({ row, target, reached }) => [
      reached ? 'reached' : 'MISSED ',
      target.scenario,
      `${row.processes} process${row.processes === 1 ? '' : 'es'}`,
      [target, ...(target.or ?? [])]
        .map((one, index) => `${index === 0 ? '' : index === 1 ? 'or ' : 'and '}${bound(one)}`)
        .join(' '),
      'is',
      [target, ...(target.or ?? [])].map(one => show(one.measure, row.measures[one.measure])).join(', '),
    ]),
  )
}

function bound({ measure, atMost, atLeast }: Omit<Target, 'scenario'>): string {
  return atMost === undefined ? `${measure} >= ${show(measure, atLeast ?? NaN)}` : `${measure} <= ${show(measure, atMost)}`
}

function show(measure: MeasureName, value: number): string {
  if (measure.endsWith('Ms')) return `${seconds(value)} s`
  if (measure === 'success' || measure === 'successInBadTime' || measure === 'waste') return `${percent(value)} %`
  return String(Math.round(value * 1000) / 1000)
}

function percent(share: number): string {
  return (share * 100).toFixed(2)
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  return lines
    .map(line =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
