import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

export type BundleOptions = {
  /** The program that is bundled. */
  readonly source: string
  /** The folder from which the program's imports are looked up. */
  readonly from: string
  /** `external`: our own code only; `bundled`: everything that it needs. */
  readonly packages: 'external' | 'bundled'
}

export type BundleSize = { readonly bytes: number; readonly gzipBytes: number }

/** How big a program gets, minified, and again gzipped. Writes no file. */
export const bundleSize = async ({ source, from, packages }: BundleOptions): Promise<BundleSize> => {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: from, loader: 'ts' },
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: packages === 'external' ? 'external' : 'bundle',
    logLevel: 'error',
  })
  const [output] = outputFiles
  if (output === undefined) throw new Error('esbuild made no bundle')
  return { bytes: output.contents.length, gzipBytes: gzipSync(output.contents, { level: 9 }).length }
}

/** One file of our sources with their packages left outside, as the published package has it. */
export const bundleSources = async (entry: URL, outfile: URL): Promise<void> => {
  await build({
    entryPoints: [fileURLToPath(entry)],
    outfile: fileURLToPath(outfile),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'error',
  })
}
