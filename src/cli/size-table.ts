import type { Comparison } from '../sizing/compare.ts'
import { grouped, type Step } from '../sizing/explain.ts'
import type { DeploymentSize } from '../sizing/size-deployment.ts'
import type { Facts } from '../sizing/warnings.ts'
import type { Terminal } from './terminal.ts'

type Told = { readonly facts: Facts; readonly result: DeploymentSize; readonly steps: readonly Step[] }

/** Prints each figure with the formula behind it. */
export function tellSize({ facts: { plan }, result, steps }: Told, stdout: Terminal): void {
  const { paint } = stdout
  const { tensorParallel, pipelineParallel, dataParallel, count } = plan
  const shape =
    count === 1 ? '' : `, TP ${tensorParallel} x PP ${pipelineParallel}${dataParallel > 1 ? ` x DP ${dataParallel}` : ''}`
  const what = `${plan.model?.name ?? 'a model of your own'} (${plan.precision}) on ${count} x ${plan.gpu.name}${shape}`
  stdout.line()
  stdout.line(`  ${result.fits ? paint('good', '✓ fits:') : paint('bad', '✗ does not fit:')} ${what}`)
  stdout.line()
  const width = Math.max(...steps.map(({ name }) => name.length))
  const valueWidth = Math.max(...steps.map(({ value }) => value.length))
  for (const { name, value, formula } of steps)
    stdout.line(`  ${name.padEnd(width)}  ${value.padStart(valueWidth)}  ${paint('quiet', `= ${formula}`)}`)
  tellList(stdout, 'wait', result.warnings)
  tellList(stdout, 'quiet', result.sources)
  stdout.line()
}

function tellList({ line, paint }: Terminal, tone: 'wait' | 'quiet', entries: readonly string[]): void {
  if (entries.length > 0) line()
  for (const entry of entries)
    line(`  ${paint(tone, tone === 'wait' ? '!' : '–')} ${tone === 'quiet' ? paint(tone, entry) : entry}`)
}

export function tellComparison({ apis, sets, localPowerPerMillionOut, sources }: Comparison, stdout: Terminal): void {
  const { paint } = stdout
  stdout.line()
  stdout.line(
    `  ${paint('strong', '1 The API, with tuned requests')} (off-peak hours, prompts with the same beginning, a second provider)`,
  )
  for (const { api, perMillionOut, perMillionOutAtPeak } of apis)
    stdout.line(
      `    ${api.padEnd(18)} ${dollars(perMillionOut)} per million output tokens with their input, ${dollars(perMillionOutAtPeak)} at peak`,
    )
  stdout.line('    It is enough for bursts, for less than a billion tokens a month, and if data may leave your network.')
  stdout.line()
  stdout.line(`  ${paint('strong', '2 Own GPUs')}`)
  for (const set of sets) tellSet(set, stdout)
  stdout.line(
    '    They are the choice if data must not leave your network; otherwise they pay only if they produce more than that.',
  )
  stdout.line()
  stdout.line(`  ${paint('strong', '3 A desktop machine')}`)
  stdout.line(
    `    A 32B distill on an RTX 4090 uses electricity for ${dollars(localPowerPerMillionOut)} per million output tokens.`,
  )
  stdout.line(
    '    It is weaker than R1. Use it as the last target of a chain, for an answer when no other target answers, or offline.',
  )
  tellList(stdout, 'quiet', sources)
  stdout.line()
}

function tellSet(
  { model, gpus, fits, isDistill, perMonth, reach, breakEven }: Comparison['sets'][number],
  stdout: Terminal,
): void {
  const price = perMonth === undefined ? 'price unknown (write --price-per-hour)' : `${dollars(perMonth)} a month`
  const can = fits ? `can produce ${billions(reach[0])} to ${billions(reach[1])} output tokens a month` : 'does not fit'
  stdout.line(`    ${model} on ${gpus}: ${price}, ${can}`)
  if (isDistill) stdout.line(stdout.paint('quiet', '      (a distill: its answers are weaker than those of the models below)'))
  for (const { api, outputTokensPerMonth, verdict } of breakEven) {
    const tone = verdict === 'does not pay' ? 'bad' : verdict === 'pays from there on' ? 'good' : 'wait'
    stdout.line(`      costs as much as ${api.padEnd(16)} at ${billions(outputTokensPerMonth)}: ${stdout.paint(tone, verdict)}`)
  }
}

function dollars(value: number): string {
  return `$${value < 10 ? value.toFixed(2) : grouped(value)}`
}

function billions(tokens: number): string {
  return `${grouped(tokens / 1e9)} G`
}
