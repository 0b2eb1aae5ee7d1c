/** The way to what is installed only for the bench: the group `bench` of test/peers, installed when a bench first needs it. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { folderOf } from '../peers/groups.ts'

type Bundler = {
  readonly bundleSize: (options: {
    readonly source: string
    readonly from: string
    readonly packages: 'external' | 'bundled'
  }) => Promise<{ readonly bytes: number; readonly gzipBytes: number }>
  readonly bundleSources: (entry: URL, outfile: URL) => Promise<void>
}

type PeerModules = { readonly openai: readonly string[]; readonly ai: readonly string[] }

export const peersFolder = folderOf('bench')

const load = async (file: string): Promise<unknown> => import(pathToFileURL(join(peersFolder, file)).href)

export const loadBundler = async (): Promise<Bundler> => (await load('bundle.ts')) as Bundler

export const peerModules = async (): Promise<PeerModules> => {
  const { modules } = (await load('modules.ts')) as { readonly modules: PeerModules }
  return modules
}
