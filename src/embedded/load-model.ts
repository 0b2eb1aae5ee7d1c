import { ProviderError } from '../errors.ts'
import type { Llama, LlamaModel, LlamaSequence, NodeLlamaCpp } from './node-llama-cpp.ts'

export type ModelOptions = {
  readonly modelPath: string
  readonly parallel: number
  readonly gpu: 'auto' | false
  readonly contextTokens?: number | undefined
  readonly threads?: number | undefined
}

/** A loaded model. */
export type Loaded = {
  readonly library: NodeLlamaCpp
  readonly llama: Llama
  readonly model: LlamaModel
  readonly contextTokens: number
  readonly sequences: readonly LlamaSequence[]
}

export async function loadModel(options: ModelOptions, importLibrary: () => Promise<NodeLlamaCpp>): Promise<Loaded> {
  const library = await importLibrary().catch((cause: unknown) => {
    const message = 'The package node-llama-cpp cannot be loaded. Install it beside unbusy: npm install node-llama-cpp@3.'
    throw new ProviderError(message, { reason: 'not-found', cause })
  })
  try {
    return await readModel(options, library)
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new ProviderError(`The model ${options.modelPath} cannot be loaded: ${what}`, { reason: reasonOf(cause), cause })
  }
}

async function readModel(
  { modelPath, parallel, gpu, contextTokens, threads }: ModelOptions,
  library: NodeLlamaCpp,
): Promise<Loaded> {
  // never compile during a call: use a prebuilt binary from the package or fail
  const llama = await library.getLlama({ build: 'never', gpu, logLevel: 'error' })
  try {
    const model = await llama.loadModel({ modelPath })
    const context = await model.createContext({
      sequences: parallel,
      ...(contextTokens === undefined ? undefined : { contextSize: contextTokens }),
      ...(threads === undefined ? undefined : { threads }),
    })
    const sequences = Array.from({ length: parallel }, () => context.getSequence())
    return { library, llama, model, contextTokens: context.contextSize, sequences }
  } catch (error) {
    await llama.dispose()
    throw error
  }
}

function reasonOf(cause: unknown): 'not-found' | 'overloaded' {
  // memory may be free later, but a missing or broken file stays missing or broken
  return cause instanceof Error && /memory|vram/i.test(cause.message) ? 'overloaded' : 'not-found'
}
