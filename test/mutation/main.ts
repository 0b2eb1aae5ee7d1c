/**
 * Mutation tests: Stryker changes the source in one place after the other and looks whether a test fails. It takes hours, so it goes
 * file by file, keeps what it found, and is not part of CI.
 *
 *     npm run mutate -- chain                   every file of src/chain
 *     npm run mutate -- src/chain/leg.ts        one file, or several
 *     npm run mutate -- --again chain           what lived, once more, without a limit of time
 *     npm run mutate -- --long chain            what lived, once more, with the tests of whole days too
 *     npm run mutate -- --summary               the scores of all results that still fit the sources
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Stryker } from '@stryker-mutator/core'
import { root, rooms, type Room } from './rooms.ts'

type Found = {
  readonly line: number
  readonly endLine: number
  readonly mutator: string
  readonly replacement: string
  readonly status: string
  readonly why: string
}
type Result = { readonly file: string; readonly source: string; readonly mutants: readonly Found[] }

const results = join(root, 'node_modules/.cache/unbusy-mutation')
const words = process.argv.slice(2)
/** Other tests than those of the room: fewer, where time is short. */
const given = process.env['UNBUSY_MUTATION_TESTS']

if (words.includes('--summary')) for (const [name, room] of Object.entries(rooms)) summarize(name, room)
else if (words.length === 0)
  console.log('npm run mutate -- chain | health | http | src/chain/leg.ts | --again chain | --long chain | --summary')
else if (words[0] === '--again' || words[0] === '--long')
  for (const word of words.slice(1)) await mutateAgain(word, words[0] === '--long')
else {
  const isRoom = (word: string) => rooms[word] !== undefined
  for (const word of words.filter(isRoom))
    await mutate(word, rooms[word]?.files.filter(file => resultOf(file) === undefined) ?? [])
  const files = words.filter(word => !isRoom(word))
  if (files.length > 0) await mutate(files.join(', '), files)
}

