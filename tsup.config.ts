import { defineConfig } from 'tsup'

/** A new entry point is a line here and one in `exports` of package.json. */
const entries = {
  index: 'src/index.ts',
  'testing/index': 'src/testing/index.ts',
  'embedded/index': 'src/embedded/index.ts',
  'redis/index': 'src/redis/index.ts',
}

export default defineConfig({
  entry: { ...entries, 'cli/main': 'src/cli/main.ts' },
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
})
