import { dirname, relative } from 'node:path'
import { defineConfig, type Options } from 'tsup'

/** A new entry point is a line here and one in `exports` of package.json. */
const entries = {
  index: 'src/index.ts',
  'testing/index': 'src/testing/index.ts',
  'embedded/index': 'src/embedded/index.ts',
  'redis/index': 'src/redis/index.ts',
  'opentelemetry/index': 'src/opentelemetry/index.ts',
  'status/index': 'src/status/index.ts',
  'prometheus/index': 'src/prometheus/index.ts',
  'sizing/index': 'src/sizing/index.ts',
  'browser/index': 'src/browser/index.ts',
  'openai/index': 'src/interop/openai/index.ts',
  'ai-sdk/index': 'src/interop/ai-sdk/index.ts',
  'gateway/index': 'src/interop/gateway/index.ts',
}

const requireNode = 'src/require-node.ts'

/** Entries that also run where there is no Node: they import nothing at all. */
const anywhere: ReadonlySet<string> = new Set([entries['browser/index']])

/**
 * The look at Node's version must be the first import of every entry: the others fail on an old Node. esbuild would make it a part of
 * some shared chunk and sort the imports anew, so the bundle leaves it out, and every entry imports it on its first line (behind the
 * `#!` of a command; no line more, so that source maps stay right).
 */
const leaveOut: NonNullable<Options['esbuildPlugins']>[number] = {
  name: 'leave-out-require-node',
  setup(build) {
    build.onResolve({ filter: /\/require-node\.ts$/ }, ({ kind, path }) =>
      kind === 'entry-point' ? undefined : { path, namespace: 'left-out', sideEffects: false },
    )
    build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: '' }))
  },
}

const importFirst: NonNullable<Options['plugins']>[number] = {
  name: 'import-require-node-first',
  renderChunk(code, { type, path, entryPoint }) {
    if (type !== 'chunk' || entryPoint === undefined || entryPoint === requireNode) return undefined
    // esbuild lets every entry import a chunk of its helpers, also one that uses none. The line stays, for the source map
    if (anywhere.has(entryPoint)) return { code: code.replaceAll(/^import "[^"]*";$/gm, '') }
    const way = relative(dirname(path), 'dist/require-node.js')
    const [, hashBang = '', rest = ''] = /^(#!.*\n)?([^]*)$/.exec(code) ?? []
    return { code: `${hashBang}import '${way.startsWith('.') ? way : `./${way}`}';${rest}` }
  },
}

export default defineConfig({
  entry: { 'require-node': requireNode, ...entries, 'cli/main': 'src/cli/main.ts' },
  dts: { entry: entries },
  format: 'esm',
  platform: 'node',
  target: 'node22.19',
  // code that entries share becomes shared chunks: an error made by one of them is an instance of the same class in another
  splitting: true,
  sourcemap: true,
  // the package holds `src`, so the maps only point there
  esbuildOptions: options => void (options.sourcesContent = false),
  removeNodeProtocol: false,
  clean: true,
  esbuildPlugins: [leaveOut],
  plugins: [importFirst],
})
