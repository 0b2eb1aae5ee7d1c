import { expect, test } from 'vitest'
import { sizeDeployment, type SizingOptions } from 'unbusy/sizing'

/**
 * Tokens in the cache, worked by hand and not by this code:
 * GPU GiB x utilisation - files in GB x 0.93132 / (TP x PP) - 5, 3 or 2 GiB, all that x 2^30 / bytes of a token on one GPU.
 */
const handWorked: readonly (readonly [SizingOptions, number])[] = [
  // 140.4 x 0.95 - 80.16 - 5 = 48.2 GiB; 35,136 B
  [{ model: 'r1', gpu: 'h200', count: 8, utilisation: 0.95, kvPrecision: 'fp8' }, 1_473_000],
  // 126.36 - 40.08 - 5 = 81.3; 70,272 / 2
  [{ model: 'r1', gpu: 'h200', count: 16 }, 2_484_000],
  // 126.36 - 80.33 - 5 = 41.0; 61 x (512 + 64 + 128) x 2 = 85,888
  [{ model: 'deepseek-v3.2', gpu: 'h200', count: 8 }, 513_000],
  [{ model: 'deepseek-v3.2', gpu: 'b200', count: 8, kvPrecision: 'fp8' }, 1_894_000],
  // 71.37 - 39.0 - 5 = 27.4; 70,272 / 4
  [{ model: 'r1', precision: 'bf16', gpu: 'a100', count: 32 }, 1_673_000],
  [{ model: 'r1', precision: 'int8', gpu: 'a100', count: 16 }, 803_000],
  // 40.5 - 20.05 - 5 = 15.4; 70,272 / 4
  [{ model: 'r1', precision: 'int8', gpu: 'l40s', count: 32 }, 944_000],
  [{ model: 'r1', precision: 'w4a8', gpu: 'h200', count: 4 }, 609_000],
  [{ model: 'r1', precision: 'fp4', gpu: 'b200', count: 8 }, 1_787_000],
  // experts 654 / 8, the rest 17 / 2 GB on a GPU; four engines
  [{ model: 'r1', gpu: 'h200', count: 8, tensorParallel: 2, dataParallel: 4 }, 2_280_000],
  [{ model: 'r1', gpu: 'mi300x', count: 8, tensorParallel: 4, pipelineParallel: 2 }, 2_678_000],
  // 77.6 - 61.0 = 16.6; 70,272 / 2
  [{ model: 'r1', precision: '1.58bit', gpu: 'h100', count: 2 }, 507_000],
  [{ model: 'r1', precision: 'q4_k_m', gpu: 'm3-ultra-512' }, 87_800],
  [{ model: 'v4-flash', gpu: 'h100', count: 8 }, 7_160_000],
  [{ model: 'v4-flash', gpu: 'rtx-pro-6000', count: 2 }, 974_000],
  [{ model: 'v4-flash', precision: '2bit', gpu: 'm3-ultra-256' }, 16_250_000],
  [{ model: 'v4-pro', gpu: 'b200', count: 8 }, 6_040_000],
  [{ model: 'v4.1-flash', gpu: 'h200', count: 8 }, 74_600_000],
  // 71.37 - 16.4 - 3 = 52.0; 327,680 / 8, and with 16 ranks no less than that
  [{ model: 'deepseek-r1:70b', gpu: 'a100-80', count: 8 }, 1_362_000],
  [{ model: 'deepseek-r1:70b', gpu: 'h100', count: 16, tensorParallel: 16 }, 1_584_000],
  [{ model: 'deepseek-r1:70b', precision: 'fp8', gpu: 'h200' }, 185_600],
  [{ model: 'deepseek-r1:70b', precision: 'fp8', kvPrecision: 'fp8', gpu: 'h100', count: 2 }, 456_000],
  [{ model: 'deepseek-r1:70b', precision: 'fp8', gpu: 'h100', count: 4, dataParallel: 2 }, 456_000],
  [{ model: 'deepseek-r1:70b', precision: 'awq', gpu: 'l40s', count: 4, tensorParallel: 1 }, 366_700],
  [{ model: 'deepseek-r1:70b', precision: 'q4_k_m', gpu: '4090', count: 2 }, 12_950],
  [{ model: 'deepseek-r1:32b', gpu: 'a100', count: 2 }, 316_500],
  [{ model: 'deepseek-r1:14b', gpu: 'a40' }, 57_700],
  [{ model: 'deepseek-r1:7b', gpu: 'l40s', count: 8 }, 5_506_000],
  // 12 heads: TP 4 x PP 2, and two heads of the cache: 28,672 / (2 x 2)
  [{ model: 'deepseek-r1:1.5b', gpu: '4090', count: 8 }, 2_873_000],
  [{ model: 'deepseek-r1-distill-llama-8b', gpu: '3090' }, 38_500],
  [{ model: 'deepseek-r1:8b', precision: 'q4', gpuGiB: 8 }, 8_430],
  // 126.36 - 50 - 5 = 71.4; not divided
  [{ weightsGiB: 400, kvBytesPerToken: 70_000, gpu: 'h200', count: 8 }, 1_095_000],
  [{ weightsGiB: 30, kvBytesPerToken: 200_000, kvHeads: 8, gpuGiB: 48, count: 2 }, 281_000],
]

