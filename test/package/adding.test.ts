import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

/**
 * Adding things is cheap, and CONTRIBUTING.md says how: what its diffs add is put into a copy of the sources, and works there. Whoever
 * moves what they touch moves the recipe too.
 */
const root = join(import.meta.dirname, '../..')
let copy: string
let recipes: string

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'unbusy-adding-'))
  recipes = await readFile(join(root, 'CONTRIBUTING.md'), 'utf8')
  await cp(join(root, 'src'), join(copy, 'src'), { recursive: true })
  await cp(join(root, 'package.json'), join(copy, 'package.json'))
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
})

afterAll(() => rm(copy, { recursive: true, force: true }))

/** The diffs under a heading, each as the lines that it adds. */
function added(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = recipes.split(`### ${heading}\n`)
  const [text = ''] = section.split('\n### ')
  const diffs = [...text.matchAll(/```diff\n([^]*?)```/g)].map(([, diff = '']) => diff.split('\n'))
  return diffs.map(lines => lines.flatMap(line => (line.startsWith('+') ? [line.slice(1)] : [])))
}

/** Puts lines behind the first line that reads like this. */
async function insert(file: string, behind: string, lines: readonly string[]): Promise<void> {
  const path = join(copy, 'src', file)
  const text = await readFile(path, 'utf8')
  expect(text.split(behind).length, `${file} has a line ${behind}`).toBeGreaterThan(1)
  await writeFile(
    path,
    text.replace(behind, () => [behind, ...lines].join('\n')),
  )
}

async function replace(file: string, before: string, after: string): Promise<void> {
  const path = join(copy, 'src', file)
  const text = await readFile(path, 'utf8')
  expect(text, `${file} has a line ${before}`).toContain(before)
  await writeFile(
    path,
    text.replace(before, () => after),
  )
}

/** What a script prints that uses the changed sources. */
async function printed(script: string): Promise<unknown> {
  const file = join(copy, `script-${Math.random().toString(36).slice(2)}.ts`)
  await writeFile(file, `import * as unbusy from './src/index.ts'\nimport * as testing from './src/testing/index.ts'\n${script}`)
  const { stdout } = await promisify(execFile)(process.execPath, [file])
  return JSON.parse(stdout)
}

test('a host is one row of data', async () => {
  const [row = []] = added('A new service')
  expect(row.length).toBeGreaterThan(3)
  expect(row.length).toBeLessThan(40)
  await insert('providers/hosts.ts', 'export const hosts = {', row)
  const report = await printed(`
    const make = server => unbusy.host('newcloud', 'a-model', server)
    const { kept } = await testing.testProvider(make, { format: 'openai' })
    const server = await testing.startServer(testing.status(400, { error: { code: 1302, message: 'No.' } }), { format: 'openai' })
    const client = unbusy.createClient({ chain: [make({ baseURL: server.baseURL, apiKey: 'key' })], retry: 0 })
    const [failure] = await client.generate('Hi').catch(error => error.failures)
    await server.close()
    await client.close()
    console.log(JSON.stringify({ kept: kept.length, reason: failure.reason }))
  `)
  expect(report).toMatchObject({ reason: 'rate-limit' })
  expect((report as { readonly kept: number }).kept).toBeGreaterThan(30)
})

test('a server that people run themselves is one file of less than forty lines, and a line that exports it', async () => {
  const [, server = []] = added('A new service')
  const vllm = await readFile(join(root, 'src/providers/vllm.ts'), 'utf8')
  const file = vllm
    .replaceAll('vllm', 'newserver')
    .replaceAll('Vllm', 'Newserver')
    .replace(/const server: LocalServer = \{[^]*$/, () => `${server.join('\n')}\n`)
    .replace(', metricsLoad', '')
  expect(file.split('\n').length).toBeLessThan(40)
  await writeFile(join(copy, 'src/providers/newserver.ts'), file)
  await insert('index.ts', "export { vllm, type VllmOptions } from './providers/vllm.ts'", [
    "export { newserver, type NewserverOptions } from './providers/newserver.ts'",
  ])
  const kept = await printed(`
    const { kept } = await testing.testProvider(server => unbusy.newserver('r1', server), { format: 'vllm' })
    console.log(kept.length)
  `)
  expect(kept).toBeGreaterThan(30)
})

test('a wording of a failure is one row', async () => {
  const [row = []] = added('A new wording of a failure')
  expect(row).toHaveLength(1)
  await insert('providers/chat-failure/failure-wordings.ts', 'const wordings: readonly Wording[] = [', row)
  const reason = await printed(`
    const { failureOf } = await import('./src/providers/chat-failure/failure.ts')
    const body = JSON.stringify({ error: { message: 'All workers are occupied.' } })
    console.log(JSON.stringify(failureOf({ status: 429, headers: {}, body }).reason))
  `)
  expect(reason).toBe('overloaded')
})

test('a request that is asked again, changed, is one row', async () => {
  const [row = []] = added('A request that is asked again, changed')
  const rows = 'export const fieldRows: readonly FixRow[] = ['
  await replace('providers/chat-request/fix-fields.ts', rows, `${row.join('\n')}\n\n${rows}withoutSeed, `)
  const bodies = await printed(`
    const refusal = testing.status(400, { error: { message: 'The sampling seed is fixed here.' } })
    const server = await testing.startServer([refusal, testing.answer('Hi.')], { format: 'openai' })
    const target = unbusy.openaiCompatible('a-model', { baseURL: server.baseURL, apiKey: 'key' })
    const client = unbusy.createClient({ chain: [target], retry: 0 })
    await client.generate({ prompt: 'Hi', seed: 7 })
    await client.close()
    await server.close()
    console.log(JSON.stringify(server.requests.map(({ json }) => json.seed ?? null)))
  `)
  expect(bodies).toEqual([7, null])
})

test('a guard of health is one file, and one word where the guards are listed', async () => {
  const [line = []] = added("A guard of a target's health")
  expect(line).toHaveLength(1)
  const guard = `import type { Guard } from './availability.ts'

/** Nothing is asked in the first minute. */
export const maintenance: Guard = {
  blockedUntil: now => (now < 60_000 ? 60_000 : now),
  needsProbe: () => false,
  cause: () => ({ reason: 'overloaded', message: 'It is being maintained.' }),
}
`
  await writeFile(join(copy, 'src/health/maintenance.ts'), guard)
  const before = /^-(?<line> {2}const guards: Guard\[\].*)$/m.exec(recipes)?.groups?.['line'] ?? ''
  await replace('health/target-health.ts', before, line[0] ?? '')
  await insert('health/target-health.ts', "import type { Availability, Cause, Guard, Moment, Probe } from './availability.ts'", [
    "import { maintenance } from './maintenance.ts'",
  ])
  const seen = await printed(`
    const clock = testing.fakeClock()
    const target = testing.fakeTarget('Hi.')
    const client = unbusy.createClient({ chain: [target], clock })
    const call = client.generate('Hi')
    const { text } = await clock.until(call)
    await client.close()
    console.log(JSON.stringify({ text, at: target.provider.calls.map(({ at }) => at) }))
  `)
  expect(seen).toMatchObject({ text: 'Hi.', at: [expect.any(Number)] })
  expect((seen as { readonly at: readonly number[] }).at[0]).toBeGreaterThanOrEqual(60_000)
})
