import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { Call, Capabilities, Failure, Provider, Target } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { checkEmbeddedOptions } from './check-embedded-options.ts'
import type { Engine } from './engine.ts'
import { createEngine } from './engine.ts'
import { generate } from './generate.ts'
import { importNodeLlamaCpp } from './node-llama-cpp.ts'

export type EmbeddedOptions = Pick<Target, 'retry' | 'timeout' | 'price' | 'when'> & {
  /** A GGUF file. It is read when the first call comes, and stays in memory until `client.close()`. */
  readonly modelPath: string
  /** What the model is called in results and events. @default the name of the file */
  readonly model?: string | undefined
  /** Tokens of conversation and answer together. More take more memory. @default as many as the model knows and the memory holds */
  readonly contextTokens?: number | undefined
  /** Answers that are written at once; others wait in line. Each takes memory for a context of its own. @default 1 */
  readonly parallel?: number | undefined
  /** Processor threads. @default node-llama-cpp's choice */
  readonly threads?: number | undefined
  /** `false`: the processor only. @default 'auto' */
  readonly gpu?: 'auto' | false | undefined
}

/**
 * A model in this process, through node-llama-cpp (`npm install node-llama-cpp`): the last resort that needs no server and no network.
 * Nothing is compiled and nothing downloaded: a binary that fits this machine must have come with the package. Without `temperature`
 * it always writes the likeliest text.
 *
 * @example
 * import { embedded } from 'unbusy/embedded'
 * createClient({ chain: [deepseek(), embedded({ modelPath: 'models/qwen3-1.7b-q4.gguf' })] })
 */
export function embedded(options: EmbeddedOptions): Target {
  checkEmbeddedOptions(options)
  const { modelPath, model = basename(modelPath, '.gguf'), parallel = 1, gpu = 'auto', contextTokens, threads } = options
  const { retry, timeout, price = { input: 0, cachedInput: 0, output: 0 }, when } = options
  const engine = createEngine({ modelPath, parallel, gpu, contextTokens, threads }, importNodeLlamaCpp)
  return { provider: createEmbedded(engine, modelPath), model, retry, timeout, price, when }
}

export function createEmbedded(engine: Engine, modelPath: string): Provider {
  return {
    name: 'embedded',
    capabilities,
    // a model of gigabytes is read from disk before the first word
    timeout: { firstChunkMs: 300_000, chunkMs: 120_000 },
    refuse: call => refusal(call, modelPath),
    stream: (call, attempt) => generate(call, attempt, engine),
    load: () => Promise.resolve(engine.busy()),
    close: () => engine.close(),
  }
}

/** `prefix`: a continuation would lose the blank at the seam, because the library begins every answer with a word. */
const capabilities: Capabilities = { stream: true, tools: false, images: false, output: 'json-schema', prefix: false }

function refusal(call: Call, modelPath: string): Failure | undefined {
  const refuse = (reason: Failure['reason'], message: string) =>
    new ProviderError(message, { reason, provider: 'embedded', model: call.model })
  if (!existsSync(modelPath))
    return refuse('not-found', `There is no file at ${modelPath}: download a GGUF model, or correct modelPath.`)
  if (Object.keys(call.tools ?? {}).length > 0) return refuse('invalid-request', 'An embedded model cannot call tools.')
  if (call.prefix !== undefined || endsInPrefix(call))
    return refuse('invalid-request', 'An embedded model cannot go on from a given beginning.')
  return call.messages.some(hasImage) ? refuse('invalid-request', 'An embedded model cannot see images.') : undefined
}

function endsInPrefix({ messages }: Call): boolean {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.prefix === true
}

function hasImage({ content }: Call['messages'][number]): boolean {
  return typeof content !== 'string' && content.some(part => part.type === 'image')
}
