import { defineConfig, type OxlintOverride } from 'oxlint'

const chat = [
  ...['contract*.ts', 'errors.ts', 'providers/chat-completions/dialect.ts', 'providers/chat-failure/'],
  ...['providers/json.ts', 'providers/service-state.ts', 'providers/tool-call-ids.ts'],
]

/**
 * Who may import whom inside src: each room with what it may import. Packages and `node:` modules are free.
 * It holds for types, re-exports and `import()` too. `test/package/lint-rules.test.ts` proves every row.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  'require-node.ts': [],
  'contract*.ts': ['contract*.ts'],
  'errors.ts': ['contract*.ts'],
  'check.ts': ['suggestion.ts'],
  'suggestion.ts': [],
  'json-cost.ts': [],
  'parse-json.ts': ['json-cost.ts'],
  'usage.ts': ['contract*.ts'],
  'cost*.ts': ['contract*.ts', 'cost*.ts', 'cost/'],
  'cost/': ['contract*.ts', 'cost/'],
  'http/': ['contract*.ts', 'errors.ts', 'parse-json.ts', 'http/'],
  'providers/': [
    'contract*.ts',
    'errors.ts',
    'check.ts',
    'suggestion.ts',
    'usage.ts',
    'parse-json.ts',
    'json-cost.ts',
    'http/',
    'providers/',
  ],
  // the three directions of a chat: what is asked and what is answered know nothing of each other, and what failed knows neither
  'providers/chat-request/': [...chat, 'check.ts', 'providers/endpoint.ts', 'providers/chat-request/'],
  'providers/chat-answer/': [...chat, 'http/', 'providers/chat-answer/'],
  'providers/chat-failure/': ['contract*.ts', 'errors.ts', 'http/', 'providers/json.ts', 'providers/chat-failure/'],
  'keep-warm/': ['contract*.ts', 'errors.ts', 'chain/', 'health/', 'answer/', 'telemetry/keep-warm-status.ts', 'keep-warm/'],
  'health/': ['contract*.ts', 'errors.ts', 'cost-estimate.ts', 'health/'],
  'chain/': ['contract*.ts', 'errors.ts', 'cost*.ts', 'cost/', 'health/', 'answer/answer.ts', 'telemetry/', 'chain/'],
  'output/': ['contract*.ts', 'errors.ts', 'check.ts', 'parse-json.ts', 'json-cost.ts', 'output/'],
  'telemetry/': ['contract*.ts', 'errors.ts', 'health/', 'telemetry/'],
  'testing/': ['require-node.ts', 'contract*.ts', 'errors.ts', 'telemetry/events.ts', 'testing/'],
  'redis/': ['require-node.ts', 'contract*.ts', 'errors.ts', 'health/', 'redis/'],
  // types only: `test/package/packed/browser.test.ts` holds that the built file imports nothing
  'browser/': ['answer/stream-event.ts', 'browser/'],
  'embedded/': ['require-node.ts', 'contract*.ts', 'errors.ts', 'check.ts', 'embedded/'],
  'opentelemetry/': ['require-node.ts', 'contract*.ts', 'check.ts', 'health/', 'telemetry/', 'opentelemetry/'],
  'status/': ['require-node.ts', 'contract*.ts', 'check.ts', 'telemetry/', 'status/'],
  'prometheus/': ['require-node.ts', 'contract*.ts', 'check.ts', 'health/', 'telemetry/', 'prometheus/'],
  'sizing/': ['require-node.ts', 'check.ts', 'suggestion.ts', 'sizing/'],
  'options*.ts': ['contract*.ts', 'errors.ts', 'chain/', 'health/', 'output/', 'telemetry/', 'answer/', 'options*.ts'],
  'check-*.ts': [
    'contract*.ts',
    'errors.ts',
    'check.ts',
    'suggestion.ts',
    'health/',
    'output/',
    'providers/',
    'options*.ts',
    'check-*.ts',
  ],
  'answer/': ['contract*.ts', 'errors.ts', 'check.ts', 'usage.ts', 'cost.ts', 'output/', 'answer/'],
  // built as a user would build them, but for the checks of what strangers send
  'interop/': [
    ...['require-node.ts', 'errors.ts', 'check.ts', 'check-input.ts', 'json-cost.ts', 'parse-json.ts', 'index.ts'],
    ...['answer/answer-stream.ts', 'output/answer-form.ts', 'providers/target.ts', 'providers/chat-failure/failure.ts'],
    ...[
      'providers/chat-answer/raw-ending.ts',
      'telemetry/optional-package.ts',
      'prometheus/prometheus.ts',
      'status/handler.ts',
      'interop/',
    ],
  ],
  // the doctor asks servers by itself, and knows the table of hosts
  'cli/': [
    ...[
      'require-node.ts',
      'contract*.ts',
      'errors.ts',
      'check.ts',
      'suggestion.ts',
      'index.ts',
      'testing/',
      'telemetry/',
      'sizing/',
      'interop/',
      'embedded/embedded.ts',
      'status/',
      'cli/',
    ],
    ...['http/connections.ts', 'http/get-json.ts', 'providers/hosts.ts'],
  ],
}

/** Where time and chance come from the caller, so that the shipped code runs in simulated time. */
const simulated = ['src/*.ts', 'src/answer/**', 'src/chain/**', 'src/health/**', 'src/keep-warm/**', 'src/output/**']

