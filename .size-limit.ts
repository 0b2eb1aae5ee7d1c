import packageJson from './package.json' with { type: 'json' }

/** Ours alone: what the dependencies weigh is theirs (zod by itself is 20 kB). */
const ours = {
  ignore: Object.keys({ ...packageJson.dependencies, ...packageJson.peerDependencies }),
  modifyRolldownConfig: (config: object) => ({ ...config, platform: 'node' }),
}

/** Minified and compressed with brotli. A limit is what was measured, plus a tenth. */
export default [
  { ...ours, name: 'createClient', path: 'dist/index.js', import: '{ createClient }', limit: '57.3 kB' },
  { ...ours, name: 'ProviderError', path: 'dist/index.js', import: '{ ProviderError }', limit: '458 B' },
  { ...ours, name: 'redisHealth', path: 'dist/redis/index.js', import: '{ redisHealth }', limit: '5.2 kB' },
  // the web's own limit: nothing else of the package may come along
  { name: 'fromResponse', path: 'dist/browser/index.js', import: '{ fromResponse }', limit: '1 kB' },
  { ...ours, name: 'embedded', path: 'dist/embedded/index.js', import: '{ embedded }', limit: '4.8 kB' },
]
