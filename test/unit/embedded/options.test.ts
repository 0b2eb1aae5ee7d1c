import { expect, test } from 'vitest'
import { embedded } from '../../../src/embedded/index.ts'

test('what every target can be given is on the target', () => {
  const given = {
    ...{ retry: 2, timeout: { totalMs: 5 }, price: { input: 1, output: 2 } },
    ...{ when: () => true, prepare: () => ({ temperature: 0 }), limits: { concurrency: 1 } },
  }
  expect(embedded({ modelPath: 'model.gguf', ...given })).toMatchObject(given)
})
