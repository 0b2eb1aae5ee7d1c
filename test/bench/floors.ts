/** What unbusy must stay under. Floors to get under, not to stop at: the ratios are to raw undici in the same run. */

import type { Figure, MeasureName } from './bench.ts'

type Floor = {
  readonly measure: MeasureName
  readonly subject: string
  /** Without it, every case of the measure. */
  readonly case?: string
  readonly most: number
  readonly of: 'ratio' | 'value'
  readonly unit: 'x' | 'us' | 'ms' | 'KB' | ''
}

export const floors: readonly Floor[] = [
  { measure: 'call', subject: 'unbusy generate, streamed', most: 3, of: 'ratio', unit: 'x' },
  { measure: 'chunk', subject: 'unbusy stream', most: 1.2, of: 'ratio', unit: 'x' },
  { measure: 'chunk', subject: 'unbusy generate', most: 1.2, of: 'ratio', unit: 'x' },
  { measure: 'first-token', subject: 'unbusy stream', case: 'added', most: 60, of: 'value', unit: 'us' },
  { measure: 'streams', subject: 'unbusy stream', case: 'heap of one', most: 25, of: 'value', unit: 'KB' },
  { measure: 'promises', subject: 'unbusy generate', case: 'per streamed token', most: 0.01, of: 'value', unit: '' },
  { measure: 'health', subject: 'unbusy', most: 3, of: 'value', unit: 'us' },
  {
    measure: 'telemetry',
    subject: 'OpenTelemetry with SDK, prom-client, pino and status',
    case: 'added to a call',
    most: 15,
    of: 'value',
    unit: 'us',
  },
  {
    measure: 'telemetry',
    subject: 'OpenTelemetry with SDK, prom-client, pino and status',
    case: 'added to a token',
    most: 0.05,
    of: 'value',
    unit: 'us',
  },
  { measure: 'partial-json', subject: 'unbusy, as it comes', case: 'records, 1024 a piece', most: 3, of: 'ratio', unit: 'x' },
  {
    measure: 'partial-json',
    subject: 'unbusy, as it comes',
    case: 'one long text, 1024 a piece',
    most: 3,
    of: 'ratio',
    unit: 'x',
  },
  // 50 ms up to 2 MiB, and 25 ms more for each further MiB
  { measure: 'stall', subject: 'worst stall of a hostile reply', case: 'up to 2 MiB', most: 50, of: 'value', unit: 'ms' },
  { measure: 'stall', subject: 'worst stall of a hostile reply', case: 'up to 8 MiB', most: 200, of: 'value', unit: 'ms' },
  { measure: 'stall', subject: 'worst stall of a hostile reply', case: 'up to 16 MiB', most: 400, of: 'value', unit: 'ms' },
  { measure: 'gateway', subject: 'gateway, upstream streams', case: 'JSON', most: 3, of: 'ratio', unit: 'x' },
  { measure: 'gateway', subject: 'gateway', case: 'stream of 27', most: 4, of: 'ratio', unit: 'x' },
  { measure: 'import', subject: 'unbusy', case: 'CPU', most: 1.3, of: 'ratio', unit: 'x' },
]

export type FloorResult = {
  readonly name: string
  readonly found: number
  readonly most: number
  readonly unit: string
  readonly kept: boolean
}

/** One result for every figure that has a floor. Figures that were not measured have none. */
export const checkFloors = (figures: readonly Figure[]): readonly FloorResult[] =>
  floors.flatMap(floor =>
    figures
      .filter(figure => figure.measure === floor.measure && figure.subject === floor.subject)
      .filter(figure => floor.case === undefined || figure.case === floor.case)
      .map(figure => {
        const found = figure[floor.of] ?? Number.NaN
        const name = `${figure.measure}: ${figure.subject}, ${figure.case}`
        return { name, found, most: floor.most, unit: floor.unit, kept: found <= floor.most }
      }),
  )