async function mutate(name: string, files: readonly string[]): Promise<void> {
  try {
    for (const result of await tryMutants(files)) keep(result)
  } catch (error) {
    // the tests fail without a mutant too, for example; the other rooms may still be tried
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

/** Tries the lines on which something lived once more: after tests were added, or with all tests, however long they take. */
async function mutateAgain(word: string, isLong: boolean): Promise<void> {
  process.env['UNBUSY_MUTATION_BUDGET_MS'] ??= 'Infinity'
  const before = (rooms[word]?.files ?? [word])
    .flatMap(file => resultOf(file) ?? [])
    .filter(({ mutants }) => mutants.some(isAlive))
  const lines = before.flatMap(({ file, mutants }) =>
    mutants.filter(isAlive).map(({ line, endLine }) => `${file}:${line}-${endLine}`),
  )
  const after = await tryMutants(
    before.map(({ file }) => file),
    { lines: [...new Set(lines)], isLong },
  )
  before.forEach(({ file, source, mutants }, index) => {
    const tried = after[index]?.mutants ?? []
    const names = new Set(tried.map(nameOf))
    keep({ file, source, mutants: [...mutants.filter(one => !names.has(nameOf(one))), ...tried] })
  })
}

function keep(result: Result): void {
  mkdirSync(dirname(pathOf(result.file)), { recursive: true })
  writeFileSync(pathOf(result.file), JSON.stringify(result))
  print(result)
}

/** The same for all mutants of a line that look the same. They are always tried together. */
function nameOf({ line, mutator, replacement }: Found): string {
  return [line, mutator, replacement].join(' ')
}

type Again = { readonly lines: readonly string[]; readonly isLong: boolean }

async function tryMutants(files: readonly string[], again?: Again): Promise<readonly Result[]> {
  const sources = files.map(fingerprintOf)
  const room = Object.values(rooms).find(one => files.every(file => one.files.includes(file)))
  if (room === undefined) throw new Error(`${files.join(', ')} is in no room of test/mutation/rooms.ts.`)
  mkdirSync(results, { recursive: true })
  process.env['UNBUSY_MUTATION_JOURNAL'] = join(results, 'journal.jsonl')
  process.env['UNBUSY_MUTATION_TESTS'] = given ?? [...room.tests, ...(again?.isLong === true ? room.long : [])].join(' ')
  const stryker = new Stryker({
    mutate: [...(again?.lines ?? files)],
    testRunner: 'in-process',
    plugins: [join(import.meta.dirname, 'runner.ts')],
    coverageAnalysis: 'perTest',
    // a constant of a module needs a process of its own for each of its mutants; what they are worth is held by tables and the simulation
    ignoreStatic: true,
    // texts are held by tests of their own; an error without its text is no mutant worth minutes
    mutator: { excludedMutations: ['StringLiteral'] },
    ignorePatterns: ['dist', 'coverage', 'docs', 'examples', 'test/peers', 'test/real', 'test/bench'],
    concurrency: Number(process.env['UNBUSY_MUTATION_CONCURRENCY'] ?? 2),
    reporters: ['journal'],
    // the runner has limits of its own, which do not count the time that others take from the processor
    timeoutMS: 900_000,
    dryRunTimeoutMinutes: 30,
    tempDirName: '.stryker-tmp',
    allowEmpty: true,
  })
  const mutants = await stryker.runMutationTest()
  return files.map((file, index) => ({
    file,
    source: sources[index] ?? '',
    mutants: mutants
      .filter(({ fileName }) => fileName.endsWith(file))
      .map(({ location: { start, end }, mutatorName, replacement, status, statusReason, killedBy }) => ({
        line: start.line,
        endLine: end.line,
        mutator: mutatorName,
        replacement: (replacement ?? '').slice(0, 120),
        status,
        why: [killedBy?.[0], statusReason].join(': ').slice(0, 300),
      })),
  }))
}

function print({ file, mutants }: Result): void {
  console.log(`${file}: ${scoreOf(mutants)}`)
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  for (const { line, mutator, replacement, status } of mutants.filter(isAlive)) {
    console.log(`  ${line} ${status} ${mutator}: ${lines[line - 1]?.trim()}\n      -> ${replacement.replaceAll(/\s+/g, ' ')}`)
  }
}

function summarize(name: string, { files }: Room): void {
  const found = files.flatMap(file => resultOf(file) ?? [])
  const missing = files.filter(file => resultOf(file) === undefined)
  console.log(`${name}: ${scoreOf(found.flatMap(({ mutants }) => mutants))}`)
  for (const { file, mutants } of found) console.log(`  ${file}: ${scoreOf(mutants)}`)
  if (missing.length > 0) console.log(`  not tried since they changed: ${missing.join(', ')}`)
}

function isAlive({ status }: Found): boolean {
  return status === 'Survived' || status === 'NoCoverage'
}

function scoreOf(mutants: readonly Found[]): string {
  const tried = mutants.filter(({ status }) => status !== 'Ignored' && status !== 'CompileError' && status !== 'RuntimeError')
  const killed = tried.filter(mutant => !isAlive(mutant)).length
  return tried.length === 0
    ? 'nothing to mutate'
    : `${((killed / tried.length) * 100).toFixed(1)} %, ${killed} of ${tried.length}`
}

/** The result for this file, unless the file has changed since. */
function resultOf(file: string): Result | undefined {
  if (!existsSync(pathOf(file))) return undefined
  const result = JSON.parse(readFileSync(pathOf(file), 'utf8')) as Result
  return result.source === fingerprintOf(file) ? result : undefined
}

function pathOf(file: string): string {
  return join(results, `${file}.json`)
}

function fingerprintOf(file: string): string {
  return createHash('sha256')
    .update(readFileSync(join(root, file)))
    .digest('hex')
}
