import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { garbage, hang, json, status } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'
import { type CliEnd, runCli } from '../helpers/run-cli.ts'

const keys = { DEEPSEEK_API_KEY: 'sk-deepseek-SECRET-wxyz', OPENAI_API_KEY: 'sk-openai-SECRET-ijkl' }

function expectNoKey({ stdout, stderr }: CliEnd): void {
  expect(stdout + stderr).not.toMatch(/SECRET|wxyz|ijkl/)
}

const account = (total: string, available = true) =>
  json({
    is_available: available,
    balance_infos: [{ currency: 'USD', total_balance: total, granted_balance: '0', topped_up_balance: total }],
  })
const models = (...ids: string[]) => json({ object: 'list', data: ids.map(id => ({ id })) })

test('doctor tells who answers and prints the chain as code', async ({ server }) => {
  const vendor = await server(status(404), {
    routes: { 'GET /models': models('deepseek-flash', 'deepseek-v4-pro'), 'GET /user/balance': account('4.20') },
  })
  const local = await server(status(404), { format: 'llama', routes: { 'GET /v1/models': models('r1-distill') } })
  const { DEEPSEEK_API_KEY } = keys
  const end = await runCli(['doctor'], { DEEPSEEK_API_KEY, DEEPSEEK_BASE_URL: vendor.baseURL, LLAMA_BASE_URL: local.baseURL })
  expect(end).toMatchObject({ code: 0, stderr: '' })
  expect(end.stdout).toMatch(/✓ deepseek +2 models, balance 4\.20 USD/)
  expect(end.stdout).toMatch(/– openai +no key: set OPENAI_API_KEY/)
  expect(end.stdout).toMatch(/✓ llama +r1-distill/)
  expect(end.stdout).toContain("import { createClient, deepseek, llama } from 'unbusy'")
  expect(end.stdout).toContain(`llama({ baseURL: '${local.baseURL}' })`)
  expect(vendor.requests.map(({ path }) => path).toSorted()).toEqual(['/models', '/user/balance'])
  expectNoKey(end)
})

test('doctor tells each fault in one line with its cure, and exits with 1', async ({ server }) => {
  const refusing = await server(status(401))
  const broken = await server(status(500), { format: 'openai' })
  const loading = await server(status(503), { format: 'llama' })
  const stranger = await server(garbage('SSH-2.0-OpenSSH\r\n'))
  const empty = await server(status(404), { format: 'ollama', routes: { 'GET /api/tags': json({ models: [] }) } })
  const silent = await server(hang())
  const end = await runCli(['doctor'], {
    ...keys,
    AZURE_API_KEY: 'azure-SECRET',
    GROQ_API_KEY: 'two\nlines-SECRET',
    DEEPSEEK_BASE_URL: refusing.baseURL,
    OPENAI_BASE_URL: broken.baseURL,
    LLAMA_BASE_URL: loading.baseURL,
    VLLM_BASE_URL: `${stranger.url}/v1?key=SECRET`,
    OLLAMA_BASE_URL: empty.baseURL,
    SGLANG_BASE_URL: silent.baseURL,
  })
  expect(end).toMatchObject({ code: 1, stderr: '' })
  expect(end.stdout).toMatch(/✗ deepseek +the key was refused \(401\): set DEEPSEEK_API_KEY/)
  expect(end.stdout).toMatch(/✗ openai +it answers 500: .*try again later/)
  expect(end.stdout).toMatch(/✗ llama +.* is still loading its model \(503\): wait/)
  expect(end.stdout).toMatch(/✗ vllm +.* is not a model server: set VLLM_BASE_URL/)
  expect(end.stdout).toMatch(/✗ ollama +.*no model: ollama pull/)
  expect(end.stdout).toMatch(/✗ sglang +.* did not answer within/)
  expect(end.stdout).toMatch(/✗ azure +a key is set, but no address: set AZURE_BASE_URL/)
  expect(end.stdout).toMatch(/✗ groq +.*GROQ_API_KEY contains/)
  expect(end.stdout).toContain('No service can answer.')
  expectNoKey(end)
})

test('an account without balance cannot answer', async ({ server }) => {
  const vendor = await server(status(404), {
    routes: { 'GET /models': models('deepseek-flash'), 'GET /user/balance': account('0', false) },
  })
  const { DEEPSEEK_API_KEY } = keys
  const end = await runCli(['doctor'], { DEEPSEEK_API_KEY, DEEPSEEK_BASE_URL: vendor.baseURL })
  expect(end.code).toBe(1)
  expect(end.stdout).toMatch(/✗ deepseek +the account has no balance: top it up/)
})

