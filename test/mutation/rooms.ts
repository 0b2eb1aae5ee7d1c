import { globSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A part of `src` that is mutated, and the tests that must notice: first those of `tests`. What lives is tried once more with those of
 * `long` too, which live through whole days.
 */
export type Room = { readonly files: readonly string[]; readonly tests: readonly string[]; readonly long: readonly string[] }

export const root = join(import.meta.dirname, '../..')

/** Files of types alone have nothing to mutate. */
const onlyTypes: ReadonlySet<string> = new Set(['src/chain/state.ts', 'src/health/store.ts', 'src/http/exchange-types.ts'])

function all(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: root }).toSorted()
}

function sources(folder: string): readonly string[] {
  return all(`src/${folder}/*.ts`).filter(file => !onlyTypes.has(file))
}

/** Calls through the public door, in virtual time or against servers that answer soon. */
function about(...names: readonly string[]): readonly string[] {
  return names.map(name => `test/behaviour/${name}.test.ts`)
}

const calls = about(
  ...['mutants', 'hedge', 'conditions', 'waiting', 'retry', 'fallback', 'pool', 'never-settles', 'timeout', 'provider-state'],
  ...['silent-thinkers', 'reasoning-lost', 'costs', 'answered-by', 'changed-input', 'output', 'blame', 'labels', 'events'],
  ...['probes', 'races'],
  ...['prepare', 'whom-to-ask', 'own-limits', 'budget', 'price-rules', 'input', 'telemetry', 'limits', 'continuation'],
)

const simulation = 'test/mutation/short-simulation.test.ts'
/** They wait for seconds of the wall, in which a mutant counts as one that never ends. */
const waiting = new Set(['silence-watch', 'keep-alive'].map(name => `test/unit/http/${name}.test.ts`))
const lives = ['breaker-model', 'breaker-table', 'health-properties'].map(name => `test/unit/health/${name}.test.ts`)

export const rooms: Readonly<Record<string, Room>> = {
  chain: { files: sources('chain'), tests: [...all('test/unit/chain/*.test.ts'), ...calls], long: [simulation] },
  health: {
    files: sources('health'),
    tests: [
      ...all('test/unit/health/*.test.ts').filter(file => !lives.includes(file)),
      ...about(
        'mutants',
        'pool',
        'conditions',
        'waiting',
        'shared-health',
        'whom-to-ask',
        'limits',
        'silent-thinkers',
        'own-limits',
      ),
    ],
    long: [...lives, simulation],
  },
  http: {
    files: sources('http'),
    tests: [
      ...all('test/unit/http/*.test.ts').filter(file => !waiting.has(file)),
      'test/behaviour/proxy-faults.test.ts',
      'test/behaviour/wire-faults.test.ts',
    ],
    long: [],
  },
}
