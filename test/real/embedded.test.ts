import { existsSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import type { Call, ProviderEvent } from '../../src/contract.ts'
import type { Target } from '../../src/contract-targets.ts'
import { embedded } from '../../src/embedded/index.ts'
import { needed } from '../helpers/needed.ts'
import { peers } from '../helpers/peers.ts'
import { endOfCli, startCli } from '../helpers/run-cli.ts'

/** A tiny GGUF file. */
const modelPath = process.env['UNBUSY_GGUF'] ?? ''

const file = needed('embedded', whatIsMissing())
const peer = peers('node-llama-cpp')
const skip = { skip: file.isMissing || peer.isMissing }
const suffix = file.suffix || peer.suffix

test(`a model in this process streams an answer${suffix}`, skip, async () => {
  const events = await ask(target())
  expect(events.filter(event => event.type === 'text-delta').length).toBeGreaterThan(1)
  expect(events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'length', usage: { outputTokens: 12 } })
})

test(`it is held to a schema${suffix}`, skip, async () => {
  const schema = { type: 'object', properties: { sunny: { type: 'boolean' } }, required: ['sunny'] }
  const text = textOf(await ask(target(), { output: { type: 'json', schema }, maxOutputTokens: 100 }))
  expect(JSON.parse(text)).toEqual({ sunny: expect.any(Boolean) as boolean })
})

test(`an abort ends it with the reason of the abort, and the next answer comes${suffix}`, skip, async () => {
  const embeddedTarget = target()
  const controller = new AbortController()
  const aborted = ask(
    embeddedTarget,
    { maxOutputTokens: 200 },
    { signal: controller.signal, onEvent: () => controller.abort('enough') },
  )
  await expect(aborted).rejects.toBe('enough')
  expect((await ask(embeddedTarget)).at(-1)?.type).toBe('finish')
})

test(`answers at once wait for each other, or write side by side${suffix}`, skip, async () => {
  for (const parallel of [1, 2]) {
    const shared = target({ parallel })
    const texts = await Promise.all([ask(shared), ask(shared), ask(shared)])
    expect(new Set(texts.map(textOf)).size).toBe(1)
  }
})

test(`a conversation that is too long is a failure with the numbers${suffix}`, skip, async () => {
  const long = ask(target({ contextTokens: 256 }), { messages: [{ role: 'user', content: 'word '.repeat(500) }] })
  await expect(long).rejects.toMatchObject({ reason: 'context-length', contextTokens: 256 })
})

test(`a file that is no model is a failure${suffix}`, skip, async () => {
  await expect(ask(embedded({ modelPath: import.meta.filename, gpu: false }))).rejects.toMatchObject({
    name: 'ProviderError',
    reason: 'not-found',
  })
})

test(`ask and demo take it as the last target${suffix}`, { ...skip, timeout: 120_000 }, async () => {
  // the command itself looks for the package beside itself; here it is in a folder of its own
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ resolve: (name, context, next) => name === 'node-llama-cpp' ? next(name, { ...context, parentURL: ${JSON.stringify(`file://${peer.folder}/package.json`)} }) : next(name, context) })`
  const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` }
  // this model never comes to its end by itself: Ctrl-C at its first word
  const asking = startCli(['ask', 'Once upon a time', '--embedded', modelPath, '--chain', 'deepseek'], environment)
  asking.stdin.end()
  const ended = endOfCli(asking)
  asking.stdout.once('data', () => asking.kill('SIGINT'))
  const asked = await ended
  expect(asked.code, asked.stderr).toBe(130)
  expect(asked.stdout).not.toBe('')
  expect(asked.stderr).toMatch(/embedded \S+ +asked/)
  // its calls take as long as the machine is busy: that they are answered is for those of the tests above
  const showing = startCli(['demo'], { ...environment, UNBUSY_EMBEDDED: modelPath })
  showing.stdin.end()
  const end = endOfCli(showing)
  showing.stdout.once('data', () => showing.kill('SIGINT'))
  const shown = await end
  expect(shown.code, shown.stderr).toBe(130)
  expect(shown.stdout).toContain('[deepseek(), openai(), embedded()]')
})

function whatIsMissing(): string | undefined {
  if (modelPath === '') return 'set UNBUSY_GGUF to a small GGUF file'
  return existsSync(modelPath) ? undefined : 'there is no file at UNBUSY_GGUF'
}

function target(options: { readonly parallel?: number; readonly contextTokens?: number } = {}): Target {
  const created = embedded({ modelPath, gpu: false, threads: 1, contextTokens: 512, ...options })
  onTestFinished(() => created.provider.close?.())
  return created
}

type Asking = { readonly signal?: AbortSignal; onEvent?(event: ProviderEvent): void }

async function ask({ provider, model }: Target, call: Partial<Call> = {}, asking: Asking = {}): Promise<ProviderEvent[]> {
  const { signal = new AbortController().signal, onEvent } = asking
  const events: ProviderEvent[] = []
  const emit = (event: ProviderEvent) => {
    onEvent?.(event)
    return events.push(event) > 0
  }
  const messages: Call['messages'] = [{ role: 'user', content: 'Tell me a story.' }]
  await provider.stream({ model, messages, maxOutputTokens: 12, metadata: {}, ...call }, { signal, emit, onDrain() {} })
  return events
}

function textOf(events: readonly ProviderEvent[]): string {
  return events.flatMap(event => (event.type === 'text-delta' ? event.text : [])).join('')
}