test('doctor --json can be parsed: findings, chain and code', async ({ server }) => {
  const host = await server(status(404), { routes: { 'GET /models': models('qwen', "deepseek-ai/R1'x") } })
  const vendor = await server(status(404), { format: 'openai', routes: { 'GET /v1/models': models('gpt-6-luna') } })
  const { OPENAI_API_KEY } = keys
  const environment = { SILICONFLOW_CN_API_KEY: 'sk-SECRET', SILICONFLOW_CN_BASE_URL: host.baseURL }
  const end = await runCli(['doctor', '--json'], { ...environment, OPENAI_API_KEY, OPENAI_BASE_URL: vendor.baseURL })
  expect(end).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(end.stdout)).toMatchObject({
    ok: true,
    machine: { nodeIsNewEnough: true },
    services: expect.arrayContaining([
      expect.objectContaining({ name: 'openai', state: 'answers', keyVariable: 'OPENAI_API_KEY', models: ['gpt-6-luna'] }),
      expect.objectContaining({ name: 'deepseek', state: 'absent', cure: 'set DEEPSEEK_API_KEY' }),
    ]),
    chain: [
      { provider: 'openai', model: 'gpt-6-luna' },
      { provider: 'siliconflow-cn', model: "deepseek-ai/R1'x" },
    ],
    code: expect.stringContaining(String.raw`host('siliconflow-cn', 'deepseek-ai/R1\'x', {`),
  })
  expect(host.requests[0]?.headers['authorization']).toBe('Bearer sk-SECRET')
  expectNoKey(end)
})

test('a key that two regions read is a fault of none of them', async ({ server }) => {
  const home = await server(status(404), { routes: { 'GET /models': models('deepseek-v4-flash') } })
  const abroad = await server(status(401))
  const environment = { ALIBABA_BASE_URL: home.baseURL, ALIBABA_INTERNATIONAL_BASE_URL: abroad.baseURL }
  const end = await runCli(['doctor'], { DASHSCOPE_API_KEY: 'sk-SECRET', ...environment })
  expect(end.stdout).toMatch(/✓ alibaba +1 model/)
  expect(end.stdout).not.toMatch(/alibaba-international/)
  const both = await runCli(['doctor'], { DASHSCOPE_API_KEY: 'sk-SECRET', ...environment, ALIBABA_BASE_URL: abroad.baseURL })
  expect(both.stdout.match(/✗ alibaba\S* +the key was refused/g)).toHaveLength(2)
  expectNoKey(end)
})

test('a host without a model of DeepSeek can answer all the same, and doctor says how', async ({ server }) => {
  const groq = await server(status(404), { routes: { 'GET /models': models('qwen3-32b') } })
  const end = await runCli(['doctor'], { GROQ_API_KEY: 'gsk-SECRET', GROQ_BASE_URL: groq.baseURL })
  expect(end.code).toBe(0)
  expect(end.stdout).not.toContain('No service can answer')
  expect(end.stdout).toContain("for example host('groq', 'qwen3-32b')")
  expectNoKey(end)
})

test('a rate limit, an empty account and a forgotten /v1 are told as what they are', async ({ server }) => {
  const limited = await server(status(429))
  const unpaid = await server(status(402))
  const root = await server(status(404), { routes: { 'GET /v1/models': models('r1') } })
  const end = await runCli(['doctor'], {
    ...keys,
    TOGETHER_API_KEY: 'SECRET',
    DEEPSEEK_BASE_URL: unpaid.baseURL,
    OPENAI_BASE_URL: limited.baseURL,
    TOGETHER_BASE_URL: unpaid.baseURL,
    VLLM_BASE_URL: root.url,
    TENSORRT_LLM_BASE_URL: `${root.url}/v1`,
  })
  expect(end.stdout).toMatch(/✗ deepseek +the account has no credit \(402\): top it up/)
  expect(end.stdout).toMatch(/✗ openai +it answers 429: this key has sent too many requests/)
  expect(end.stdout).toMatch(/✗ together +the account has no credit \(402\): top it up/)
  expect(end.stdout).toContain(`set VLLM_BASE_URL to its address, most likely ${root.url}/v1`)
  expect((await runCli(['doctor'])).stdout).not.toContain('tensorrt-llm')
  expect(end.stdout).toMatch(/✗ lm-studio +.* cannot be reached: start it, or correct LM_STUDIO_BASE_URL/)
  expect(end.stdout).toContain(`tensorrtLlm('r1', { baseURL: '${root.url}/v1' })`)
  expectNoKey(end)
})

test('a router is asked for a model by its name, a loaded one first and never one that failed', async ({ server }) => {
  const list = ['failed', 'unloaded', 'loaded'].map(value => ({ id: `model-${value}`, status: { value } }))
  const router = await server(status(404), { format: 'llama', routes: { 'GET /v1/models': json({ data: list }) } })
  const end = await runCli(['doctor'], { LLAMA_BASE_URL: router.baseURL })
  expect(end.stdout).toContain("llama('model-loaded', {")
  const one = json({ data: [{ id: 'tiny', status: { value: 'unloaded' } }] })
  const single = await server(status(404), { format: 'llama', routes: { 'GET /v1/models': one } })
  expect((await runCli(['doctor'], { LLAMA_BASE_URL: single.baseURL })).stdout).toContain("llama('tiny', {")
})

test('LM Studio is a local server: it is in the chain with whatever model it has', async ({ server }) => {
  const studio = await server(status(404), { routes: { 'GET /v1/models': models('qwen3-8b') } })
  const end = await runCli(['doctor'], { LM_STUDIO_BASE_URL: `${studio.url}/v1` })
  expect(end.stdout).toContain("host('lm-studio', 'qwen3-8b', {")
})

