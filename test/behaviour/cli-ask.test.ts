import { once } from 'node:events'
import { expect } from 'vitest'
import { answer, hang, raw, status } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'
import { type CliEnd, endOfCli, runCli, startCli } from '../helpers/run-cli.ts'

const keys = { DEEPSEEK_API_KEY: 'sk-deepseek-SECRET-wxyz', OPENAI_API_KEY: 'sk-openai-SECRET-ijkl' }

function expectNoKey({ stdout, stderr }: CliEnd): void {
  expect(stdout + stderr).not.toMatch(/SECRET|wxyz|ijkl/)
}

test('ask walks the chain of the environment, with the answer on stdout and the trail on stderr', async ({ server }) => {
  const busy = await server(status(503))
  const limited = await server(status(429), { format: 'openai' })
  const local = await server(answer('Because of scattering.'), {
    format: 'llama',
    routes: { 'GET /v1/models': raw('{"data":[{"id":"r1"}]}') },
  })
  const end = await runCli(['ask', 'Why is', 'the sky blue?'], {
    ...keys,
    DEEPSEEK_BASE_URL: busy.baseURL,
    OPENAI_BASE_URL: limited.baseURL,
    LLAMA_BASE_URL: local.baseURL,
  })
  expect(end).toMatchObject({ code: 0, stdout: 'Because of scattering.\n' })
  expect(end.stderr).toMatch(/deepseek deepseek-flash +503 overloaded after [\d,]+ ms/)
  expect(end.stderr).toMatch(/waiting [\d,]+ ms \(overloaded\)/)
  expect(end.stderr).toMatch(/openai gpt-6-luna +429 rate-limit after/)
  expect(end.stderr).toMatch(/answered by llama default, 4 requests/)
  expect(local.requests.at(-1)?.json).toMatchObject({ messages: [{ role: 'user', content: 'Why is the sky blue?' }] })
  expect(end.stdout + end.stderr).not.toContain('\x1b')
  expectNoKey(end)
})

test('ask --json prints one result that can be parsed', async ({ server }) => {
  const busy = await server([status(500), answer('Hello.')])
  const end = await runCli(['ask', 'Hi', '--json'], { ...keys, DEEPSEEK_BASE_URL: busy.baseURL, OPENAI_BASE_URL: busy.baseURL })
  expect(end.code).toBe(0)
  expect(JSON.parse(end.stdout)).toMatchObject({
    text: 'Hello.',
    provider: 'deepseek',
    degraded: false,
    attempts: [{ status: 500, outcome: 'failed' }, { outcome: 'answered' }],
  })
  expectNoKey(end)
})

test('ask exits with 1 and tells every attempt when nobody answers', async ({ server }) => {
  const refusing = await server(status(401))
  const end = await runCli(['ask', 'Hi', '--json', '--chain', 'deepseek,llama'], { ...keys, DEEPSEEK_BASE_URL: refusing.baseURL })
  expect(end.code).toBe(1)
  expect(JSON.parse(end.stdout)).toMatchObject({
    error: {
      attempts: expect.arrayContaining([
        expect.objectContaining({ reason: 'authentication' }),
        expect.objectContaining({ reason: 'network' }),
      ]),
    },
  })
  expect(end.stderr).toContain('No target answered.')
  expectNoKey(end)
})

test('ask exits with 3 when the default is the answer', async ({ server }) => {
  const busy = await server(status(400))
  const words = ['ask', 'Hi', '--chain', 'deepseek', '--default', 'Later, please.']
  const end = await runCli(words, { ...keys, DEEPSEEK_BASE_URL: busy.baseURL })
  expect(end).toMatchObject({ code: 3, stdout: 'Later, please.\n' })
})

test('ask tells the cure when there is nobody to ask', async () => {
  const end = await runCli(['ask', 'Hi'])
  expect(end).toMatchObject({ code: 1, stdout: '' })
  expect(end.stderr).toContain('Set DEEPSEEK_API_KEY')
})

test('ask --chain names model and order, --model and --system reach the server', async ({ server }) => {
  const one = await server(answer('ok'))
  const words = [
    'ask',
    'Hi',
    '--chain',
    'siliconflow:deepseek-ai/DeepSeek-V4,deepseek',
    '--model',
    'other',
    '--system',
    'Be short.',
  ]
  const end = await runCli(words, { ...keys, SILICONFLOW_API_KEY: 'sk-silicon-SECRET', SILICONFLOW_BASE_URL: one.baseURL })
  expect(end).toMatchObject({ code: 0, stdout: 'ok\n' })
  expect(one.requests[0]?.json).toMatchObject({ model: 'other', messages: [{ content: 'Be short.' }, { content: 'Hi' }] })
  expectNoKey(end)
})

