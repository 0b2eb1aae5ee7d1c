import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { gpus, models, sizeDeployment, type SizingOptions } from 'unbusy/sizing'

/** Published or worked by hand; an estimate is right within a tenth. */
const within = 0.1

function expectNear(actual: number, expected: number): void {
  expect(Math.abs(actual - expected) / expected, `${actual} is not within a tenth of ${expected}`).toBeLessThanOrEqual(within)
}

/** Tokens in the KV cache with 90 % of the memory and, where not said otherwise, a cache of 16 bits. */
const tokens: readonly (readonly [SizingOptions, number])[] = [
  [{ model: 'deepseek-r1', gpu: 'h200', count: 8, tensorParallel: 8 }, 630_000],
  [{ model: 'deepseek-r1', gpu: 'h200', count: 8, kvPrecision: 'fp8' }, 1_260_000],
  [{ model: 'deepseek-r1', gpu: 'h100', count: 16, tensorParallel: 16 }, 410_000],
  [{ model: 'deepseek-r1', gpu: 'h100', count: 16, tensorParallel: 8, pipelineParallel: 2 }, 810_000],
  [{ model: 'deepseek-r1', gpu: 'mi300x', count: 8 }, 1_300_000],
  [{ model: 'deepseek-r1', precision: 'awq', gpu: 'h100', count: 8 }, 390_000],
  [{ model: 'deepseek-r1', precision: 'nvfp4', gpu: 'b200', count: 4, kvPrecision: 'fp8' }, 2_300_000],
  [{ model: 'deepseek-r1', gpu: 'h200', count: 8, dataParallel: 8 }, 3_600_000],
  [{ model: 'deepseek-v4-flash', gpu: 'h200', count: 4 }, 12_000_000],
  [{ model: 'deepseek-r1-distill-llama-70b', precision: 'fp8', gpu: 'h100', count: 2 }, 230_000],
  [{ model: 'deepseek-r1-distill-llama-70b', gpu: 'a100-80', count: 4 }, 470_000],
  [{ model: 'deepseek-r1-distill-qwen-32b', gpu: 'h100' }, 35_000],
  [{ model: 'deepseek-r1-distill-qwen-32b', precision: 'fp8', gpu: 'l40s' }, 29_000],
  [{ model: 'deepseek-r1-distill-qwen-32b', precision: 'q4_k_m', gpu: 'rtx-4090' }, 13_000],
  [{ model: 'deepseek-r1-distill-qwen-14b', precision: 'q4_k_m', gpuGiB: 16 }, 29_000],
  [{ model: 'deepseek-r1-distill-llama-8b', precision: 'q4_k_m', gpuGiB: 8 }, 13_000],
]

test.each(tokens)('%o has room for %i tokens', (options, expected) => {
  const result = sizeDeployment(options)
  expect(result.fits).toBe(true)
  expectNear(result.kvTokens, expected)
})

/** Sets that are known to run. */
test.each<SizingOptions>([
  { model: 'deepseek-v4-flash', gpu: 'rtx-pro-6000', count: 2 },
  { model: 'deepseek-v4.1-flash', gpu: 'b200', count: 4 },
  { model: 'deepseek-v4.1-flash', gpu: 'h200', count: 8 },
  { model: 'deepseek-v4-pro', gpu: 'b200', count: 8 },
  { model: 'deepseek-v4-pro', gpu: 'h200', count: 8, utilisation: 0.95, context: 200_000 },
  { model: 'deepseek-r1', precision: 'bf16', gpu: 'a100-80', count: 32 },
  { model: 'deepseek-r1', precision: 'int8', gpu: 'a100-80', count: 16 },
  { model: 'deepseek-r1', precision: 'awq', gpu: 'a100-80', count: 8 },
  { model: 'deepseek-r1', precision: '1.58-bit', gpu: 'h100', count: 2 },
])('%o fits', options => {
  expect(sizeDeployment(options)).toMatchObject({ fits: true })
})

test('R1 as published does not fit eight H100, and the result says how many are enough', () => {
  const result = sizeDeployment({ model: 'deepseek-r1', gpu: 'h100', count: 8 })
  expect(result).toMatchObject({ fits: false, kvTokens: 0, maxConcurrent: 0, speed: { perUser: [0, 0], total: [0, 0] } })
  expectNear(result.weightsGiB, 641.3)
  expectNear(result.perGpuGiB, 80.2)
  expect(result.warnings.join('\n')).toMatch(/do not fit: .* 16 of them are enough/)
})

