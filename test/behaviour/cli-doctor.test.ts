import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { garbage, hang, json, status } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'
import { type CliEnd, runCli } from '../helpers/run-cli.ts'

const keys = { DEEPSEEK_API_KEY: 'sk-deepseek-SECRET-1234', OPENAI_API_KEY: 'sk-openai-SECRET-5678' }

function expectNoKey({ stdout, stderr }: CliEnd): void {
  expect(stdout + stderr).not.toMatch(/SECRET|1234|5678/)
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
  expect(end.stdout).toMatch(/✗ deepseek +the key is refused \(401\): set DEEPSEEK_API_KEY/)
  expect(end.stdout).toMatch(/✗ openai +it answers 500: .*try again later/)
  expect(end.stdout).toMatch(/✗ llama +.* still loads its model \(503\): wait/)
  expect(end.stdout).toMatch(/✗ vllm +.* is no model server: set VLLM_BASE_URL/)
  expect(end.stdout).toMatch(/✗ ollama +.*no model: ollama pull/)
  expect(end.stdout).toMatch(/✗ sglang +.* was silent for/)
  expect(end.stdout).toMatch(/✗ azure +a key, but no address: set AZURE_BASE_URL/)
  expect(end.stdout).toMatch(/✗ groq +.*GROQ_API_KEY holds/)
  expect(end.stdout).toContain('Nobody can answer.')
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

test('doctor shows the graphics cards that nvidia-smi knows', async ({ onTestFinished }) => {
  const folder = await mkdtemp(join(tmpdir(), 'unbusy-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const program = join(folder, 'nvidia-smi')
  await writeFile(program, '#!/bin/sh\necho "NVIDIA H200, 1024 MiB, 143771 MiB"\n')
  await chmod(program, 0o755)
  const end = await runCli(['doctor'], { PATH: folder })
  expect(end.stdout).toMatch(/✓ gpu +NVIDIA H200, 1024 MiB/)
})