test('a dash stands for stdin, and so does no question at all', async ({ server }) => {
  const one = await server(answer('ok'))
  const environment = { ...keys, DEEPSEEK_BASE_URL: one.baseURL }
  await runCli(['ask', '--chain', 'deepseek', 'Sum up:', '-'], environment, 'a long text')
  await runCli(['ask', '--chain', 'deepseek'], environment, 'only this')
  const asked = one.requests.map(({ json }) => json)
  expect(asked).toMatchObject([{ messages: [{ content: 'Sum up: a long text' }] }, { messages: [{ content: 'only this' }] }])
})

test('ask --log writes lines of JSON, without the question and the key', async ({ server }) => {
  const busy = await server([status(503), answer('Hello.')])
  const end = await runCli(['ask', 'my private question', '--chain', 'deepseek', '--log'], {
    ...keys,
    DEEPSEEK_BASE_URL: busy.baseURL,
  })
  const [line = ''] = end.stderr.split('\n')
  expect(JSON.parse(line)).toMatchObject({ provider: 'deepseek', reason: 'overloaded', msg: 'attempt failed' })
  expect(end.stderr).not.toContain('private question')
  expectNoKey(end)
})

test('Ctrl-C during a silence ends it with 130, and closes the request', async ({ server }) => {
  const silent = await server(hang())
  const child = startCli(['ask', 'Hi', '--chain', 'deepseek'], { ...keys, DEEPSEEK_BASE_URL: silent.baseURL })
  const end = endOfCli(child)
  await silent.untilRequests(1)
  child.kill('SIGINT')
  expect(await end).toMatchObject({ code: 130, stdout: '' })
  await silent.untilAllClosed()
})

test('Ctrl-C while it reads stdin ends it with 130', async () => {
  const child = startCli(['ask', '-'], keys)
  const end = endOfCli(child)
  child.stdin.on('error', () => {})
  // more than a pipe holds: when it is gone, somebody reads
  await new Promise(resolve => child.stdin.write('word '.repeat(1_000_000), resolve))
  child.kill('SIGINT')
  expect(await end).toMatchObject({ code: 130, stdout: '', stderr: 'Stopped by Ctrl-C.\n' })
})

test('a reader who leaves ends it quietly', async ({ server }) => {
  const endless = await server(
    answer(
      Array.from({ length: 100_000 }, () => 'word '),
      { chunkEveryMs: 1 },
    ),
  )
  const child = startCli(['ask', 'Hi', '--chain', 'deepseek'], { ...keys, DEEPSEEK_BASE_URL: endless.baseURL })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', data => (stderr += String(data)))
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  expect(stderr).not.toMatch(/EPIPE|Error/)
  await endless.untilAllClosed()
})

test.each([
  [['ask', 'Hi', '--jsn'], "Did you mean '--json'?"],
  [['ask', 'Hi', '--chain', 'deepsek'], "Did you mean 'deepseek'?"],
  [['aks'], "Did you mean 'ask'?"],
])('%j is wrong usage: exit 2 and a word on what to write', async (words, cure) => {
  const end = await runCli(words)
  expect(end).toMatchObject({ code: 2, stdout: '' })
  expect(end.stderr).toContain(cure)
})

test('a key that ends in a line break is told by the name of its variable only', async () => {
  const end = await runCli(['ask', 'Hi'], { DEEPSEEK_API_KEY: 'sk-deepseek-SECRET-wxyz\n' })
  expect(end.code).toBe(2)
  expect(end.stderr).toContain('DEEPSEEK_API_KEY')
  expectNoKey(end)
})

test.each(['ask', 'demo', 'doctor'])('%s --help tells options and exit codes', async command => {
  const end = await runCli([command, '--help'])
  expect(end).toMatchObject({ code: 0, stderr: '' })
  expect(end.stdout).toContain('Exit codes')
})

test('--version is that of the package, --help names every command', async () => {
  expect(await runCli(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  expect((await runCli(['--help'])).stdout).toMatch(/ask[^]*demo[^]*doctor/)
})
