import { parseArgs } from 'node:util'
import { efforts, measureNames } from './bench.ts'
import type { Effort, MeasureName } from './bench.ts'
import type { ClientName } from './jobs.ts'

export type BenchOptions = {
  readonly effort: Effort
  readonly measures: readonly MeasureName[]
  readonly clients: readonly ClientName[]
  readonly json: boolean
  readonly check: boolean
}

export const clientNames = ['undici', 'openai', 'ai', 'unbusy'] as const satisfies readonly ClientName[]

export const usage = `npm run bench -- [options]

  --quick           shorter and fewer samples: two minutes instead of five
  --only a,b        only these measures: ${measureNames.join(', ')}
  --clients a,b     only these clients: ${clientNames.join(', ')}; undici is the 1x of all and always there
  --json            figures as JSON instead of tables
  --check           exit code 1 when unbusy misses a floor
`

const chosen = <T extends string>(option: string, given: string | undefined, all: readonly T[]): readonly T[] => {
  const names = given?.split(',') ?? all
  const unknown = names.find(name => !all.some(one => one === name))
  if (unknown !== undefined) throw new TypeError(`--${option}: there is no "${unknown}". Choose from ${all.join(', ')}.`)
  return all.filter(name => names.includes(name))
}

/** Undefined: somebody asked for help. */
export const parseOptions = (args: readonly string[]): BenchOptions | undefined => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      clients: { type: 'string' },
      json: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const clients = chosen('clients', values.clients, clientNames)
  return {
    effort: values.quick ? efforts.quick : efforts.full,
    measures: chosen('only', values.only, measureNames),
    clients: clients.includes('undici') ? clients : ['undici', ...clients],
    json: values.json,
    check: values.check,
  }
}
