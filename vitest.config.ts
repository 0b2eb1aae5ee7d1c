import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/** The tests on a real Redis wait most of the time, so they run beside the slow ones. */
const redis = 'test/real/redis*.test.ts'

/** These start other programs (a package manager, a compiler) or live through days of virtual time. */
const slow = [...['docs', 'package', 'simulation'].map(folder => `test/${folder}/**/*.test.ts`), redis]
const real = ['test/real/**/*.test.ts']

/** These use the package as npm would publish it. It is packed once for all of them. */
const packed = ['test/package/packed/**/*.test.ts']

export default defineConfig({
  // `unbusy` and `unbusy/testing` are the sources: no build is needed, and none can be stale. The condition has a name of its own,
  // because dependencies have one called `source` and would be taken from their sources too
  ssr: { resolve: { conditions: ['unbusy-source'] } },
  test: {
    // many tests wait for a server most of the time
    maxWorkers: 4,
    coverage: { include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [...slow, ...real, 'test/bench/**', 'test/peers/**', 'test/mutation/**'],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        // after the others: they would take the processor from tests over real sockets
        test: {
          ...{ name: 'slow', include: slow, exclude: packed, testTimeout: 180_000, hookTimeout: 180_000 },
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...{ name: 'packed', include: packed, globalSetup: 'test/package/packed/pack.ts' },
          ...{ testTimeout: 180_000, hookTimeout: 180_000, sequence: { groupOrder: 1 } },
        },
      },
      {
        extends: true,
        // installed beside the project (test/peers); `src/embedded` imports it by its name
        resolve: {
          alias: { 'node-llama-cpp': join(import.meta.dirname, 'test/peers/node-llama-cpp/node_modules/node-llama-cpp') },
        },
        // one file after the other: they ask one model server, which has two slots. A hook may have to wait for the download of one
        test: {
          ...{ name: 'real', include: real, exclude: [redis], testTimeout: 60_000, hookTimeout: 300_000 },
          ...{ fileParallelism: false, sequence: { groupOrder: 2 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: './test/types/tsconfig.json',
          },
        },
      },
    ],
  },
})