test('doctor shows the graphics cards that nvidia-smi knows', async ({ onTestFinished }) => {
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const program = join(folder, 'nvidia-smi')
  await writeFile(program, '#!/bin/sh\necho "NVIDIA H200, 1024 MiB, 143771 MiB"\n')
  await chmod(program, 0o755)
  const end = await runCli(['doctor'], { PATH: folder })
  expect(end.stdout).toMatch(/✓ gpu +NVIDIA H200, 1024 MiB/)
})

test('doctor looks servers of your own over, and names the flag for each fault', async ({ server }) => {
  const thought = json({ choices: [{ message: { role: 'assistant', content: '<think>The user says' } }] })
  const vllm = await server(status(404), {
    format: 'vllm',
    routes: {
      'GET /v1/models': json({ data: [{ id: 'deepseek-r1', max_model_len: 4_096 }] }),
      'GET /version': json({ version: '0.32.0' }),
      'POST /v1/chat/completions': thought,
    },
  })
  const info = { reasoning_parser: null, max_queued_requests: null, context_length: 65_536 }
  const sglang = await server(status(404), {
    format: 'sglang',
    routes: { 'GET /v1/models': models('r1'), 'GET /get_server_info': json(info) },
  })
  const props = {
    is_sleeping: true,
    total_slots: 2,
    default_generation_settings: { n_ctx: 2_048, params: { reasoning_format: 'none' } },
  }
  const llama = await server(status(404), {
    format: 'llama',
    routes: { 'GET /v1/models': models('r1-distill'), 'GET /props': json(props), 'GET /metrics': status(501) },
  })
  const ollama = await server(status(404), {
    format: 'ollama',
    routes: {
      'GET /api/tags': json({ models: [{ name: 'deepseek-r1:8b' }] }),
      'GET /api/ps': json({ models: [{ context_length: 4_096 }] }),
    },
  })
  const end = await runCli(['doctor'], {
    VLLM_API_KEY: 'vllm-SECRET',
    VLLM_BASE_URL: vllm.baseURL,
    SGLANG_BASE_URL: sglang.baseURL,
    LLAMA_BASE_URL: llama.baseURL,
    OLLAMA_BASE_URL: ollama.baseURL,
  })
  expect(end).toMatchObject({ code: 0, stderr: '' })
  for (const line of [
    /protects only \/v1: without a key, \/invocations runs the model.*NetworkPolicy/,
    /may have only 4096 tokens.*--max-model-len 16384/,
    /the reasoning comes as part of the text.*--reasoning-parser deepseek_r1/,
    /--max-num-queued-reqs 256, and --shutdown-timeout 300.*aborts running streams/,
    /the reasoning comes as part of the text.*--reasoning-parser deepseek-r1/,
    /its queue is unlimited: --max-queued-requests 256/,
    /does not report its load.*--enable-metrics/,
    /it is asleep.*keepWarm/,
    /may have only 2048 tokens.*-c 16384/,
    /answers 2 requests at once, and its queue is unlimited: limits: \{ concurrency: 4 \}/,
    /--metrics$/,
    /may have only 4096 tokens.*OLLAMA_CONTEXT_LENGTH=16384/,
  ])
    expect(end.stdout).toMatch(new RegExp(line.source, 'm'))
  // a sleeping server stays asleep: no page of these wakes it
  expect(llama.requests.map(({ path }) => path).toSorted()).toEqual(['/metrics', '/props', '/v1/models'])
  expectNoKey(end)
})

test('doctor has nothing to say of a server that is set up well', async ({ server }) => {
  const good = await server(status(404), {
    format: 'llama',
    routes: {
      'GET /v1/models': models('r1-distill'),
      'GET /metrics': json({}),
      'GET /props': json({
        is_sleeping: false,
        // as b11669 says it, whatever the flag
        default_generation_settings: { n_ctx: 32_768, params: { reasoning_format: 'none' } },
      }),
      'POST /v1/chat/completions': json({ choices: [{ message: { content: '', reasoning_content: 'The user' } }] }),
    },
  })
  const apart = json({ choices: [{ message: { content: null, reasoning_content: 'The user' } }] })
  const vllm = await server(status(404), {
    format: 'vllm',
    routes: {
      'GET /v1/models': json({ data: [{ id: 'deepseek-r1', max_model_len: 65_536 }] }),
      'POST /v1/chat/completions': apart,
    },
  })
  const end = await runCli(['doctor', '--json'], {
    LLAMA_BASE_URL: good.baseURL,
    VLLM_BASE_URL: vllm.baseURL,
    VLLM_API_KEY: 'SECRET',
  })
  const { services } = JSON.parse(end.stdout) as { services: { name: string; advice: { what: string }[] }[] }
  expect(services.find(({ name }) => name === 'llama')?.advice).toEqual([])
  expect(services.find(({ name }) => name === 'vllm')?.advice.map(({ what }) => what)).toEqual([
    expect.stringMatching(/check that its queue is limited/),
  ])
})
