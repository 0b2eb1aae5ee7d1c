import packageJson from './package.json' with { type: 'json' }

/** Ours alone: what the dependencies weigh is theirs (zod by itself is 20 kB). */
const ours = {
  path: 'dist/index.js',
  ignore: Object.keys(packageJson.dependencies),
  modifyRolldownConfig: (config: object) => ({ ...config, platform: 'node' }),
}

/** Minified and compressed with brotli. A limit is what was measured, plus a tenth. */
export default [
  { ...ours, name: 'createClient', import: '{ createClient }', limit: '21 kB' },
  { ...ours, name: 'ProviderError', import: '{ ProviderError }', limit: '1 kB' },
]
