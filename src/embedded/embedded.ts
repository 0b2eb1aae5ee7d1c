import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { Call, Capabilities, Provider } from '../contract.ts'
import type { Failure } from '../contract-failures.ts'
import type { Target } from '../contract-targets.ts'
import { ProviderError } from '../errors.ts'
import { checkEmbeddedOptions } from './check-embedded-options.ts'
import type { Engine } from './engine.ts'
import { createEngine } from './engine.ts'
import { generate } from './generate.ts'
import { importNodeLlamaCpp } from './node-llama-cpp.ts'

/** Options of `embedded()`. */
export type EmbeddedOptions = Pick<
  Target,
  'retry' | 'timeout' | 'price' | 'budget' | 'when' | 'prepare' | 'limits' | 'keepWarm'
> & {
  /** The path of a GGUF file. The model is loaded at the first call and stays in memory until `client.close()`. */
  readonly modelPath: string
  /** The name of the model in results and events. @default the name of the file */
  readonly model?: string | undefined
  /** The context size in tokens: conversation plus answer. A larger context takes more memory. @default the most that model and memory allow */
  readonly contextTokens?: number | undefined
  /** How many answers are generated at the same time; other calls queue. Each one takes memory for its own context. @default 1 */
  readonly parallel?: number | undefined
  /** The number of CPU threads. @default node-llama-cpp's choice */
  readonly threads?: number | undefined
  /** `false`: the CPU only. @default 'auto' */
  readonly gpu?: 'auto' | false | undefined
}

/**
 * Runs a model in this process through node-llama-cpp (`npm install node-llama-cpp`): a last resort that needs no server and no network.
 * It compiles and downloads nothing: the package must include a binary for this machine. Without `temperature`, the model always picks
 * the most likely token.
 *
 * @example
 * import { embedded } from 'unbusy/embedded'
 * createClient({ chain: [deepseek(), embedded({ modelPath: 'models/qwen3-1.7b-q4.gguf' })] })
 */
export function embedded(options: EmbeddedOptions): Target {
  checkEmbeddedOptions(options)
  const { modelPath, model = basename(modelPath, '.gguf'), parallel = 1, gpu = 'auto', contextTokens, threads } = options
  const { retry, timeout, price = { input: 0, cachedInput: 0, output: 0 }, budget, when, prepare, limits, keepWarm } = options
  const engine = createEngine({ modelPath, parallel, gpu, contextTokens, threads }, importNodeLlamaCpp)
  return { provider: createEmbedded(engine, modelPath), model, retry, timeout, price, budget, when, prepare, limits, keepWarm }
}

export function createEmbedded(engine: Engine, modelPath: string): Provider {
  return {
    name: 'embedded',
    capabilities,
    // gigabytes of model must be read from disk before the first token
    timeout: { firstChunkMs: 300_000, chunkMs: 120_000 },
    refuse: call => refusal(call, modelPath),
    stream: (call, attempt) => generate(call, attempt, engine),
    load: () => Promise.resolve(engine.busy()),
    // loaded at the first request and kept until `close()`
    keepLoaded: 'always',
    close: () => engine.close(),
  }
}

/** `prefix` is false because the library trims the start of every answer, so a continuation would lose its leading space. */
const capabilities: Capabilities = { stream: true, tools: false, images: false, output: 'json-schema', prefix: false }

function refusal(call: Call, modelPath: string): Failure | undefined {
  const refuse = (reason: Failure['reason'], message: string) =>
    new ProviderError(message, { reason, provider: 'embedded', model: call.model })
  if (!existsSync(modelPath))
    return refuse('not-found', `There is no file at ${modelPath}. Download a GGUF model, or correct modelPath.`)
  if (Object.keys(call.tools ?? {}).length > 0) return refuse('invalid-request', 'An embedded model cannot call tools.')
  if (call.prefix !== undefined || endsInPrefix(call))
    return refuse('invalid-request', 'An embedded model cannot continue a given beginning.')
  return call.messages.some(hasImage) ? refuse('invalid-request', 'An embedded model cannot see images.') : undefined
}

function endsInPrefix({ messages }: Call): boolean {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.prefix === true
}

function hasImage({ content }: Call['messages'][number]): boolean {
  return typeof content !== 'string' && content.some(part => part.type === 'image')
}
