import { expect, test } from 'vitest'
import { compareWays } from 'unbusy/sizing'

test.each<readonly [unknown, RegExp]>([
  [null, /^compareWays: options must be an object/],
  [{ ratio: -1 }, /^compareWays: ratio must be a number, 0 or more/],
  [{ ratio: '4' }, /^compareWays: ratio must be a number/],
  [{ cacheHits: 70 }, /^compareWays: cacheHits must be a number from 0 to 1/],
  [{ sets: 'r1' }, /^compareWays: sets must be a list/],
  [{ sets: [{ model: 'R1', gpu: 'H200', count: 8 }, null] }, /^compareWays: sets\[1\] must be an object, not null\./],
  [{ set: [] }, /^compareWays: there is no option 'set'.*Did you mean 'sets'/],
])('compareWays(%o) is refused', (options, message) => {
  expect(() => compareWays(options as never)).toThrow(message)
})
