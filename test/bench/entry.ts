/** Which unbusy is measured: what is built, if it is newer than every source; else a bundle of the sources as they are now. */

import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { loadBundler } from './peers-door.ts'

const root = new URL('../../', import.meta.url)
export const sourceEntry = new URL('src/index.ts', root)
const built = new URL('dist/index.js', root)
// in node_modules, so that the bundle finds its packages and nothing of it is ever committed
const bundled = new URL('node_modules/.cache/unbusy-bench/index.mjs', root)

const newestSourceMs = (): number =>
  readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .reduce((newest, name) => Math.max(newest, statSync(new URL(`src/${name}`, root)).mtimeMs), 0)

export type Entry = { readonly url: string; readonly from: string }

/** Undefined: there is nothing to measure yet. */
export const findEntry = async (): Promise<Entry | undefined> => {
  if (!existsSync(sourceEntry)) return undefined
  if (existsSync(built) && statSync(built).mtimeMs > newestSourceMs()) return { url: built.href, from: 'dist/index.js' }
  mkdirSync(new URL('.', bundled), { recursive: true })
  const { bundleSources } = await loadBundler()
  await bundleSources(sourceEntry, bundled)
  return { url: bundled.href, from: 'src/ (dist/ is missing or older)' }
}
