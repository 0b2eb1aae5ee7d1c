import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { repository, run } from './consumer.ts'

declare module 'vitest' {
  // a declaration can be merged with an interface alone
  // eslint-disable-next-line typescript/consistent-type-definitions
  interface ProvidedContext {
    /** The package as npm would publish it, and the files in it. */
    readonly packed: { readonly tarball: string; readonly files: readonly string[] }
  }
}

type Packed = { readonly filename: string; readonly files: readonly { readonly path: string }[] }

/**
 * Builds and packs the project, once for all files of tests that use the package. It does so in a copy: neither a stale `dist` nor a
 * build that runs at the same time can change what is tested.
 */
export default async function packOnce(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-packed-'))
  const copy = join(folder, 'project')
  const parts = [
    'package.json',
    'tsconfig.json',
    'tsup.config.ts',
    'src',
    'README.md',
    'README.zh-CN.md',
    'LICENSE',
    'CHANGELOG.md',
  ]
  await mkdir(copy)
  await Promise.all(parts.map(part => cp(join(repository, part), join(copy, part), { recursive: true })))
  await symlink(join(repository, 'node_modules'), join(copy, 'node_modules'))
  await run('npm', ['run', '--silent', 'build'], copy)
  const [packed] = JSON.parse(await run('npm', ['pack', '--json', '--ignore-scripts'], copy)) as readonly Packed[]
  if (packed === undefined) throw new Error('npm pack made no tarball')
  project.provide('packed', { tarball: join(copy, packed.filename), files: packed.files.map(file => file.path) })
  return () => rm(folder, { recursive: true, force: true })
}
