import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

/**
 * The package as npm would publish it, in an empty folder. It is built in a copy, so that neither a stale `dist` nor a build that
 * runs at the same time can change what is tested.
 */
const repository = join(import.meta.dirname, '../..')

let root: string
let consumer: string
let files: readonly string[]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unbusy-package-'))
  const tarball = await pack(join(root, 'project'))
  consumer = join(root, 'consumer')
  await mkdir(consumer)
  await writeFile(join(consumer, 'package.json'), '{ "private": true, "type": "module" }')
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=peer', tarball], consumer)
})

afterAll(() => rm(root, { recursive: true, force: true }))

test('holds the build, the sources that its maps point to, and nothing else', async () => {
  const folders = new Set(files.map(file => (file.includes('/') ? `${file.split('/')[0]}/` : file)))
  expect([...folders].toSorted()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'dist/', 'package.json', 'src/'])
  const maps = files.filter(file => file.endsWith('.js.map'))
  expect(maps).not.toEqual([])
  const sources = await Promise.all(maps.map(sourcesOf))
  expect(sources.flat().filter(source => !files.includes(source))).toEqual([])
})

test('every file that package.json points to is there', async () => {
  const { bin, exports } = await manifest()
  const targets = [Object.values(bin), Object.values(exports).map(target => Object.values(target))].flat(2)
  const paths = targets.filter(path => path.startsWith('./') && path !== './package.json').map(path => path.slice(2))
  expect(paths.length).toBeGreaterThan(6)
  expect(paths.filter(path => !files.includes(path))).toEqual([])
})

test('every entry can be imported', async () => {
  for (const name of await entries()) expect(await evaluate(`Object.keys(await import('${name}'))`)).not.toEqual([])
})

test('every entry can be required, and is the same module', async () => {
  const required = `createRequire(import.meta.url)`
  for (const name of await entries()) {
    const same = `import { createRequire } from 'node:module'; export default ${required}('${name}') === await import('${name}')`
    await writeFile(join(consumer, 'require.js'), same)
    expect(await evaluate(`(await import('./require.js')).default`)).toBe(true)
  }
})

test('entries share one copy of the error classes', async () => {
  const texts = await Promise.all(
    files.filter(file => /^dist\/.*\.js$/.test(file)).map(file => readFile(installed(file), 'utf8')),
  )
  expect(
    texts.filter(text => text.includes("Symbol.for('unbusy.error')") || text.includes('Symbol.for("unbusy.error")')),
  ).toHaveLength(1)
})

test('import of unbusy loads what it runs on, and neither zod nor pino nor any optional peer', async () => {
  const loaded = await packagesLoadedBy(`await import('unbusy')`)
  // the network check is p-retry's
  expect(loaded.toSorted()).toEqual(['eventsource-parser', 'is-network-error', 'p-retry', 'unbusy', 'undici'])
})

test('optional peers are not installed unasked', async () => {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = await manifest()
  expect(Object.keys(peerDependencies).filter(name => peerDependenciesMeta[name]?.optional !== true)).toEqual([])
})

test('the command answers with its version', async () => {
  const { version } = await manifest()
  const output = await run(join(consumer, 'node_modules/.bin/unbusy'), ['--version'], consumer)
  expect(output.trim()).toBe(version)
})

test('its types stand on their own in a strict project', async () => {
  const names = (await entries()).map(
    (name, index) => `import * as entry${index} from '${name}'\nexport const e${index} = entry${index}`,
  )
  await writeFile(join(consumer, 'consumer.ts'), names.join('\n'))
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2024,esnext.disposable']
  const types = ['--types', 'node', '--typeRoots', join(repository, 'node_modules/@types')]
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  expect(await run(process.execPath, [compiler, ...options, ...types, 'consumer.ts'], consumer)).toBe('')
})

// ---- helpers

/** Builds and packs a copy of the project and answers the tarball's path. */
async function pack(project: string): Promise<string> {
  const parts = ['package.json', 'tsconfig.json', 'tsup.config.ts', 'src', 'README.md', 'LICENSE', 'CHANGELOG.md']
  await mkdir(project)
  await Promise.all(parts.map(part => cp(join(repository, part), join(project, part), { recursive: true })))
  await symlink(join(repository, 'node_modules'), join(project, 'node_modules'))
  await run('npm', ['run', '--silent', 'build'], project)
  const [packed] = JSON.parse(await run('npm', ['pack', '--json', '--ignore-scripts'], project)) as readonly Packed[]
  if (packed === undefined) throw new Error('npm pack made no tarball')
  files = packed.files.map(file => file.path)
  return join(project, packed.filename)
}

type Packed = { readonly filename: string; readonly files: readonly { readonly path: string }[] }

type Manifest = {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

const installed = (file: string): string => join(consumer, 'node_modules/unbusy', file)

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile(installed('package.json'), 'utf8')) as Manifest
}

async function entries(): Promise<readonly string[]> {
  const { exports } = await manifest()
  return Object.keys(exports).flatMap(path => (path === './package.json' ? [] : `unbusy${path.slice(1)}`))
}

async function sourcesOf(map: string): Promise<readonly string[]> {
  const { sources } = JSON.parse(await readFile(installed(map), 'utf8')) as { readonly sources: readonly string[] }
  return sources.map(source => join(dirname(map), source))
}

/** What an expression is worth in a module of the consumer. */
async function evaluate(expression: string): Promise<unknown> {
  await writeFile(join(consumer, 'evaluate.js'), `console.log(JSON.stringify(${expression}))`)
  return JSON.parse(await run(process.execPath, ['evaluate.js'], consumer))
}

/** The packages whose files are loaded while a statement runs. */
async function packagesLoadedBy(statement: string): Promise<readonly string[]> {
  await writeFile(
    join(consumer, 'loaded.js'),
    `import { registerHooks } from 'node:module'
const urls = new Set()
registerHooks({ load: (url, context, next) => (urls.add(url), next(url, context)) })
${statement}
console.log(JSON.stringify([...urls]))`,
  )
  const urls = JSON.parse(await run(process.execPath, ['loaded.js'], consumer)) as readonly string[]
  const names = urls.map(url => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
  return [...new Set(names)].filter(name => name !== undefined)
}

/** Runs a program with this test's Node first on the path. Fails with what the program printed. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`, NODE_OPTIONS: '' }
  try {
    return (await promisify(execFile)(program, args, { cwd, env, maxBuffer: 1e8 })).stdout
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
    throw new Error(`${program} ${args.join(' ')} failed.\n${stdout}\n${stderr}`, { cause: error })
  }
}
