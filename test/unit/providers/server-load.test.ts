import { expect, test } from 'vitest'
import { llama } from '../../../src/providers/llama.ts'
import { sumOfMetric } from '../../../src/providers/local-server.ts'
import { sglang } from '../../../src/providers/sglang.ts'
import { tensorrtLlm } from '../../../src/providers/tensorrt-llm.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { type Answer, startRecorder } from '../../helpers/recording-server.ts'

const { signal } = new AbortController()

async function serve(pages: Readonly<Record<string, Answer>>) {
  const server = await startRecorder(({ url }) => pages[url] ?? { status: 404, body: '{}' })
  return `${server.origin}/v1`
}

test('vLLM: the engines of one server are added up', async () => {
  const body = [
    '# HELP vllm:num_requests_running Number of requests in model execution batches.',
    '# TYPE vllm:num_requests_running gauge',
    'vllm:num_requests_running{engine="0",model_name="r1 } x"} 3.0',
    'vllm:num_requests_running{engine="1",model_name="r1"} 1.0',
    'vllm:num_requests_waiting{engine="0",model_name="r1"} 2.0',
    'vllm:num_requests_waiting_by_reason{engine="0"} 9.0',
  ].join('\n')
  expect(await vllm('r1', { baseURL: await serve({ '/metrics': { body } }) }).provider.load?.(signal)).toEqual({
    running: 4,
    waiting: 2,
  })
})

test('SGLang', async () => {
  const body = 'sglang:num_running_reqs{tp_rank="0"} 5\nsglang:num_queue_reqs{tp_rank="0"} 7\n'
  expect(await sglang({ baseURL: await serve({ '/metrics': { body } }) }).provider.load?.(signal)).toEqual({
    running: 5,
    waiting: 7,
  })
})

test('the use of the KV cache: the fullest engine; of SGLang the ranks tell all the same', async () => {
  const body = [
    'vllm:num_requests_running{engine="0"} 1',
    'vllm:num_requests_waiting{engine="0"} 0',
    'vllm:kv_cache_usage_perc{engine="0"} 0.25',
    'vllm:kv_cache_usage_perc{engine="1"} 0.75',
    'sglang:num_running_reqs{tp_rank="0"} 5',
    'sglang:num_running_reqs{tp_rank="1"} 5',
    'sglang:num_queue_reqs{tp_rank="0"} 2',
    'sglang:num_queue_reqs{tp_rank="1"} 2',
    'sglang:token_usage{tp_rank="0"} 0.5',
  ].join('\n')
  const baseURL = await serve({ '/metrics': { body } })
  expect(await vllm('r1', { baseURL }).provider.load?.(signal)).toEqual({ running: 1, waiting: 0, kvUsage: 0.75 })
  expect(await sglang({ baseURL }).provider.load?.(signal)).toEqual({ running: 5, waiting: 2, kvUsage: 0.5 })
})

test('TensorRT-LLM has its metrics on a page of its own: /metrics empties itself', async () => {
  const body = 'trtllm_num_requests_running 3\ntrtllm_num_requests_waiting 1\ntrtllm_kv_cache_utilization 0.9\n'
  const baseURL = await serve({ '/prometheus/metrics': { body } })
  expect(await tensorrtLlm('r1', { baseURL }).provider.load?.(signal)).toEqual({ running: 3, waiting: 1, kvUsage: 0.9 })
})

test('F107: llama-server is asked whether it sleeps, then for /metrics, and never for /slots, which wakes it', async () => {
  const off = { status: 501, body: '{"error":{"code":501,"message":"This server does not support metrics endpoint."}}' }
  const asked: string[] = []
  const serverWith = async (pages: Readonly<Record<string, Answer>>) => {
    const server = await startRecorder(({ url }) => {
      asked.push(url)
      return pages[url] ?? { status: 404, body: '{}' }
    })
    return llama({ baseURL: `${server.origin}/v1` }).provider.load?.(signal)
  }
  const awake = { body: '{"is_sleeping":false}' }
  const metrics = { body: 'llamacpp:requests_processing 1\nllamacpp:requests_deferred 4\n' }
  expect(await serverWith({ '/props': awake, '/metrics': metrics })).toEqual({ running: 1, waiting: 4 })
  expect(await serverWith({ '/metrics': metrics })).toEqual({ running: 1, waiting: 4 })
  expect(asked.splice(0)).toEqual(['/props', '/metrics', '/props', '/metrics'])
  expect(await serverWith({ '/props': { body: '{"is_sleeping":true}' }, '/metrics': metrics })).toEqual({
    running: 0,
    waiting: 0,
    asleep: true,
  })
  expect(asked.splice(0)).toEqual(['/props'])
  await expect(serverWith({ '/props': awake, '/metrics': off })).rejects.toThrow('does not report its load')
  expect(asked).toEqual(['/props', '/metrics'])
})

test('a server that does not tell its load says so', async () => {
  const failed = vllm('r1', { baseURL: await serve({ '/metrics': { body: 'other 1\n' } }) }).provider.load?.(signal)
  await expect(failed).rejects.toMatchObject({ name: 'ProviderError', provider: 'vllm' })
  await expect(llama({ baseURL: await serve({}) }).provider.load?.(signal)).rejects.toThrow(/does not report its load/)
})

test.each([
  ['x 1', 1],
  ['x{} 2.5e1 1700000000', 25],
  ['x{a="b"} 1\nx{a="c"} 2', 3],
  ['xy 1', undefined],
  ['x NaN', undefined],
  ['', undefined],
])('%j', (page, sum) => {
  expect(sumOfMetric(page, 'x')).toBe(sum)
})
