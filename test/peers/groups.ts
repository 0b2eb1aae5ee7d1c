/**
 * What tests and benchmarks need and nobody else should have to download: each folder here is a group with a package.json and a lock
 * file of its own. README.md beside this file says how to add one.
 */

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const peerGroups = [
  'ai-sdk',
  'bench',
  'browser',
  'bundlers',
  'deploy',
  'node-llama-cpp',
  'openai-clients',
  'otel',
  'redis-5',
  'runtimes',
  'web',
  'workflow',
  'zod-old',
] as const
export type PeerGroup = (typeof peerGroups)[number]

type Manifest = {
  readonly dependencies: Readonly<Record<string, string>>
  /** As npm has them. Without them a group is for every machine. */
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
}

const newest = 'newest'

export const folderOf = (group: PeerGroup): string => join(import.meta.dirname, group)

const manifestOf = (group: PeerGroup): Manifest =>
  JSON.parse(readFileSync(join(folderOf(group), 'package.json'), 'utf8')) as Manifest

const lockOf = (group: PeerGroup): string => readFileSync(join(folderOf(group), 'package-lock.json'), 'utf8')

/** Beside what is installed: the lock file that it was installed from, or `newest`. `npm ci` begins by removing it. */
const stampOf = (group: PeerGroup): string => join(folderOf(group), 'node_modules/.unbusy-installed')

const installed = (group: PeerGroup): string | undefined =>
  existsSync(stampOf(group)) ? readFileSync(stampOf(group), 'utf8') : undefined

/** Whether a group is for a machine like this. */
export function isForHere(group: PeerGroup): boolean {
  const { os, cpu } = manifestOf(group)
  return os?.includes(process.platform) !== false && cpu?.includes(process.arch) !== false
}

/** Why a group cannot be used, or `undefined` where it can. */
export function whyMissing(group: PeerGroup): string | undefined {
  if (!isForHere(group)) return 'is not for this machine'
  const found = installed(group)
  if (found === undefined) return 'is not installed: npm run peers'
  return found === newest || found === lockOf(group) ? undefined : 'is installed from an older lock file: npm run peers'
}

/** Installs what the lock file names, unless that is there. Does nothing on a machine that the group is not for. */
export async function installPeers(group: PeerGroup): Promise<'installed' | 'there' | 'not for this machine'> {
  if (!isForHere(group)) return 'not for this machine'
  if (installed(group) === lockOf(group)) return 'there'
  await npm(['ci'], group)
  writeFileSync(stampOf(group), lockOf(group))
  return 'installed'
}

/** Installs the newest of each package, and leaves package.json and lock file alone. An alias stays in the range that it names. */
export async function installNewestPeers(group: PeerGroup): Promise<'installed' | 'not for this machine'> {
  if (!isForHere(group)) return 'not for this machine'
  const { dependencies } = manifestOf(group)
  const packages = Object.entries(dependencies).map(([name, range]) => `${name}@${range.startsWith('npm:') ? range : 'latest'}`)
  await npm(['install', '--no-save', '--no-package-lock', ...packages], group)
  writeFileSync(stampOf(group), newest)
  return 'installed'
}

async function npm(values: readonly string[], group: PeerGroup): Promise<void> {
  const folder = folderOf(group)
  const all = [...values, '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error']
  // npm says where it is; by its name it is no program that Windows could start
  const program = process.env['npm_execpath']
  const run = promisify(execFile)
  await (program === undefined ? run('npm', all, { cwd: folder }) : run(process.execPath, [program, ...all], { cwd: folder }))
}
