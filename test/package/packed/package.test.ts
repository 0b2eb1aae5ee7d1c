import { readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Consumer, createConsumer, repository } from './consumer.ts'

let consumer: Consumer

beforeAll(async () => {
  consumer = await createConsumer()
})

afterAll(() => consumer.remove())

test('holds the build, the sources that its maps point to, and nothing else', async () => {
  const folders = new Set(consumer.files.map(file => (file.includes('/') ? `${file.split('/')[0]}/` : file)))
  expect([...folders].toSorted()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'README.zh-CN.md',
    'dist/',
    'package.json',
    'src/',
  ])
  const maps = consumer.files.filter(file => file.endsWith('.js.map'))
  expect(maps).not.toEqual([])
  const sources = await Promise.all(maps.map(sourcesOf))
  expect(sources.flat().filter(source => !consumer.files.includes(source))).toEqual([])
})

test('every file that package.json points to is there', async () => {
  const { bin, exports } = await consumer.manifest()
  const targets = [Object.values(bin), Object.values(exports).map(target => Object.values(target))].flat(2)
  const paths = targets.filter(path => path.startsWith('./') && path !== './package.json').map(path => path.slice(2))
  expect(paths.length).toBeGreaterThan(6)
  expect(paths.filter(path => !consumer.files.includes(path))).toEqual([])
})

test('every entry can be imported', async () => {
  for (const name of await consumer.entries())
    expect(await consumer.evaluate(`Object.keys(await import('${name}'))`)).not.toEqual([])
})

test('every entry can be required, and is the same module', async () => {
  const required = `createRequire(import.meta.url)`
  for (const name of await consumer.entries()) {
    const same = `import { createRequire } from 'node:module'; export default ${required}('${name}') === await import('${name}')`
    await writeFile(join(consumer.folder, 'require.js'), same)
    expect(await consumer.evaluate(`(await import('./require.js')).default`)).toBe(true)
  }
})

test('entries share one copy of the error classes', async () => {
  const texts = await Promise.all(
    consumer.files.filter(file => /^dist\/.*\.js$/.test(file)).map(file => readFile(consumer.installed(file), 'utf8')),
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
  const { peerDependencies = {}, peerDependenciesMeta = {} } = await consumer.manifest()
  expect(Object.keys(peerDependencies).filter(name => peerDependenciesMeta[name]?.optional !== true)).toEqual([])
})

test('the command answers with its version', async () => {
  const { version } = await consumer.manifest()
  const output = await consumer.run(join(consumer.folder, 'node_modules/.bin/unbusy'), ['--version'])
  expect(output.trim()).toBe(version)
})

const nodenext = ['--module', 'nodenext']
// what many services that compile to CommonJS still have
const old = ['--module', 'commonjs', '--moduleResolution', 'node10', '--esModuleInterop', '--ignoreDeprecations', '6.0']
const bundler = ['--module', 'esnext', '--moduleResolution', 'bundler']

test.each([
  ['module nodenext', 'consumer.ts', nodenext],
  ['module nodenext in a CommonJS file', 'consumer.cts', nodenext],
  ['the resolution of bundlers', 'consumer.ts', bundler],
  ['the resolution from before exports', 'consumer.ts', old],
])('its types stand on their own in a strict project, with %s', async (_, file, resolution) => {
  const names = (await consumer.entries())
    .filter(isWithoutPeerTypes)
    .map((name, index) => `import * as entry${index} from '${name}'\nexport const e${index} = entry${index}`)
  const typed = `import { createClient, type Logger, type TargetSnapshot, type BreakerSettings, type HedgeSettings } from 'unbusy'
export type All = [Logger, TargetSnapshot, BreakerSettings, HedgeSettings]
// @ts-expect-error: the types are there, so a wrong option is seen
createClient({ chains: [] })`
  await writeFile(join(consumer.folder, file), [...names, typed].join('\n'))
  const options = ['--strict', '--noEmit', '--target', 'es2023', '--lib', 'es2024,esnext.disposable', ...resolution]
  const types = ['--types', 'node', '--typeRoots', join(repository, 'node_modules/@types')]
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  expect(await consumer.run(process.execPath, [compiler, ...options, ...types, file])).toBe('')
})

test('a client is typed as a model of the AI SDK', async () => {
  await symlink(join(repository, 'node_modules/ai'), join(consumer.folder, 'node_modules/ai'), 'junction')
  const use = `import type { LanguageModel } from 'ai'
import { createClient, deepseek } from 'unbusy'
import { unbusy } from 'unbusy/ai-sdk'
export const model: LanguageModel = unbusy(createClient({ chain: [deepseek()] }))`
  await writeFile(join(consumer.folder, 'model.ts'), use)
  // the AI SDK's own types need the DOM's, and more that is not there
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2023', ...nodenext, '--types', 'node']
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  const roots = ['--typeRoots', join(repository, 'node_modules/@types')]
  expect(await consumer.run(process.execPath, [compiler, ...options, ...roots, 'model.ts'])).toBe('')
})

test('what is found by exports is found by those who do not know them too', async () => {
  const { main, types, exports, typesVersions } = await consumer.manifest()
  const paths = Object.entries(exports).flatMap(([path, files]) =>
    typeof files === 'string' ? [] : [[path.slice(2), files] as const],
  )
  expect({ main, types }).toEqual({ main: paths[0]?.[1]['default'], types: paths[0]?.[1]['types'] })
  expect(typesVersions['*']).toEqual(Object.fromEntries(paths.slice(1).map(([path, files]) => [path, [files['types']]])))
})

// ---- helpers

/** `unbusy/ai-sdk` gives out types of the AI SDK, which whoever imports it has. */
function isWithoutPeerTypes(entry: string): boolean {
  return entry !== 'unbusy/ai-sdk'
}

async function sourcesOf(map: string): Promise<readonly string[]> {
  const { sources } = JSON.parse(await readFile(consumer.installed(map), 'utf8')) as { readonly sources: readonly string[] }
  return sources.map(source => join(dirname(map), source))
}

/** The packages whose files are loaded while a statement runs. */
async function packagesLoadedBy(statement: string): Promise<readonly string[]> {
  await writeFile(
    join(consumer.folder, 'loaded.js'),
    `import { registerHooks } from 'node:module'
const urls = new Set()
registerHooks({ load: (url, context, next) => (urls.add(url), next(url, context)) })
${statement}
console.log(JSON.stringify([...urls]))`,
  )
  const urls = JSON.parse(await consumer.run(process.execPath, ['loaded.js'])) as readonly string[]
  const names = urls.map(url => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
  return [...new Set(names)].filter(name => name !== undefined)
}
