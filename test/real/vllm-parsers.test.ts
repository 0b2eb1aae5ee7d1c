import { vllm, type Call, type Target, type VllmOptions } from 'unbusy'
import { fakeTarget, runAttempt, type AttemptRun } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { clientOf, live, liveKey, startVllm, type LiveServer } from '../helpers/live.ts'

const installed = live('vllm')
const flags = [
  ...['--max-num-seqs', '2', '--reasoning-parser', 'deepseek_r1', '--enable-auto-tool-choice', '--tool-call-parser', 'hermes'],
  ...['--structured-outputs-config', '{"backend":"xgrammar","disable_any_whitespace":true}', '--shutdown-timeout', '60'],
]
/** The template opens a thought, which the server ends after three tokens: by itself the tiny model would not. */
const thinking = { thinking_token_budget: 3, chat_template_kwargs: { enable_thinking: true } }
const short: Partial<Call> = { maxOutputTokens: 100, temperature: 0, extraBody: thinking }
const weather = {
  strict: true,
  inputSchema: {
    ...{ type: 'object', properties: { city: { type: 'string', enum: ['Oslo', 'Rome'] } } },
    ...{ required: ['city'], additionalProperties: false },
  },
}

let server: LiveServer

describe.skipIf(installed.isMissing)(`vLLM with a parser of thoughts and one of tool calls${installed.suffix}`, () => {
  beforeAll(async () => {
    server = await startVllm(flags)
  }, 600_000)
  afterAll(async () => server?.stop())

  test.each([true, false])('thought and text come apart (stream: %s)', async stream => {
    const run = await asked({ ...short, maxOutputTokens: 12 }, { stream })
    expect(run.events.filter(({ type }) => type === 'reasoning-delta').length).toBeGreaterThan(0)
    expect(run.text()).not.toBe('')
    // it says that none of the tokens was thought, which is not so
    expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'length', usage: { outputTokens: 12 } })
  })

  test.each([true, false])('a typed answer is enforced, behind the thought (stream: %s)', async stream => {
    const client = clientOf({ chain: [target({ stream, extraBody: thinking })] })
    const output = z.object({ sunny: z.boolean(), city: z.enum(['Oslo', 'Rome']) })
    const answer = await client.generate({ prompt: 'The weather?', output, maxOutputTokens: 100, temperature: 0 })
    expect(answer.output).toEqual({ sunny: expect.any(Boolean) as boolean, city: expect.stringMatching(/Oslo|Rome/) as string })
    expect(answer.attempts).toHaveLength(1)
  })

  test.each([true, false])(
    'a tool that must be called is called, although vLLM then ends with stop (stream: %s)',
    async stream => {
      for (const toolChoice of ['required', { toolName: 'weather' }] as const) {
        const run = await asked({ ...short, tools: { weather }, toolChoice }, { stream })
        expect(run.events).toContainEqual(
          expect.objectContaining({
            type: 'tool-call',
            toolName: 'weather',
            input: { city: expect.stringMatching(/Oslo|Rome/) as string },
          }),
        )
        expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'tool-calls' })
      }
    },
  )

  test.each([true, false])('a call that the model writes by itself is read by the parser (stream: %s)', async stream => {
    const regex = '<tool_call>\\{"name": "weather", "arguments": \\{"city": "Oslo"\\}\\}</tool_call>'
    const call = { ...short, tools: { weather: { inputSchema: weather.inputSchema } } }
    const run = await asked({ ...call, extraBody: { ...thinking, structured_outputs: { regex } } }, { stream })
    expect(run.events).toContainEqual(expect.objectContaining({ type: 'tool-call', input: { city: 'Oslo' } }))
  })

  test.each([true, false])(
    'what goes on from a text is text, although the parser takes it for a thought (stream: %s)',
    async stream => {
      const prefix = { text: 'The sky', reasoningText: '' }
      const run = await asked({ maxOutputTokens: 8, temperature: 0, prefix }, { stream })
      expect(run.error).toBeUndefined()
      expect(run.text()).not.toBe('')
      expect(run.events.filter(({ type }) => type === 'reasoning-delta')).toEqual([])
    },
  )

  test('a schema that xgrammar does not know is asked for again without enforcement', async () => {
    const schema = { type: 'object', properties: { a: { type: 'array', uniqueItems: true, items: { type: 'string' } } } }
    for (const stream of [true, false]) {
      const run = await asked({ ...short, output: { type: 'json', schema } }, { stream })
      expect(run.error).toBeUndefined()
      expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'output' }))
    }
  })

  // last: it ends the server
  test('SIGTERM with --shutdown-timeout: what runs and what waits is answered, new calls go to the next target', async () => {
    const long: Partial<Call> = { ...short, maxOutputTokens: 1_000, extraBody: { ...thinking, ignore_eos: true } }
    const running = [true, true, false].map(stream => runAttempt(target({ stream }), { call: long }))
    await eventually(async () => expect(await load()).toMatchObject({ running: 2, waiting: 1 }))
    server.signal('SIGTERM')
    await eventually(() => expect(server.log()).toMatch(/\[shutdown\]/))
    // it says that it is well all the same: a load balancer that looks at /health keeps sending
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)
    const client = clientOf({ chain: [target({ retry: 0 }), fakeTarget('From elsewhere.', { name: 'elsewhere' })] })
    expect(await client.generate({ prompt: 'Hi', maxOutputTokens: 8 })).toMatchObject({
      provider: 'elsewhere',
      attempts: [
        { outcome: 'failed', reason: expect.stringMatching(/server-error|overloaded/) as string },
        { outcome: 'answered' },
      ],
    })
    await Promise.all(running.map(async ({ over }) => over))
    expect(running.map(({ outcome }) => outcome)).toEqual(['resolved', 'resolved', 'resolved'])
    await server.exited
  }, 120_000)
})

function target(options: VllmOptions = {}): Target {
  const created = vllm('tiny', { baseURL: server.baseURL, apiKey: liveKey, ...options })
  onTestFinished(() => created.provider.close?.())
  return created
}

async function asked(call: Partial<Call>, options: VllmOptions = {}): Promise<AttemptRun> {
  const run = runAttempt(target(options), { call })
  await run.over
  return run
}

async function load() {
  return target().provider.load?.(new AbortController().signal)
}

async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 60_000, interval: 50 })
}