test('a parallelism that leaves GPUs idle is told which one fits on them, before more are asked for', () => {
  const { fits, warnings } = sizeDeployment({ model: 'r1', gpu: 'h200', count: 8, tensorParallel: 4, pipelineParallel: 1 })
  expect(fits).toBe(false)
  expect(warnings.join('\n')).toMatch(/do not fit: .* With TP 8 x PP 1 they fit\./)
})

test('the cache of one latent is not divided by tensor parallelism, that of heads is, up to their number', () => {
  const latent = (tensorParallel: number) =>
    sizeDeployment({ weightsGiB: 80, kvBytesPerToken: 1_000, gpuGiB: 140, count: tensorParallel, tensorParallel }).kvTokens
  // twice the GPUs leave more room for it, and no more than that: 140 x 0.9 - 80 / TP - overhead
  expect(latent(2) / latent(1)).toBeCloseTo((126 - 40 - 3) / (126 - 80 - 2), 3)
  const heads = (kvHeads: number) =>
    sizeDeployment({ weightsGiB: 80, kvBytesPerToken: 1_000, kvHeads, gpuGiB: 140, count: 8, tensorParallel: 8 }).kvTokens
  expect(heads(4) / heads(1)).toBeCloseTo(4, 3)
  expect(heads(16) / heads(8)).toBeCloseTo(1, 3)
})

test('data parallelism spreads experts and copies the rest', () => {
  const { perGpuGiB } = sizeDeployment({ model: 'deepseek-r1', gpu: 'h200', count: 8, tensorParallel: 1, dataParallel: 8 })
  expectNear(perGpuGiB, 92)
  const dense = { model: 'deepseek-r1-distill-qwen-7b', gpu: 'h100' } as const
  const one = sizeDeployment(dense)
  const four = sizeDeployment({ ...dense, count: 4, dataParallel: 4 })
  expect(four.perGpuGiB).toBe(one.perGpuGiB)
  expect(four.kvTokens / one.kvTokens).toBeCloseTo(4, 3)
  expect(four.maxConcurrent).toBe(4 * 256)
})

describe('what cannot start or is told wrong elsewhere', () => {
  test('tensor parallelism must divide the heads', () => {
    const result = sizeDeployment({ model: 'deepseek-r1', gpu: 'h200', count: 9, tensorParallel: 9 })
    expect(result.fits).toBe(false)
    expect(result.warnings.join('\n')).toMatch(/128 attention heads cannot be divided by tensor parallelism 9/)
  })

  test('without a wish only widths that divide the heads are taken', () => {
    const result = sizeDeployment({ model: 'deepseek-r1', gpu: 'h200', count: 6 })
    expect(result.fits).toBe(true)
    expect(result.warnings.join('\n')).toMatch(/each of the 2 ranks/)
  })

  test('more or fewer GPUs than the parallelism uses are a warning', () => {
    const { warnings } = sizeDeployment({ model: 'r1', gpu: 'h200', count: 8, tensorParallel: 8, pipelineParallel: 2 })
    expect(warnings).toContain('TP 8 x PP 2 x DP 1 is 16 GPUs, but there are 8.')
  })

  test('a speed above the bound of the bandwidth is refuted: 2,100 tokens/s for 16 users with 70B in FP8 on one H100', () => {
    const set = { model: 'deepseek-r1-distill-llama-70b', precision: 'fp8', gpu: 'h100', context: 512, utilisation: 0.99 }
    const told = sizeDeployment({ ...set, tokensPerSecond: 2_100 / 16 })
    expect(told.warnings.join('\n')).toMatch(/131.25 tokens\/s for one user are impossible: .* allows 46 at most/)
    expect(sizeDeployment({ ...set, tokensPerSecond: 40 }).warnings.join('\n')).not.toMatch(/cannot be/)
  })

  test('no load needs 0 replicas, and where nothing fits there is no number of them', () => {
    const load = { arrivals: 0.001, inputTokens: 100, outputTokens: 100, tokensPerSecond: 30 }
    expect(sizeDeployment({ model: 'r1', gpu: 'h200', count: 8, ...load }).replicas).toBe(1)
    expect(sizeDeployment({ model: 'r1', gpu: 'h200', count: 8, ...load, arrivals: 0 }).replicas).toBe(1)
    const without = sizeDeployment({ model: 'r1', gpu: 'h100', count: 8, ...load })
    expect(without.replicas).toBeUndefined()
    expect(without.inFlight).toBeGreaterThan(0)
  })

  test('the longest request that fits is named', () => {
    const set = { model: 'deepseek-r1-distill-qwen-32b', gpu: 'h100' }
    const result = sizeDeployment({ ...set, context: 65_536 })
    expect(result.fits).toBe(false)
    expect(result.warnings.join('\n')).toContain(`the longest --max-model-len is ${result.kvTokens}`)
    const short = sizeDeployment(set)
    expect(short.fits).toBe(true)
    expect(short.warnings.join('\n')).toContain(
      `own context is 131072 tokens, which do not fit. Start the server with --max-model-len ${short.kvTokens}`,
    )
  })

  test('an A100 computes no FP8, a Hopper no NVFP4, an L40S has no NVLink', () => {
    const warned = (options: SizingOptions) => sizeDeployment(options).warnings.join('\n')
    expect(warned({ model: 'r1', gpu: 'a100', count: 16 })).toMatch(/does not compute in FP8/)
    expect(warned({ model: 'r1', precision: 'nvfp4', gpu: 'h200', count: 8 })).toMatch(/NVFP4 needs a Blackwell GPU/)
    expect(warned({ model: 'deepseek-r1-distill-llama-70b', precision: 'fp8', gpu: 'l40s', count: 4 })).toMatch(/no NVLink/)
  })
})

