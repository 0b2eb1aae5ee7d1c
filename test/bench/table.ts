import type { Figure, MeasureName } from './bench.ts'
import type { FloorResult } from './floors.ts'

const titles: { readonly [measure in MeasureName]: string } = {
  call: 'Client CPU of one call that answers 27 tokens (JSON of 572 bytes, or events that come at once)',
  chunk: 'Client CPU of one more streamed token (an event of 292 bytes)',
  'first-token': 'Time to the first token, and what is added to raw undici (wall)',
  fallback: 'Client CPU of a call whose first target answers 503 and whose second answers',
  streams: 'Many slow streams at once, a token every 400 ms',
  promises: 'Promises made (counted, without noise)',
  health: 'CPU of gate, breaker, budget, limiter and latency together, for one call that goes well',
  telemetry: 'CPU that OpenTelemetry with its SDK, prom-client, pino and the status add, together and one by one',
  import: 'Import in a fresh process',
  bundle: 'Bundle, minified, with everything it needs',
  'partial-json': '1 MB of JSON, read piece by piece as it comes (x = to one JSON.parse of the whole)',
  gateway:
    'The gateway beside a bare pass-through of node:http (x = to it): CPU of a request, 16 at once, and the most memory with slow streams open',
  'gateway-open':
    'Slow streams open at once through the gateway, each whole at its end: 4,000 from a server, 10,000 from a target in memory',
  stall: 'The longest turn of the event loop while one hostile reply is read, in CPU time',
}

const rounded = (value: number): string => value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)

const cell = (figure: Figure | undefined): string => {
  if (figure === undefined) return ''
  const value = `${rounded(figure.value)} ${figure.unit}`.trimEnd()
  return figure.ratio === undefined ? value : `${value} (${rounded(figure.ratio)}x)`
}

const unique = (values: readonly string[]): readonly string[] => [...new Set(values)]

export const align = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('   ')
      .trimEnd()
  return rows.map(line).join('\n')
}

/** A table for each measure: a line for each client, a column for each case. */
export const tables = (figures: readonly Figure[]): string =>
  unique(figures.map(({ measure }) => measure))
    .map(measure => {
      const own = figures.filter(figure => figure.measure === measure)
      const cases = unique(own.map(figure => figure.case))
      const cellOf = (subject: string, name: string): string =>
        cell(own.find(figure => figure.subject === subject && figure.case === name))
      const subjects = unique(own.map(({ subject }) => subject))
      const lines = subjects.map(subject => [subject].concat(cases.map(name => cellOf(subject, name))))
      return `${titles[measure as MeasureName]}\n\n${align([['', ...cases], ...lines])}\n`
    })
    .join('\n\n')

export const floorTable = (results: readonly FloorResult[]): string =>
  align([
    ['', 'found', 'at most', ''],
    ...results.map(({ name, found, most, unit, kept }) => [
      name,
      `${rounded(found)} ${unit}`.trimEnd(),
      `${most} ${unit}`.trimEnd(),
      kept ? 'kept' : 'MISSED',
    ]),
  ])
