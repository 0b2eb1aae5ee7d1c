import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'

/** An empty project with the packed package in it. */
export type Consumer = {
  readonly folder: string
  /** What the package holds. */
  readonly files: readonly string[]
  /** Where a file of the installed package is. */
  installed(file: string): string
  manifest(): Promise<Manifest>
  /** The names by which its entry points are imported. */
  entries(): Promise<readonly string[]>
  /** Runs a program in the folder, with this test's Node first on the path. Fails with what the program printed. */
  run(program: string, args: readonly string[]): Promise<string>
  /** What an expression is worth in a module of the consumer. */
  evaluate(expression: string): Promise<unknown>
  remove(): Promise<void>
}

export type Manifest = {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly main: string
  readonly types: string
  readonly typesVersions: { readonly '*': Readonly<Record<string, readonly string[]>> }
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

export const repository = join(import.meta.dirname, '../../..')

export async function createConsumer(): Promise<Consumer> {
  const { tarball, files } = inject('packed')
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-consumer-'))
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=peer', tarball], folder)

  const installed = (file: string): string => join(folder, 'node_modules/unbusy', file)
  const manifest = async (): Promise<Manifest> => JSON.parse(await readFile(installed('package.json'), 'utf8')) as Manifest
  return {
    folder,
    files,
    installed,
    manifest,
    async entries() {
      const { exports } = await manifest()
      return Object.keys(exports).flatMap(path => (path === './package.json' ? [] : `unbusy${path.slice(1)}`))
    },
    run: (program, args) => run(program, args, folder),
    async evaluate(expression) {
      await writeFile(join(folder, 'evaluate.js'), `console.log(JSON.stringify(${expression}))`)
      return JSON.parse(await run(process.execPath, ['evaluate.js'], folder)) as unknown
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`, NODE_OPTIONS: '' }
  try {
    return (await promisify(execFile)(program, args, { cwd, env, maxBuffer: 1e8 })).stdout
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
    throw new Error(`${program} ${args.join(' ')} failed.\n${stdout}\n${stderr}`, { cause: error })
  }
}