const clock = 'Take the `Clock` that is passed in: this code also runs in simulated time.'
const chance = 'Take the `random` that is passed in: this code also runs with a seed.'

const undici = { name: 'undici', message: 'Import it from src/http/undici.ts: Bun has another module of this name.' }

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node', 'vitest'],
  options: { typeAware: true, reportUnusedDisableDirectives: 'error' },
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  ignorePatterns: ['dist', 'coverage', 'test/peers/bench', 'examples/web', 'examples/drop-in'],
  rules: {
    eqeqeq: 'error',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'import/no-duplicates': 'error',
    'import/no-mutable-exports': 'error',
    // it is imported for what it does: it throws on an old Node
    'import/no-unassigned-import': ['error', { allow: ['**/require-node.ts'] }],
    'no-var': 'error',
    'oxc/no-barrel-file': ['error', { threshold: 0 }],
    'prefer-const': 'error',
    'typescript/array-type': ['error', { default: 'array' }],
    'typescript/ban-ts-comment': ['error', { 'ts-expect-error': 'allow-with-description' }],
    'typescript/consistent-type-definitions': ['error', 'type'],
    'typescript/consistent-type-imports': ['error', { prefer: 'type-imports', disallowTypeAnnotations: true }],
    'typescript/no-explicit-any': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-call': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-return': 'error',
    'typescript/only-throw-error': ['error', { allowThrowingAny: true, allowThrowingUnknown: true }],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'unicorn/filename-case': ['error', { case: 'kebabCase' }],
    'unicorn/prefer-node-protocol': 'error',
    // attempts, retries and reads come one after the other: that is what the loops here are for
    'no-await-in-loop': 'off',
    // asks for a value even where nobody takes it; `typescript/no-floating-promises` holds what matters
    'promise/always-return': 'off',
    // copies are what read-only data is made of; what runs once a token is measured instead
    'oxc/no-map-spread': 'off',
    // TypeScript cannot see every check that was made; `any` is kept out by the rules above
    'typescript/no-unsafe-type-assertion': 'off',
    // a callback may change it while the loop awaits
    'no-unmodified-loop-condition': 'off',
    // `...{ a, b }` keeps fields that belong together on one line
    'unicorn/no-useless-spread': 'off',
    // objects here are closures: their methods never use `this`
    'typescript/unbound-method': 'off',
    // a small helper may stand inside the one function that uses it
    'unicorn/consistent-function-scoping': 'off',
  },
  overrides: [
    {
      files: ['src/**'],
      rules: {
        complexity: ['error', 12],
        'import/no-default-export': 'error',
        'max-depth': ['error', 4],
        'max-lines': ['error', 300],
        'max-lines-per-function': ['error', 60],
        'max-params': ['error', 3],
        'no-console': 'error',
        // rooms have more of it, see below
        'no-restricted-imports': ['error', { paths: [undici] }],
        // `0`, `false` and `''` are values: presence is tested with `=== undefined`
        'typescript/strict-boolean-expressions': [
          'error',
          { allowString: false, allowNumber: false, allowNullableObject: false, allowNullableBoolean: false },
        ],
      },
    },
    {
      files: ['test/**', 'examples/**'],
      rules: {
        // a wrong guess about a value that a test made itself fails that test, at that line
        'typescript/no-non-null-assertion': 'off',
        // a promise that nobody awaits and that rejects fails the run
        'typescript/no-misused-promises': ['error', { checksVoidReturn: false }],
        // matchers such as `expect.any()` are `any`
        'typescript/no-unsafe-assignment': 'off',
        // `fc.string()` is how fast-check is read
        'import/no-named-as-default-member': 'off',
        // a property expects one thing of one case and another of the next
        'vitest/no-conditional-expect': 'off',
        'vitest/expect-expect': ['error', { assertFunctionNames: ['expect', 'expect*', 'fc.assert'] }],
        // it does not know tests made by `test.extend()`, nor helpers that expect something
        'vitest/no-standalone-expect': 'off',
        'vitest/valid-expect': ['error', { maxArgs: 2 }],
      },
    },
    {
      files: ['test/types/**'],
      rules: {
        // here `@ts-expect-error` is what expects
        'vitest/expect-expect': 'off',
      },
    },
    {
      files: simulated,
      rules: {
        'no-restricted-globals': [
          'error',
          ...[
            'setTimeout',
            'clearTimeout',
            'setInterval',
            'clearInterval',
            'setImmediate',
            'Date',
            'performance',
            'globalThis',
          ].map(name => ({ name, message: clock })),
          { name: 'crypto', message: chance },
        ],
        'no-restricted-properties': [
          'error',
          { object: 'AbortSignal', property: 'timeout', message: clock },
          { object: 'process', property: 'hrtime', message: clock },
          { object: 'Math', property: 'random', message: chance },
        ],
      },
    },
    {
      files: ['src/client.ts', 'src/clock.ts'],
      rules: {
        // where the real clock and real chance are handed to the rest
        'no-restricted-globals': 'off',
        'no-restricted-properties': 'off',
      },
    },
    ...Object.entries(rooms).flatMap(([room, allowed]) => wallsOf(room, allowed)),
  ],
})