test.each(handWorked)('%o: %i tokens', (options, expected) => {
  const { fits, kvTokens } = sizeDeployment(options)
  expect(fits).toBe(true)
  expect(Math.abs(kvTokens / expected - 1)).toBeLessThan(0.01)
})

test.each<readonly [string, SizingOptions, RegExp]>([
  ['8 heads of the cache, TP 5', { model: 'deepseek-r1:32b', gpu: 'h100', count: 5, tensorParallel: 5 }, /neither divides/],
  ['40 heads, TP 16', { model: 'deepseek-r1:32b', gpu: 'h100', count: 16, tensorParallel: 16 }, /cannot be divided/],
  [
    'more GPUs than there are',
    { model: 'r1', gpu: 'h100', count: 8, tensorParallel: 8, pipelineParallel: 2 },
    /16 GPUs, but .* 8/,
  ],
  [
    "SGLang's way to count",
    { model: 'r1', gpu: 'h200', count: 8, tensorParallel: 8, dataParallel: 8 },
    /--tp 8 --dp 8 is TP 1 and DP 8/,
  ],
])('%s: it does not start, whatever the memory', (_, options, warning) => {
  const { fits, warnings, replicas } = sizeDeployment({ ...options, arrivals: 1, outputTokens: 10 })
  expect({ fits, replicas }).toEqual({ fits: false, replicas: undefined })
  expect(warnings.join('\n')).toMatch(warning)
})

test('without a wish the heads of the cache are divided evenly too', () => {
  const five = sizeDeployment({ model: 'deepseek-r1:32b', gpu: 'h100', count: 5 })
  expect(five).toMatchObject({ fits: true })
  // 71.64 - 66 x 0.93132 / 5 - 2 = 57.3 GiB; 262,144 / 5 stages
  expect(five.kvTokens / 1_174_000).toBeCloseTo(1, 2)
  const ten = sizeDeployment({ model: 'deepseek-r1:32b', gpu: 'h100', count: 10 })
  const twoByFive = { tensorParallel: 2, pipelineParallel: 5 }
  expect(ten).toEqual(sizeDeployment({ model: 'deepseek-r1:32b', gpu: 'h100', count: 10, ...twoByFive }))
})

test('the parallelism that is given says how many GPUs there are, where no count does', () => {
  const { warnings, ...rest } = sizeDeployment({ model: 'r1', gpu: 'h200', tensorParallel: 8 })
  expect({ warnings, ...rest }).toEqual(sizeDeployment({ model: 'r1', gpu: 'h200', count: 8, tensorParallel: 8 }))
})

test('one user gets the speed of one stage of a pipeline, and all together that of all stages', () => {
  const set = { model: 'deepseek-r1:70b', precision: 'q4_k_m', gpu: '4090', count: 2 }
  const { speed } = sizeDeployment(set)
  // 1 TB/s over 43 GB of weights, and 0.8 of that: no faster than on one card that holds all of it
  expect(speed.perUser[1]).toBeLessThan(0.8 * (1_000 / 43))
  expect(speed.perUser[1]).toBeGreaterThan(0.75 * (1_000 / 43))
  expect(sizeDeployment({ ...set, tokensPerSecond: 30 }).warnings.join('\n')).toMatch(/impossible: .* allows 23 at most/)
  // six users keep both cards busy: 2 TB/s over 43 GB and their cache
  expect(speed.total[1]).toBeGreaterThan(0.8 * 6 * (1_000 / 43))
})

test.each<readonly [string, SizingOptions, number]>([
  ['R1 with 1.58 bits on 2 H100', { model: 'r1', precision: '1.58bit', gpu: 'h100', count: 2 }, 140],
  ['V4-Flash on 8 H100', { model: 'v4-flash', gpu: 'h100', count: 8, kvCacheSize: 32 * 2_048 }, 1_260],
  ['8B on an A40, 50 users', { model: 'deepseek-r1-distill-llama-8b', gpu: 'a40', kvCacheSize: 50_000, context: 1_000 }, 1_156],
  [
    '32B with 4 bits on a 5090, 4 users',
    { model: 'deepseek-r1:32b', precision: 'q4_k_m', gpu: 'rtx-5090', kvCacheSize: 4 * 2_048 },
    95,
  ],
])('what was measured lies in the range: %s', (_, options, measured) => {
  const [low, high] = sizeDeployment(options).speed.total
  expect(measured).toBeGreaterThanOrEqual(low)
  expect(measured).toBeLessThanOrEqual(high)
})
