import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import nodeJson from '../../node_modules/node/package.json' with { type: 'json' }
import packageJson from '../../package.json' with { type: 'json' }

type Locked = {
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
type Lockfile = { readonly packages: Readonly<Record<string, Locked>> }

const lockfile = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as Lockfile
const locked = Object.entries(lockfile.packages)

test('scripts and the programs they start run on the Node that the package brings, whatever the system has', () => {
  expect(process.version).toBe(`v${nodeJson.version}`)
  expect(execFileSync('node', ['--version'], { encoding: 'utf8' }).trim()).toBe(process.version)
})

test('the install asks no question: every install script is allowed by name', () => {
  const scripts = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true)
  const names = scripts.map(([path]) => path.split('node_modules/').at(-1) ?? '')
  expect([...new Set(names)].toSorted()).toEqual(Object.keys(packageJson.allowScripts).toSorted())
})

test('the lockfile names no registry', () => {
  expect(locked.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
})

test('the lockfile serves every platform: what an entry takes on another one is an entry too', () => {
  const names = new Set(locked.map(([path]) => path.split('node_modules/').at(-1)))
  const optional = locked.flatMap(([, { optionalDependencies }]) => Object.keys(optionalDependencies ?? {}))
  expect(optional.length).toBeGreaterThan(50)
  expect(optional.filter(name => !names.has(name))).toEqual([])
})

test('package.json names the npm that writes the lockfile, and that npm is a version, not a range', () => {
  expect(packageJson.packageManager).toMatch(/^npm@\d+\.\d+\.\d+$/)
})