test("load follows Little's law and keeps three tenths free", () => {
  const result = sizeDeployment({
    ...{ model: 'deepseek-r1', gpu: 'h200', count: 8, arrivals: 8, inputTokens: 1_000, outputTokens: 2_000 },
    ...{ tokensPerSecond: 25, firstTokenSeconds: 2 },
  })
  expect(result.inFlight).toBeCloseTo(8 * (2 + 2_000 / 25), 1)
  expect(result.maxConcurrent).toBe(Math.min(256, Math.floor(result.kvTokens / 3_000)))
  expect(result.replicas).toBe(Math.ceil(656 / (result.maxConcurrent * 0.7)))
})

test('a load without a speed is worked out with the low end, and says so', () => {
  const options = { model: 'deepseek-r1-distill-qwen-32b', gpu: 'h100', arrivals: 1, inputTokens: 500, outputTokens: 500 }
  const result = sizeDeployment(options)
  expect(result.inFlight).toBeCloseTo(500 / result.speed.perUser[0], 0)
  expect(result.warnings.join('\n')).toMatch(/The speed was not measured/)
})

test('what is known beyond the formulas is said', () => {
  const warned = (options: SizingOptions) => sizeDeployment(options).warnings.join('\n')
  expect(warned({ model: 'deepseek-v4-pro', gpu: 'h200', count: 8 })).toMatch(/--max-num-seqs 16/)
  expect(warned({ model: 'deepseek-v4-pro', gpu: 'b200', count: 8 })).not.toMatch(/--max-num-seqs 16/)
  expect(warned({ model: 'deepseek-r1:70b', gpu: 'h100', count: 4 })).toMatch(/smaller than the models of the API/)
  expect(warned({ model: 'deepseek-r1', gpu: 'h200', count: 8 })).not.toMatch(/smaller/)
})

