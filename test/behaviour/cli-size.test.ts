import { expect, test } from 'vitest'
import { runCli } from '../helpers/run-cli.ts'

test('size --json prints every field, without separators, and exits with 0 where it fits', async () => {
  const end = await runCli(['size', 'deepseek-r1', '--gpu', 'H200', '--count', '8', '--json'])
  expect(end).toMatchObject({ code: 0, stderr: '' })
  const result = JSON.parse(end.stdout) as Record<string, unknown>
  expect(Object.keys(result)).toEqual([
    ...['fits', 'weightsGiB', 'perGpuGiB', 'kvBytesPerToken', 'kvTokens', 'maxConcurrent', 'inFlight', 'replicas'],
    ...['speed', 'breakEven', 'warnings', 'sources'],
  ])
  expect(result).toMatchObject({ fits: true, kvBytesPerToken: 70_272, inFlight: null, replicas: null })
})

test('size prints the formula of each figure and ranges for speed, and exits with 1 where it does not fit', async () => {
  const load = ['--arrivals', '2', '--input-tokens', '1_000', '--output-tokens', '1,500', '--tokens-per-second', '25']
  const fits = await runCli(['size', 'r1', '--gpu', 'h200', '--count', '8', ...load])
  expect(fits).toMatchObject({ code: 0, stderr: '' })
  expect(fits.stdout).toMatch(/✓ fits: deepseek-r1 \(fp8\) on 8 x h200, TP 8 x PP 1/)
  expect(fits.stdout).toMatch(/tokens in the cache +629,\d{3} +=.*\/ 70,272/)
  expect(fits.stdout).toMatch(/tokens\/s per user +[\d.,]+ to [\d.,]+ /)
  expect(fits.stdout).toMatch(/in flight +120 +=.*2 per second x/)
  expect(fits.stdout).toMatch(/replicas +1 /)
  expect(fits.stdout).toContain('(2026-11-30)')
  const misfit = await runCli(['size', 'r1', '--gpu', 'h100', '--count', '8'])
  expect(misfit.code).toBe(1)
  expect(misfit.stdout).toContain('✗ does not fit')
})

test('size takes the line that vLLM printed, any other model, and any other GPU', async () => {
  const other = [
    '--weights-gib',
    '100',
    '--kv-bytes-per-token',
    '70000',
    '--gpu-gib',
    '80',
    '--gpu-bandwidth',
    '3',
    '--count',
    '2',
  ]
  const estimated = await runCli(['size', ...other, '--json'])
  expect(JSON.parse(estimated.stdout)).toMatchObject({ fits: true, perGpuGiB: 50, kvBytesPerToken: 70_000 })
  const corrected = await runCli(['size', ...other, '--json', '--kv-cache-size', 'GPU KV cache size: 123,456 tokens'])
  expect(JSON.parse(corrected.stdout)).toMatchObject({ kvTokens: 123_456 })
})

test.each([
  [['size', 'r2', '--gpu', 'h100'], /no model 'r2'.*deepseek-r1/],
  [['size', 'r1', '--gpu', 'z100'], /no GPU 'z100'.*h200/],
  [['size', 'r1'], /Name it, or write --gpu-gib/],
  [['size', '--gpu', 'h100'], /Name it, or write --weights-gib and --kv-bytes-per-token/],
  [['size', 'r1', '--gpu', 'h100', '--count', 'many'], /--count must be a number/],
  [['size', 'r1', '--gpu', 'h100', '--count', '0'], /--count must be a whole number, 1 or more/],
  [['size', 'r1', '--gpu', 'h100', '--utilisation', '90'], /--utilisation must be a number from 0 to 1/],
  [['size', 'r1', '--gpu', 'h100', '--arrivals', '3'], /--arrivals must come with --output-tokens/],
  [['size', 'r1', 'r2', '--gpu', 'h100'], /one model, not 2 arguments/],
  [['size', 'r1', '--gpus', '8'], /no option --gpus.*Did you mean '--gpu'/],
  [['size', 'r1', '--gpu', 'h100', '--count', '-1'], /--count must be a whole number, 1 or more, not -1/],
  [['size', 'r1', '--gpu', 'h100', '--cache-hits', '70%'], /for example --cache-hits 0\.7/],
  [['size', '--compare', '--price-per-hour', '2'], /--price-per-hour needs MODEL/],
  [['size', '--compare', '--input-tokens', '3000'], /--input-tokens and --output-tokens together/],
])('%s is wrong usage', async (words, message) => {
  const end = await runCli(words)
  expect(end).toMatchObject({ code: 2, stdout: '' })
  expect(end.stderr).toMatch(message)
})

test('size --compare says which sets of GPUs do not pay against the price of flash, and says it of no others', async () => {
  const end = await runCli(['size', '--compare'])
  expect(end.code).toBe(0)
  expect(end.stdout).toMatch(/deepseek-r1 on 8 x h200: \$23,7\d\d a month/)
  expect(end.stdout).toMatch(/costs as much as deepseek-flash +at 19\.8 G: does not pay/)
  const json = await runCli(['size', '--compare', '--json'])
  const { apis, sets } = JSON.parse(json.stdout) as {
    apis: unknown[]
    sets: { model: string; breakEven: { verdict: string }[] }[]
  }
  expect(apis).toMatchObject([{ api: 'deepseek-flash', perMillionOut: 1.2 }, { api: 'deepseek-v4-pro' }])
  for (const set of sets.filter(({ model }) => !model.includes('distill'))) expect(set.breakEven[0]?.verdict).toBe('does not pay')
  const own = ['size', 'r1', '--gpu', 'b200', '--count', '8', '--price-per-hour', '2', '--compare']
  const mine = await runCli(own)
  expect(mine.stdout).toMatch(/deepseek-r1 on 8 x b200: \$11,680 a month/)
  expect(mine.stdout).toMatch(/costs as much as deepseek-flash +at 9\.7 G: pays only when/)
  expect(mine.stdout).not.toMatch(/price of flash, they do not/)
})

test('size --compare says the same of a set, whether it was named or not, and exits with 1 where it does not fit', async () => {
  const usual = JSON.parse((await runCli(['size', '--compare', '--json'])).stdout) as { sets: unknown[] }
  const named = await runCli(['size', 'r1', '--gpu', 'h200', '--count', '8', '--compare', '--json'])
  expect(named.code).toBe(0)
  expect(JSON.parse(named.stdout)).toMatchObject({ sets: [usual.sets[0]] })
  const misfit = await runCli(['size', 'r1', '--gpu', 'h100', '--count', '8', '--compare'])
  expect(misfit.code).toBe(1)
})

test('size names its flags in warnings, and writes the share of a GPU in the cache as the result of its formula', async () => {
  const other = ['--weights-gib', '100', '--kv-bytes-per-token', '70000', '--gpu-gib', '80', '--count', '4']
  const end = await runCli(['size', ...other, '--kv-heads', '4', '--input-tokens', '500'])
  expect(end.stdout).toContain('as given; per GPU / min(TP 4, 4 heads) = 17,500 B')
  expect(end.stdout).toContain('Write --gpu-bandwidth in TB/s')
  expect(end.stdout).toContain('counted with its input alone. Write --output-tokens too')
})
