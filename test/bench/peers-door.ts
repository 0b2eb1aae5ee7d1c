/**
 * The way to what is installed only for the bench. The peers have a package.json and a lock file of their own in `peers/`, so
 * that nobody who installs or works on the library has to download them; they are installed when a bench first needs them.
 */

import { execFile } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

type Bundler = {
  readonly bundleSize: (options: {
    readonly source: string
    readonly from: string
    readonly packages: 'external' | 'bundled'
  }) => Promise<{ readonly bytes: number; readonly gzipBytes: number }>
  readonly bundleSources: (entry: URL, outfile: URL) => Promise<void>
}

type PeerModules = { readonly openai: readonly string[]; readonly ai: readonly string[] }

export const peersFolder = new URL('peers/', import.meta.url)

/** Older than the lock file, or not there at all. */
const isStale = (): boolean => {
  const installed = new URL('node_modules/.package-lock.json', peersFolder)
  return !existsSync(installed) || statSync(installed).mtimeMs < statSync(new URL('package-lock.json', peersFolder)).mtimeMs
}

/** Runs `npm ci` in `peers/` unless what the lock file names is already there. */
export const installPeers = async (): Promise<void> => {
  if (!isStale()) return
  const folder = fileURLToPath(peersFolder)
  await promisify(execFile)('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder })
}

export const loadBundler = async (): Promise<Bundler> => (await import(new URL('bundle.ts', peersFolder).href)) as Bundler

export const peerModules = async (): Promise<PeerModules> => {
  const { modules } = (await import(new URL('modules.ts', peersFolder).href)) as { readonly modules: PeerModules }
  return modules
}