test('what the server printed comes before the estimate', () => {
  const set = { model: 'deepseek-r1', gpu: 'h200', count: 8, context: 8_192 }
  expect(sizeDeployment({ ...set, kvCacheSize: 123_456 })).toMatchObject({ fits: true, kvTokens: 123_456, maxConcurrent: 15 })
  const lines = [
    'INFO 11-30 10:00:00 [kv_cache_utils.py:829] GPU KV cache size: 643,232 tokens',
    'INFO 11-30 10:00:00 [kv_cache_utils.py:833] Maximum concurrency for 65,536 tokens per request: 9.82x',
  ]
  const pasted = sizeDeployment({ model: 'deepseek-r1', gpu: 'h200', count: 8, kvCacheSize: lines.join('\n') })
  expect(pasted).toMatchObject({ fits: true, kvTokens: 643_232, maxConcurrent: 9 })
  expect(sizeDeployment({ ...set, kvCacheSize: lines[1]! }).kvTokens).toBe(643_563)
  expect(sizeDeployment({ ...set, kvCacheSize: 4_096 })).toMatchObject({ fits: false, maxConcurrent: 0 })
  expect(() => sizeDeployment({ ...set, kvCacheSize: 'a lot' })).toThrow(/vLLM's line/)
})

test.each([
  [0, 7_520, 1_950],
  [0.7, 11_450, 3_190],
])('break-even of eight H200 with %d of the input from the cache', (cacheHits, flash, pro) => {
  const { breakEven } = sizeDeployment({ model: 'deepseek-r1', gpu: 'h200', count: 8, pricePerHour: 4.06, cacheHits })
  expect(breakEven.map(({ api }) => api)).toEqual(['deepseek-flash', 'deepseek-v4-pro'])
  expectNear(breakEven[0]!.outputTokensPerSecond, flash)
  expectNear(breakEven[1]!.outputTokensPerSecond, pro)
  expectNear(breakEven[0]!.outputTokensPerMonth, flash * 2_628_000)
  expect(breakEven[0]!.verdict).toBe('does not pay')
  expect(breakEven[1]!.verdict).toBe('pays only when it is loaded day and night')
})

/** Tokens per second that were measured, by one user or by all together. */
describe('measured speeds lie in the range', () => {
  test.each<readonly [string, SizingOptions, number]>([
    ['R1 on 16 H100', { model: 'r1', gpu: 'h100', count: 16 }, 43],
    ['R1 with 1.58 bits on 2 H100', { model: 'r1', precision: '1.58bit', gpu: 'h100', count: 2 }, 14],
    ['V4-Flash on 2 RTX PRO 6000', { model: 'v4-flash', gpu: 'rtx-pro-6000', count: 2 }, 210],
    ['V4-Flash with 4 bits on an M3 Ultra', { model: 'v4-flash', precision: 'q4_k_m', gpu: 'm3-ultra' }, 23],
    ['32B with 4 bits on a 4090', { model: 'deepseek-r1:32b', precision: 'q4_k_m', gpu: '4090' }, 35],
  ])('%s, one user', (_, options, measured) => {
    const { perUser } = sizeDeployment(options).speed
    expect(measured).toBeGreaterThanOrEqual(perUser[0])
    expect(measured).toBeLessThanOrEqual(perUser[1])
  })

  test.each<readonly [string, SizingOptions, number]>([
    ['R1 on 8 H200, 32 users', { model: 'r1', gpu: 'h200', count: 8, kvCacheSize: 32 * 2_048 }, 1_000],
    ['R1 on 16 H100, 92 users', { model: 'r1', gpu: 'h100', count: 16, kvCacheSize: 92 * 2_048 }, 325],
    ['14B on an A40, 50 users', { model: 'deepseek-r1:14b', gpu: 'a40', kvCacheSize: 50 * 1_000, context: 1_000 }, 447],
  ])('%s, all together', (_, options, measured) => {
    const { total } = sizeDeployment(options).speed
    expect(measured).toBeGreaterThanOrEqual(total[0])
    expect(measured).toBeLessThanOrEqual(total[1])
  })
})

test.each([
  ['deepseek-ai/DeepSeek-R1', 'deepseek-r1'],
  ['DeepSeek-R1-0528', 'deepseek-r1'],
  ['R1', 'deepseek-r1'],
  ['V3.1', 'deepseek-v3.1'],
  ['deepseek-r1:70b', 'deepseek-r1-distill-llama-70b'],
  ['deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B', 'deepseek-r1-distill-qwen-1.5b'],
  ['DeepSeek_R1_Distill_Llama_8B', 'deepseek-r1-distill-llama-8b'],
  ['deepseek-ai/DeepSeek-R1-0528-Qwen3-8B', 'deepseek-r1-distill-0528-qwen3-8b'],
  ['deepseek-ai/DeepSeek-V4.1-Flash', 'deepseek-v4.1-flash'],
])('%s is read as %s', (written, name) => {
  const [source] = sizeDeployment({ model: written, gpu: 'NVIDIA-H100-80GB-HBM3', count: 8 }).sources
  expect(source).toMatch(new RegExp(`^${name}: `))
})

test('every name, hub id and alias of every row finds that row', () => {
  for (const { name, hubId, aliases } of models) {
    for (const written of [name, hubId, ...aliases])
      expect(sizeDeployment({ model: written, gpu: 'h200' }).sources[0], written).toMatch(new RegExp(`^${name}:`))
  }
  for (const { name, aliases } of gpus) {
    for (const written of [name, ...aliases])
      expect(sizeDeployment({ model: 'r1', gpu: written }).sources[1], written).toMatch(new RegExp(`^${name}:`))
  }
})

test.each<readonly [object, RegExp]>([
  [{ model: 'deepseek-r9', gpu: 'h100' }, /no model 'deepseek-r9'.*deepseek-r1-distill-qwen-32b/],
  [{ model: 'r1', gpu: 'x100' }, /no GPU 'x100'.*h200/],
  [{ model: 'r1', gpu: 'h100', precision: 'fp3' }, /size of deepseek-r1 in 'fp3' is unknown.*awq/],
  [{ model: 'r1', gpu: 'h100', kvPrecision: 'fp3' }, /kvPrecision must be/],
  [{ gpu: 'h100' }, /Name it, or write weightsGiB/],
  [{ model: 'r1' }, /Name it, or write gpuGiB/],
  [{ model: 'r1', gpu: 'h100', count: 0 }, /count must be a whole number, 1 or more/],
  [{ model: 'r1', gpu: 'h100', utilisation: 90 }, /utilisation must be a number from 0 to 1/],
  [{ model: 'r1', gpu: 'h100', utilisation: 0 }, /utilisation must be above 0/],
  [{ model: 'r1', gpu: 'h100', tensorParralel: 8 }, /no option 'tensorParralel'.*Did you mean 'tensorParallel'/],
  [{ model: 'r1', gpu: 'h100', arrivals: 2 }, /arrivals must come with outputTokens/],
  [{ weightsGiB: -1, kvBytesPerToken: 5, gpu: 'h100' }, /weightsGiB must be a number above 0/],
])('%o is refused', (options, message) => {
  expect(() => sizeDeployment(options as SizingOptions)).toThrow(message)
  expect(() => sizeDeployment(options as SizingOptions)).toThrow(TypeError)
})

test('a load that is longer than the context which was asked for is told', () => {
  const set = { model: 'r1', gpu: 'h200', count: 8, inputTokens: 5_000, outputTokens: 100 }
  const refused = /One request of the load has 5100 tokens, and the server refuses it with a context of 4096/
  expect(sizeDeployment({ ...set, context: 4_096 }).warnings.join('\n')).toMatch(refused)
  expect(sizeDeployment({ ...set, context: 8_192 }).warnings.join('\n')).not.toMatch(/of the load/)
  expect(sizeDeployment(set).warnings.join('\n')).not.toMatch(/of the load/)
})

test('any set gives whole numbers, ranges from low to high, and fits only where a request has room', () => {
  const set = fc.record({
    model: fc.constantFrom(...models.map(({ name }) => name)),
    gpu: fc.constantFrom(...gpus.map(({ name }) => name)),
    count: fc.integer({ min: 1, max: 64 }),
    dataParallel: fc.integer({ min: 1, max: 8 }),
    context: fc.integer({ min: 1, max: 1_000_000 }),
    utilisation: fc.double({ min: 0.1, max: 1, noNaN: true }),
    arrivals: fc.double({ min: 0, max: 1_000, noNaN: true }),
    outputTokens: fc.integer({ min: 1, max: 100_000 }),
    tokensPerSecond: fc.double({ min: 0.1, max: 500, noNaN: true }),
  })
  fc.assert(
    fc.property(set, options => {
      const { fits, kvTokens, maxConcurrent, replicas, speed, breakEven } = sizeDeployment(options)
      expect(Number.isInteger(kvTokens) && kvTokens >= 0).toBe(true)
      if (fits) expect(kvTokens).toBeGreaterThanOrEqual(options.context)
      if (!fits || maxConcurrent === 0) expect(replicas).toBeUndefined()
      else expect(replicas).toBeGreaterThanOrEqual(1)
      for (const [low, high] of [speed.perUser, speed.total]) {
        expect(low).toBeGreaterThanOrEqual(0)
        expect(high).toBeGreaterThanOrEqual(low)
        expect(Number.isFinite(high)).toBe(true)
      }
      for (const { outputTokensPerMonth } of breakEven) expect(outputTokensPerMonth).toBeGreaterThan(0)
    }),
  )
})