type Wall = { readonly files: string; readonly way: string; readonly room: string; readonly allowed: readonly string[] }

/** A pattern sees an import as it is written, so a room needs one rule for each depth of its files. */
function wallsOf(room: string, allowed: readonly string[]): OxlintOverride[] {
  if (!room.endsWith('/')) return [wall({ files: `src/${room}`, way: './', room, allowed })]
  const depth = room.split('/').length - 1
  const own = wall({ files: `src/${room}*`, way: '../'.repeat(depth), room, allowed })
  return depth > 1 ? [own] : [own, wall({ files: `src/${room}*/*`, way: '../../', room, allowed })]
}

function wall({ files, way, room, allowed }: Wall): OxlintOverride {
  const outer = outerOf(room)
  const doors = allowed.flatMap(target => [`!${way}${glob(target)}`, ...besides(target, outer)])
  const walled = outer === undefined ? `${way}**` : '../**'
  const open = allowed.length === 0 ? 'nothing' : `only ${allowed.join(', ')}`
  const message = `src/${room} imports ${open} of src: see \`rooms\` in oxlint.config.ts.`
  const modules = ['timers', 'timers/promises', 'perf_hooks', 'crypto'].map(name => ({ name: `node:${name}`, message: clock }))
  const isSimulated = !room.endsWith('/') || simulated.includes(`src/${room}**`)
  return {
    files: [files],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [undici, ...(isSimulated ? modules : [])], patterns: [{ group: [walled, ...doors], message }] },
      ],
    },
  }
}

/** The room around this one. */
function outerOf(room: string): string | undefined {
  const [outer = '', inner = ''] = room.split('/')
  return inner === '' ? undefined : `${outer}/`
}

/** From a room inside of another, what stands beside it can also be written without the name of the outer one. */
function besides(target: string, outer: string | undefined): readonly string[] {
  return outer !== undefined && target.startsWith(outer) ? [`!../${glob(target.slice(outer.length))}`] : []
}

function glob(target: string): string {
  return target.endsWith('/') ? `${target}**` : target
}
