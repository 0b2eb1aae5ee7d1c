import { ollama, type Call, type OllamaOptions, type Target } from 'unbusy'
import { fakeTarget, runAttempt, type AttemptRun } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { keptPromises } from '../helpers/kept-promises.ts'
import { clientOf, live, startOllama, type LiveServer } from '../helpers/live.ts'
import { runCli } from '../helpers/run-cli.ts'

const installed = live('ollama')
const gguf = process.env['UNBUSY_GGUF'] ?? ''
const why = gguf === '' ? ' (skipped: UNBUSY_GGUF is not set)' : ''
const short: Partial<Call> = { maxOutputTokens: 8, temperature: 0, seed: 1 }

let server: LiveServer

describe.skipIf(installed.isMissing || gguf === '')(`Ollama${installed.suffix}${why}`, () => {
  beforeAll(async () => {
    server = await startOllama({ OLLAMA_NUM_PARALLEL: '1', OLLAMA_MAX_QUEUE: '1' })
  })
  afterAll(async () => server?.stop())

  keptPromises({
    target: ({ model, stream } = {}) => target({ stream }, model),
    wrongModel: { reason: 'not-found', status: 404 },
  })

  test('it loads the model when it is asked, keeps it as long as it is told, and says so', async () => {
    await asked({ ...short }, { keepAlive: 0 })
    await eventually(async () => expect(await loaded()).toEqual([]))
    const run = await asked(short, { keepAlive: '30m' })
    expect(run.events.at(-1)).toMatchObject({ providerMetadata: { loadMs: expect.any(Number) as number } })
    expect(await loaded()).toMatchObject([{ name: 'tiny:latest', context_length: 2_048 }])
  })

  test('options of extraBody reach the model', async () => {
    await asked({ ...short, extraBody: { options: { num_ctx: 512, num_predict: 4, num_thread: 1 } } })
    await eventually(async () => expect(await loaded()).toMatchObject([{ context_length: 512 }]))
    await asked(short)
    await eventually(async () => expect(await loaded()).toMatchObject([{ context_length: 2_048 }]))
  })

  test('a model that cannot think is asked again without the flag', async () => {
    for (const reasoning of ['low', 'max'] as const) {
      const run = await asked({ ...short, reasoning })
      expect(run.text()).not.toBe('')
      expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'reasoning' }))
    }
    expect((await asked({ ...short, reasoning: 'off' })).outcome).toBe('resolved')
  })

  test('tools of a model without them are refused: about the call, not about the model', async () => {
    const run = await asked({ ...short, tools: { weather: { inputSchema: { type: 'object' } } } })
    expect(run.error).toMatchObject({ reason: 'invalid-request', status: 400, charged: 'request' })
  })

  test('a typed answer is enforced', async () => {
    const client = clientOf({ chain: [target()] })
    const output = z.object({ sunny: z.boolean() })
    const answer = await client.generate({ prompt: 'The weather?', output, maxOutputTokens: 200, temperature: 0 })
    expect(answer.output).toEqual({ sunny: expect.any(Boolean) as boolean })
  })

  test('a schema that it does not know is no fault of the server, although it says 500', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string', pattern: '(?<=a)b' } }, required: ['a'] }
    const client = clientOf({ chain: [target(), fakeTarget('{"a":"b"}', { name: 'elsewhere' })] })
    const call = { prompt: 'Hi', maxOutputTokens: 8, temperature: 0 }
    const run = await asked({ ...short, output: { type: 'json', schema }, extraBody: { format: { type: 'nonsense' } } })
    expect(run.error).toMatchObject({ reason: 'invalid-request', status: 500 })
    expect((await client.generate(call)).provider).toBe('ollama')
  })

  test('an option of a wrong type is the call, not the server, although it says 500', async () => {
    const run = await asked({ ...short, extraBody: { options: { num_predict: 'many' } } })
    expect(run.error).toMatchObject({ reason: 'invalid-request', status: 500 })
  })

  test('a conversation that is too long is told only with truncate: false; else its beginning is lost without a word', async () => {
    const messages: Call['messages'] = [{ role: 'user', content: 'word '.repeat(6_000) }]
    const run = await asked({ ...short, messages, extraBody: { truncate: false } })
    expect(run.error).toMatchObject({ reason: 'context-length', status: 400 })
  })

  test('it goes on from a beginning through a raw prompt', async () => {
    const toRawPrompt: OllamaOptions['toRawPrompt'] = () => 'Once upon a time'
    const prefix = { text: ', there was', reasoningText: '' }
    for (const stream of [true, false]) {
      const run = await asked({ ...short, prefix }, { toRawPrompt, stream })
      expect(run.error).toBeUndefined()
      expect(run.text()).not.toBe('')
      expect(run.text()).not.toContain('there was')
    }
  })

  test('more requests than may wait while it loads are refused: overloaded, and the next target answers', async () => {
    await asked(short, { keepAlive: 0 })
    await eventually(async () => expect(await loaded()).toEqual([]))
    const runs = Array.from({ length: 30 }, (_, at) => runAttempt(target({ stream: at % 2 === 0 }), { call: short }))
    await Promise.all(runs.map(async ({ over }) => over))
    const refused = runs.flatMap(({ error }) => (error === undefined ? [] : [error]))
    expect(refused.length).toBeGreaterThan(0)
    for (const error of refused) expect(error).toMatchObject({ reason: 'overloaded', status: 503 })
  })

  test('an abort frees it for the next', async () => {
    const run = runAttempt(target(), { call: { ...short, maxOutputTokens: 100_000 } })
    await run.until(({ type }) => type === 'text-delta')
    run.abort('enough')
    await run.over
    expect((await asked(short)).outcome).toBe('resolved')
  })

  test('doctor finds it', async () => {
    const { stdout } = await runCli(['doctor', '--json'], { OLLAMA_BASE_URL: server.origin })
    const { services } = JSON.parse(stdout) as { services: { name: string; state: string; models: string[] }[] }
    expect(services.find(({ name }) => name === 'ollama')).toMatchObject({ state: 'answers', models: ['tiny:latest'] })
  })

  // last: it ends the server
  test('SIGTERM cuts what runs, and then nobody listens', async () => {
    const start = (stream: boolean) => runAttempt(target({ stream }), { call: { ...short, maxOutputTokens: 100_000 } })
    const stream = start(true)
    await stream.until(({ type }) => type === 'text-delta')
    const whole = start(false)
    await whole.until(({ type }) => type === 'sent')
    server.signal('SIGTERM')
    await Promise.all([stream.over, whole.over])
    expect(stream.error).toMatchObject({ reason: 'truncated' })
    expect(whole.error).toMatchObject({ reason: expect.stringMatching(/network|truncated/) as string })
    await server.exited
    expect((await asked(short)).error).toMatchObject({ reason: 'network' })
  })
})

function target(options: OllamaOptions = {}, model = 'tiny'): Target {
  const created = ollama(model, { baseURL: server.origin, ...options })
  onTestFinished(() => created.provider.close?.())
  return created
}

async function asked(call: Partial<Call>, options: OllamaOptions = {}): Promise<AttemptRun> {
  const run = runAttempt(target(options), { call })
  await run.over
  return run
}

async function loaded(): Promise<unknown> {
  const { models } = (await (await fetch(`${server.origin}/api/ps`)).json()) as { models: unknown }
  return models
}

async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 30_000, interval: 50 })
}
