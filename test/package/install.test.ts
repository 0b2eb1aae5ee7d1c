import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import nodeJson from '../../node_modules/node/package.json' with { type: 'json' }
import packageJson from '../../package.json' with { type: 'json' }
import { peerGroups } from '../peers/groups.ts'

type Locked = {
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
type Lockfile = { readonly packages: Readonly<Record<string, Locked>> }
type Manifest = { readonly allowScripts?: Readonly<Record<string, boolean>> }

/** Each folder with a package.json and a lockfile. */
const installs = ['.', ...peerGroups.map(group => `test/peers/${group}`)]

const readJson = (...path: string[]): unknown => JSON.parse(readFileSync(join(import.meta.dirname, '../..', ...path), 'utf8'))
const lockedIn = (folder: string) => Object.entries((readJson(folder, 'package-lock.json') as Lockfile).packages)
const nameOf = (path: string): string => path.split('node_modules/').at(-1) ?? ''

test('scripts and the programs they start run on the Node that the package brings, whatever the system has', () => {
  expect(process.version).toBe(`v${nodeJson.version}`)
  expect(execFileSync('node', ['--version'], { encoding: 'utf8' }).trim()).toBe(process.version)
})

test('package.json names the npm that writes the lockfiles', () => {
  expect(packageJson.packageManager).toMatch(/^npm@\d+\.\d+\.\d+$/)
})

describe.each(installs)('the lockfile of %s', folder => {
  const locked = lockedIn(folder)

  test('asks no question: every install script is allowed or refused by name', () => {
    const names = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => nameOf(path))
    const { allowScripts = {} } = readJson(folder, 'package.json') as Manifest
    expect([...new Set(names)].toSorted()).toEqual(Object.keys(allowScripts).toSorted())
  })

  test('names no registry', () => {
    expect(locked.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
  })

  test('serves every platform: what an entry takes on another one is an entry too', () => {
    const names = new Set(locked.map(([path]) => nameOf(path)))
    const optional = locked.flatMap(([, { optionalDependencies }]) => Object.keys(optionalDependencies ?? {}))
    expect(optional.filter(name => !names.has(name))).toEqual([])
  })
})

test('the packages of other platforms are seen', () => {
  expect(lockedIn('.').flatMap(([, { optionalDependencies }]) => Object.keys(optionalDependencies ?? {})).length).toBeGreaterThan(
    50,
  )
})
