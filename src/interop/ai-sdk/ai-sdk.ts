import { createHash } from 'node:crypto'
import { type Check, checkOptions, flag, isRecord, kindOf, text } from '../../check.ts'
import { type Attempt, type Call, type Provider, ProviderError, type Target, type TargetOptions } from '../../index.ts'
import { createTarget, targetChecks } from '../../providers/target.ts'
import { failureFrom } from './model-failure.ts'
import { createWaiting } from './end-of-body.ts'
import { conclude, readPart, type Reading, startReading } from './read-parts.ts'
import type { AnyModel } from './types.ts'
import { type ModelTraits, writeCall } from './write-call.ts'
import type { Part } from './write-prompt.ts'

/** Options of `aiSdk()`. */
export type AiSdkOptions = TargetOptions & {
  /**
   * A name for the billed account, never the key. Targets with the same account share its health, for example refused keys and limits, also
   * across a fleet. The name is needed because an AI SDK model does not expose its key. @default this target has its own health
   */
  readonly account?: string | undefined
  /**
   * Whether the service enforces a JSON Schema, so that the prompt need not describe the schema too.
   * @default true if the model declares it (`supportsStructuredOutputs`), and for OpenAI, Azure, Google, Mistral and xAI
   */
  readonly structuredOutputs?: boolean | undefined
}

const checks: Readonly<Record<string, Check>> = { ...targetChecks, account: text, structuredOutputs: flag }

/**
 * Makes a target from any language model of the AI SDK (versions 2, 3 and 4 of its specification). For DeepSeek itself, use `deepseek()`:
 * a model of the AI SDK does not report that a request is queued.
 *
 * @throws {TypeError} The model is not a language model of the AI SDK, or an option is wrong.
 *
 * @example
 * createClient({ chain: [deepseek(), aiSdk(anthropic('claude-sonnet-5'))] })
 */
export function aiSdk(model: AnyModel, options: AiSdkOptions = {}): Target {
  checkModel(model)
  checkOptions(options, checks, 'aiSdk')
  const { account, structuredOutputs, ...rest } = options
  const { provider: name, modelId } = model
  const traits = traitsOf(model, structuredOutputs)
  const provider: Provider = {
    name,
    capabilities: { output: traits.isForced ? 'json-schema' : 'prompt' },
    ...(account === undefined ? undefined : { identity: identityOf(name, account) }),
    refuse: call => refusal(call, name, modelId),
    stream: (call, attempt) => ask(model, call, { attempt, traits }),
  }
  return createTarget(provider, modelId, rest)
}

function checkModel(model: unknown): void {
  if (typeof model === 'string')
    throw new TypeError("aiSdk: the model is a string. Write the model itself, for example aiSdk(anthropic('claude-sonnet-5')).")
  if (!isRecord(model) || typeof model['doStream'] !== 'function')
    throw new TypeError(`aiSdk: the model must be a language model of the AI SDK, not ${kindOf(model)}.`)
  const version = model['specificationVersion']
  if (!['v2', 'v3', 'v4'].includes(String(version)))
    throw new TypeError('aiSdk: the model has an unknown specificationVersion. unbusy supports v2, v3 and v4.')
}

/** Services that enforce a schema with all of their current models. */
const forcing: ReadonlySet<string> = new Set(['openai', 'azure', 'google', 'mistral', 'xai'])

function traitsOf(model: AnyModel, structuredOutputs: boolean | undefined): ModelTraits {
  const [optionsKey = model.provider] = model.provider.split('.')
  const says = (model as { readonly supportsStructuredOutputs?: unknown }).supportsStructuredOutputs
  const isForced = structuredOutputs ?? (typeof says === 'boolean' ? says : forcing.has(optionsKey))
  return { version: model.specificationVersion, isForced, optionsKey }
}

/** Most services begin anew after a turn of the model, so the answer would have two beginnings. The AI SDK has no option to ask for more. */
function refusal({ messages, prefix }: Call, provider: string, model: string): ProviderError | undefined {
  const last = messages.at(-1)
  if (prefix === undefined && !(last?.role === 'assistant' && last.prefix === true)) return undefined
  const message = `${provider} ${model} cannot go on from a given beginning (message.prefix).`
  return new ProviderError(message, { reason: 'invalid-request', provider, model })
}

function identityOf(name: string, account: string): Provider['identity'] {
  return { origin: `ai-sdk:${name}`, credential: createHash('sha256').update(account).digest('hex').slice(0, 32) }
}

type Asked = { readonly attempt: Attempt; readonly traits: ModelTraits }
type Answer = {
  readonly stream: ReadableStream<Part>
  readonly response?: { readonly headers?: Readonly<Record<string, string>> }
}
type AnyDoStream = (options: object) => PromiseLike<Answer>

async function ask(model: AnyModel, call: Call, { attempt, traits }: Asked): Promise<void> {
  const { emit, signal } = attempt
  const { options, unsupported } = writeCall(call, traits)
  for (const setting of unsupported)
    emit({ type: 'warning', setting, message: 'This version of the AI SDK does not have this option.' })
  const reading = startReading(emit)
  let isAnswered = false
  try {
    emit({ type: 'sent' })
    const doStream = model.doStream.bind(model) as unknown as AnyDoStream
    // the raw chunks say when the answer is over, see `createRawEnding`
    const answer = await doStream({ ...options, abortSignal: signal, includeRawChunks: true })
    isAnswered = true
    emit({ type: 'headers', status: 200, headers: answer.response?.headers ?? {} })
    await readAll(answer.stream, reading, attempt)
  } catch (error) {
    signal.throwIfAborted()
    const failure = failureFrom(error, { begun: reading.begun, answered: isAnswered })
    // what is lost after the finish is not part of the answer
    if (failure?.reason === 'truncated') conclude(reading)
    if (!reading.finished) throw failure ?? error
  }
  // if no `finish` was emitted, the core treats the answer as broken
}

async function readAll(stream: ReadableStream<Part>, reading: Reading, attempt: Attempt): Promise<void> {
  const { signal } = attempt
  const reader = stream.getReader()
  const leave = (): void => void reader.cancel(signal.reason).catch(() => {})
  const waiting = createWaiting(attempt, () => {
    conclude(reading)
    leave()
  })
  signal.addEventListener('abort', leave, { once: true })
  try {
    for (;;) {
      signal.throwIfAborted()
      const { value, done } = await reader.read()
      if (done || reading.finished) return
      if (!readPart(reading, value)) await drained(attempt)
      if (reading.finished) return
      waiting.tell(reading.ending)
    }
  } finally {
    waiting.stop()
    signal.removeEventListener('abort', leave)
    // the rest of a broken answer, and anything after the end, is not needed
    leave()
  }
}

/** Resolves when the reader has caught up or the signal fires. */
async function drained({ signal, onDrain }: Attempt): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const go = (): void => resolve()
  signal.addEventListener('abort', go, { once: true })
  onDrain(go)
  await promise
  signal.removeEventListener('abort', go)
}
