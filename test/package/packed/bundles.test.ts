import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'
import { answer, startServer } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peers } from '../../helpers/peers.ts'
import { type Consumer, createConsumer } from './consumer.ts'

const bundlers = peers('bundlers')

/** What a user bundles: one call over HTTP, and a schema that cannot tell what it looks like by itself. */
const program = `
import { createClient, deepseek } from 'unbusy'
import * as z from 'zod/mini'

const client = createClient({ chain: [deepseek({ baseURL: process.argv[2], apiKey: 'test' })] })
client
  .generate({ prompt: 'How long?', output: z.object({ minutes: z.number() }) })
  .then(({ output }) => console.log(JSON.stringify(output)))
  .finally(() => client.close())
`

let consumer: Consumer
let elsewhere: string
let entry: string

beforeAll(async () => {
  consumer = await createConsumer()
  elsewhere = await mkdtemp(join(tmpdir(), 'unbusy-bundle-'))
  entry = join(consumer.folder, 'program.js')
  await writeFile(entry, program)
})

afterAll(async () => {
  await consumer.remove()
  await rm(elsewhere, { recursive: true, force: true })
})

describe.skipIf(bundlers.isMissing)(
  `a bundle of all that is used, where there is no node_modules, runs${bundlers.suffix}`,
  () => {
    test('made by esbuild, for require', async () => {
      const { build } = await bundlers.load<Esbuild>('esbuild')
      const outfile = join(elsewhere, 'esbuild.cjs')
      await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'cjs', outfile })
      await expectToRun(outfile)
    })

    test('made by esbuild, for import, with the banner that its users write', async () => {
      const { build } = await bundlers.load<Esbuild>('esbuild')
      const outfile = join(elsewhere, 'esbuild.mjs')
      const js = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`
      await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile, banner: { js } })
      await expectToRun(outfile)
    })

    test('made by rollup', async () => {
      const { rollup } = await bundlers.load<Rollup>('rollup')
      const [resolve, commonjs, json] = await Promise.all(
        ['node-resolve', 'commonjs', 'json'].map(name => bundlers.load<RollupPlugin>(`@rollup/plugin-${name}`)),
      )
      const plugins = [resolve?.default({ preferBuiltins: true }), commonjs?.default(), json?.default()]
      const bundle = await rollup({ input: entry, plugins, external: builtinModules, onwarn: () => {} })
      const dir = join(elsewhere, 'rollup')
      await bundle.write({ dir, format: 'es', entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' })
      await bundle.close()
      await expectToRun(join(dir, 'program.mjs'))
    })

    test('made by webpack', async () => {
      const { default: webpack } = await bundlers.load<Webpack>('webpack')
      const output = { path: join(elsewhere, 'webpack'), filename: 'program.cjs', chunkFilename: '[id].cjs' }
      const settings = { entry, output, mode: 'production', target: 'node', optimization: { minimize: false } }
      await new Promise<void>((resolve, reject) => {
        webpack(settings, (error, stats) => {
          if (error === null && stats?.hasErrors() === false) resolve()
          else reject(error ?? new Error(stats?.toString()))
        })
      })
      await expectToRun(join(output.path, 'program.cjs'))
    })

    test('made by vite, for a server', async () => {
      const { build } = await bundlers.load<Vite>('vite')
      const outDir = join(elsewhere, 'vite')
      const settings = { root: consumer.folder, logLevel: 'silent', configFile: false, ssr: { noExternal: true } }
      const output = { entryFileNames: 'program.mjs', chunkFileNames: '[name]-[hash].mjs' }
      await build({ ...settings, build: { ssr: entry, outDir, emptyOutDir: true, rollupOptions: { output } } })
      await expectToRun(join(outDir, 'program.mjs'))
    })
  },
)

test('what an entry loads asks for nothing that only an ES module has, so that test runners can make it one for require', async () => {
  const texts = await Promise.all(
    distFiles('.js').map(async file => [file, await readFile(consumer.installed(file), 'utf8')] as const),
  )
  const asking = new Set(texts.filter(([, text]) => text.includes('import.meta')).map(([file]) => file))
  const loaded = loadedFrom(await entryFiles(), new Map(texts))
  expect(loaded.size).toBeGreaterThan(20)
  // the command, and what only the command loads, is no module that is imported
  expect(asking).toContain('dist/cli/main.js')
  expect([...loaded].filter(file => asking.has(file))).toEqual([])
})

/** Where the entry points of package.json are, the command's not among them. */
async function entryFiles(): Promise<readonly string[]> {
  const { exports } = await consumer.manifest()
  return Object.values(exports).flatMap(files => (typeof files === 'string' ? [] : [posix.normalize(files['default'] ?? '')]))
}

/** Every file that these import, and so on. */
function loadedFrom(entries: readonly string[], texts: ReadonlyMap<string, string>): ReadonlySet<string> {
  const loaded = new Set(entries)
  for (const file of loaded) {
    for (const [, path = ''] of (texts.get(file) ?? '').matchAll(/['"](\.{1,2}\/[^'"]+\.js)['"]/g))
      if (texts.has(posix.join(posix.dirname(file), path))) loaded.add(posix.join(posix.dirname(file), path))
  }
  return loaded
}

test('what is built imports only what users are given: dependencies, peers and Node itself', async () => {
  const { dependencies, peerDependencies } = await consumer.manifest()
  const given = new Set(Object.keys({ ...dependencies, ...peerDependencies }))
  const texts = await Promise.all(
    [...distFiles('.js'), ...distFiles('.d.ts')].map(file => readFile(consumer.installed(file), 'utf8')),
  )
  const names = texts.flatMap(text => [
    ...text.matchAll(/^(?:import|export|\}).*? from ['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/gm),
  ])
  const packages = names.map(([, from, dynamic]) => from ?? dynamic ?? '').filter(name => !/^(\.|node:)/.test(name))
  expect(packages).toContain('undici/index.js')
  expect([...new Set(packages)].filter(name => !given.has(/^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? ''))).toEqual([])
})

test('what is built is made of our sources alone: what is no dependency would become a part of it unseen', async () => {
  const maps = await Promise.all(distFiles('.js.map').map(file => readFile(consumer.installed(file), 'utf8')))
  const sources = maps.flatMap(map => (JSON.parse(map) as { readonly sources: readonly string[] }).sources)
  expect(sources.filter(source => !/^(\.\.\/)+src\//.test(source))).toEqual([])
})

function distFiles(ending: string): readonly string[] {
  return consumer.files.filter(file => file.startsWith('dist/') && file.endsWith(ending))
}

type Esbuild = { readonly build: (options: object) => Promise<unknown> }
type Rollup = {
  readonly rollup: (options: object) => Promise<{ write(options: object): Promise<unknown>; close(): Promise<void> }>
}
type RollupPlugin = { readonly default: (options?: object) => object }
type Stats = { hasErrors(): boolean; toString(): string }
type Webpack = { readonly default: (settings: object, done: (error: Error | null, stats?: Stats) => void) => void }
type Vite = { readonly build: (settings: object) => Promise<unknown> }

async function expectToRun(file: string): Promise<void> {
  await using server = await startServer(answer('{"minutes":40}'))
  const { stdout } = await promisify(execFile)(process.execPath, [file, server.baseURL], { cwd: elsewhere })
  expect(JSON.parse(stdout)).toEqual({ minutes: 40 })
  expect(server.requests[0]?.body).toMatch(/minutes.*additionalProperties/)
}
