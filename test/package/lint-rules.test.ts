import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** A snippet, where it would stand, and the rule that must refuse it. */
type Refused = readonly [rule: string, path: string, code: string]

const repository = join(import.meta.dirname, '../..')

const refused: readonly Refused[] = [
  // ---- imports point one way
  ['no-restricted-imports', 'src/contract.ts', `export { ProviderError } from './errors.ts'`],
  ['no-restricted-imports', 'src/usage.ts', `import type { Answer } from './answer/answer.ts'`],
  ['no-restricted-imports', 'src/cost.ts', `import type { Answer } from './answer/answer.ts'`],
  ['no-restricted-imports', 'src/cost-estimate.ts', `import { ProviderError } from './errors.ts'`],
  ['no-restricted-imports', 'src/parse-json.ts', `import { ProviderError } from './errors.ts'`],
  ['no-restricted-imports', 'src/json-cost.ts', `import { ProviderError } from './errors.ts'`],
  ['no-restricted-imports', 'src/cost/a.ts', `import { costsOf } from '../cost.ts'`],
  ['no-restricted-imports', 'src/errors.ts', `import type { Health } from './health/health.ts'`],
  ['no-restricted-imports', 'src/http/a.ts', `import { deepseek } from '../providers/deepseek.ts'`],
  ['no-restricted-imports', 'src/http/b.ts', `import type { Client } from '../client.ts'`],
  ['no-restricted-imports', 'src/providers/a.ts', `import { walk } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/providers/b.ts', `import type { Availability } from '../health/health.ts'`],
  ['no-restricted-imports', 'src/providers/c.ts', `export const load = () => import('../index.ts')`],
  ['no-restricted-imports', 'src/providers/chat-completions/a.ts', `import type { Rule } from '../../chain/policy.ts'`],
  ['no-restricted-imports', 'src/providers/chat-completions/b.ts', `export { health } from '../../health/health.ts'`],
  ['no-restricted-imports', 'src/providers/chat-request/a.ts', `import { readAnswer } from '../chat-answer/read-answer.ts'`],
  ['no-restricted-imports', 'src/providers/chat-request/b.ts', `import type { PostRequest } from '../../http/post.ts'`],
  ['no-restricted-imports', 'src/providers/chat-request/c.ts', `export { usageOf } from '../../providers/chat-answer/finish.ts'`],
  ['no-restricted-imports', 'src/providers/chat-answer/a.ts', `import { encode } from '../chat-request/encode.ts'`],
  ['no-restricted-imports', 'src/providers/chat-answer/b.ts', `import type { Checks } from '../../check.ts'`],
  ['no-restricted-imports', 'src/providers/chat-failure/a.ts', `import type { Chunk } from '../chat-answer/chunk.ts'`],
  ['no-restricted-imports', 'src/providers/chat-failure/b.ts', `import type { Dialect } from '../chat-completions/dialect.ts'`],
  ['no-restricted-imports', 'src/providers/chat-failure/c.ts', `import { target } from '../target.ts'`],
  ['no-restricted-imports', 'src/health/a.ts', `import { decide } from '../chain/policy.ts'`],
  ['no-restricted-imports', 'src/health/b.ts', `import type { PostRequest } from '../http/post.ts'`],
  ['no-restricted-imports', 'src/chain/a.ts', `import { deepseek } from '../providers/deepseek.ts'`],
  ['no-restricted-imports', 'src/chain/b.ts', `import type { PostRequest } from '../http/post.ts'`],
  ['no-restricted-imports', 'src/chain/c.ts', `export type { Client } from '../client.ts'`],
  ['no-restricted-imports', 'src/output/a.ts', `import { collect } from '../answer/collect.ts'`],
  ['no-restricted-imports', 'src/answer/a.ts', `import { walkChain } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/answer/b.ts', `import type { Client } from '../client.ts'`],
  ['no-restricted-imports', 'src/chain/h.ts', `import { collect } from '../answer/collect.ts'`],
  ['no-restricted-imports', 'src/options.ts', `import { deepseek } from './providers/deepseek.ts'`],
  ['no-restricted-imports', 'src/check-input.ts', `import type { Client } from './client.ts'`],
  ['no-restricted-imports', 'src/telemetry/a.ts', `import { walk } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/testing/a.ts', `import { log } from '../telemetry/log.ts'`],
  ['no-restricted-imports', 'src/testing/b.ts', `import { createClient } from '../index.ts'`],
  ['no-restricted-imports', 'src/redis/a.ts', `import { walk } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/browser/a.ts', `import { UnbusyError } from '../errors.ts'`],
  ['no-restricted-imports', 'src/keep-warm/a.ts', `import { post } from '../http/post.ts'`],
  ['no-restricted-globals', 'src/keep-warm/b.ts', `export const now = Date.now()`],
  ['no-restricted-imports', 'src/embedded/a.ts', `import { post } from '../http/post.ts'`],
  ['no-restricted-imports', 'src/opentelemetry/a.ts', `import { createClient } from '../index.ts'`],
  ['no-restricted-imports', 'src/status/a.ts', `import { createClient } from '../index.ts'`],
  ['no-restricted-imports', 'src/prometheus/a.ts', `import { createClient } from '../index.ts'`],
  ['no-restricted-imports', 'src/sizing/a.ts', `import { priceOf } from '../providers/prices.ts'`],
  ['no-restricted-imports', 'src/cli/a.ts', `import { walk } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/interop/a.ts', `import { walk } from '../chain/walk.ts'`],
  ['no-restricted-imports', 'src/interop/openai/a.ts', `import { deepseek } from '../../providers/deepseek.ts'`],
  ['consistent-type-imports', 'src/http/c.ts', `export type Client = import('../client.ts').Client`],
  ['no-cycle', 'src/health/cycle-a.ts', `import type { B } from './cycle-b.ts'\nexport type A = B | 1`],
  ['no-cycle', 'src/health/cycle-b.ts', `import type { A } from './cycle-a.ts'\nexport type B = A | 2`],
  // ---- undici has one door
  ['no-restricted-imports', 'src/http/q.ts', `export { Agent } from 'undici'`],
  ['no-restricted-imports', 'src/providers/d.ts', `import type { Dispatcher } from 'undici'`],
  ['no-restricted-imports', 'src/cli/b.ts', `export { Agent } from 'undici'`],
  ['no-restricted-imports', 'src/client.ts', `export { Agent } from 'undici'`],
  // ---- time and chance are passed in
  ['no-restricted-globals', 'src/chain/d.ts', `export const timer = setTimeout(() => undefined, 5)`],
  ['no-restricted-globals', 'src/chain/e.ts', `export const timer = globalThis.setTimeout(() => undefined, 5)`],
  ['no-restricted-globals', 'src/health/c.ts', `export const now = Date.now()`],
  ['no-restricted-globals', 'src/health/d.ts', `export const now = new Date()`],
  ['no-restricted-globals', 'src/answer/c.ts', `export const now = performance.now()`],
  ['no-restricted-globals', 'src/answer/d.ts', `export const timer = setTimeout(() => undefined, 5)`],
  ['no-restricted-globals', 'src/output/b.ts', `export const now = Date.now()`],
  ['no-restricted-imports', 'src/answer/e.ts', `export { setTimeout } from 'node:timers/promises'`],
  ['no-restricted-properties', 'src/health/e.ts', `export const chance = Math.random()`],
  ['no-restricted-properties', 'src/chain/f.ts', `export const { random } = Math`],
  ['no-restricted-properties', 'src/answer/f.ts', `export const signal = AbortSignal.timeout(5)`],
  ['no-restricted-imports', 'src/chain/g.ts', `export { setTimeout } from 'node:timers/promises'`],
  ['no-restricted-imports', 'src/health/f.ts', `export { randomUUID } from 'node:crypto'`],
  // ---- the house's style
  ['no-explicit-any', 'src/http/d.ts', `export const read = (body: any): string => String(body)`],
  ['no-default-export', 'src/http/e.ts', `export default 1`],
  ['no-barrel-file', 'src/http/f.ts', `export * from './d.ts'`],
  [
    'consistent-type-imports',
    'src/http/g.ts',
    `import { Call } from '../contract.ts'\nexport const model = (call: Call): string => call.model`,
  ],
  ['consistent-type-definitions', 'src/http/h.ts', `export interface Shape { readonly size: number }`],
  ['max-params', 'src/http/i.ts', `export const sum = (a: number, b: number, c: number, d: number): number => a + b + c + d`],
  [
    'max-depth',
    'src/http/j.ts',
    `export function deep(x: unknown) {\n${'if (x === 1) {\n'.repeat(5)}return x\n${'}\n'.repeat(5)}}`,
  ],
  [
    'complexity',
    'src/http/k.ts',
    `export const pick = (x: number): number => ${[...Array(12).keys()].map(n => `x === ${n} ? ${n} : `).join('')}0`,
  ],
  ['max-lines', 'src/http/l.ts', Array.from({ length: 301 }, (_, n) => `export const x${n} = ${n}`).join('\n')],
  ['max-lines-per-function', 'src/http/m.ts', `export function long() {\n${'long()\n'.repeat(60)}}`],
  ['strict-boolean-expressions', 'src/http/o.ts', `export const size = (text: string): number => (text ? 1 : 0)`],
  ['no-floating-promises', 'src/http/p.ts', `export const load = (): void => {\nPromise.resolve(1)\n}`],
  ['no-console', 'src/http/n.ts', `console.log('hello')`],
  ['filename-case', 'src/http/camelCase.ts', `export const x = 1`],
  ['no-focused-tests', 'test/unit/a.test.ts', `import { expect, test } from 'vitest'\ntest.only('a', () => expect(1).toBe(1))`],
]

/** What the same rooms may do. */
const welcome: readonly (readonly [path: string, code: string])[] = [
  ['src/errors.ts', `export type { Call } from './contract.ts'`],
  [
    'src/http/post.ts',
    `import { ProviderError } from '../errors.ts'\nimport { line } from './line.ts'\nexport const all = [ProviderError, line]`,
  ],
  ['src/providers/deepseek.ts', `export { post } from '../http/post.ts'\nexport { encode } from './chat-request/encode.ts'`],
  [
    'src/providers/chat-completions/provider.ts',
    `export { encode } from '../chat-request/encode.ts'\nexport { a } from '../target.ts'`,
  ],
  [
    'src/providers/chat-request/encode.ts',
    `export { checks } from '../../check.ts'\nexport { failureOf } from '../chat-failure/failure.ts'`,
  ],
  [
    'src/providers/chat-answer/decode.ts',
    `export { post } from '../../http/post.ts'\nexport { failureOf } from '../chat-failure/failure.ts'`,
  ],
  ['src/providers/chat-failure/failure.ts', `export { post } from '../../http/post.ts'\nexport { parseJson } from '../json.ts'`],
  ['src/parse-json.ts', `export { weighJson } from './json-cost.ts'`],
  ['src/cost-estimate.ts', `export { costOf } from './cost.ts'`],
  ['src/chain/walk.ts', `export type { Answer } from '../answer/answer.ts'\nexport { decide } from './policy.ts'`],
  ['src/health/health.ts', `export type { Clock } from '../contract.ts'\nexport { breaker } from './breaker.ts'`],
  ['src/answer/stream.ts', `export { collect } from './collect.ts'\nexport { parse } from '../output/parse.ts'`],
  ['src/testing/record-events.ts', `export type { Event } from '../telemetry/events.ts'`],
  [
    'src/client.ts',
    `export { walk } from './chain/walk.ts'\nexport const now = performance.now()\nexport const chance = Math.random()`,
  ],
  ['src/http/retry-after.ts', `export const now = Date.now()`],
]

const fileOf = ([, path]: Refused): string => path
const badFiles = Map.groupBy(refused, fileOf)

let root: string
let bad: readonly string[]
let good: readonly string[]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unbusy-lint-'))
  const snippets = [...badFiles].map(([path, rows]) => [path, rows.map(([, , code]) => code).join('\n')] as const)
  bad = await lint('bad', snippets)
  good = await lint('good', welcome)
})

afterAll(() => rm(root, { recursive: true, force: true }))

test.each(refused)('%s refuses in %s: %s', (rule, path) => {
  expect(bad).toContain(`${path} ${rule}`)
})

test.each(welcome)('lets %s be: %s', path => {
  const rules = new Set(refused.map(([rule]) => `${path} ${rule}`))
  expect(good.filter(finding => rules.has(finding))).toEqual([])
})

/** Lints files in a project of their own with the configuration of this one. Answers `path rule` for each finding. */
async function lint(name: string, files: readonly (readonly [path: string, code: string])[]): Promise<readonly string[]> {
  const project = join(root, name)
  await Promise.all(
    files.map(async ([path, code]) => {
      await mkdir(dirname(join(project, path)), { recursive: true })
      await writeFile(join(project, path), `${code}\n`)
    }),
  )
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  for (const file of ['oxlint.config.ts', 'tsconfig.json']) await copyFile(join(repository, file), join(project, file))
  await symlink(join(repository, 'node_modules'), join(project, 'node_modules'))
  const { diagnostics } = JSON.parse(await oxlint(project)) as Report
  return diagnostics.map(({ filename, code }) => `${filename} ${/\((.*)\)/.exec(code)?.[1] ?? code}`)
}

type Report = { readonly diagnostics: readonly { readonly code: string; readonly filename: string }[] }

async function oxlint(project: string): Promise<string> {
  const program = join(repository, 'node_modules/oxlint/bin/oxlint')
  const run = promisify(execFile)(process.execPath, [program, '--format', 'json', 'src', 'test'], {
    cwd: project,
    maxBuffer: 1e8,
  })
  // it exits with 1 when it finds something
  return run.then(
    ({ stdout }) => stdout,
    (error: { readonly stdout: string }) => error.stdout,
  )
}
