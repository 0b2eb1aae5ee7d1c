/**
 * Our own types for the part of node-llama-cpp 3.22 that we use. The package is an optional peer of hundreds of megabytes, so neither
 * the types nor the import of unbusy may require it.
 */
export type NodeLlamaCpp = {
  getLlama(options: { readonly build: 'never'; readonly gpu: 'auto' | false; readonly logLevel: string }): Promise<Llama>
  readonly LlamaChat: new (options: { readonly contextSequence: LlamaSequence }) => LlamaChat
}

export type Llama = {
  loadModel(options: { readonly modelPath: string }): Promise<LlamaModel>
  getGrammarFor(type: 'json'): Promise<LlamaGrammar>
  createGrammarForJsonSchema(schema: unknown): Promise<LlamaGrammar>
  dispose(): Promise<void>
}

export type LlamaModel = {
  readonly tokenizer: unknown
  createContext(options: ContextOptions): Promise<LlamaContext>
}

export type ContextOptions = { readonly sequences: number; readonly contextSize?: number; readonly threads?: number }

export type LlamaContext = { readonly contextSize: number; getSequence(): LlamaSequence }

export type LlamaSequence = { readonly tokenMeter: TokenMeter }

export type TokenMeter = {
  getState(): object
  diff(since: object): { readonly usedInputTokens: number; readonly usedOutputTokens: number }
}

export type LlamaGrammar = { readonly grammar: string }

export type ChatItem =
  | { readonly type: 'system' | 'user'; readonly text: string }
  | { readonly type: 'model'; readonly response: readonly (string | ThoughtItem)[] }

export type ThoughtItem = {
  readonly type: 'segment'
  readonly segmentType: 'thought'
  readonly text: string
  readonly ended: true
}

export type GenerateOptions = {
  readonly signal: AbortSignal
  readonly maxTokens: number
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  readonly seed?: number | undefined
  readonly customStopTriggers?: readonly string[] | undefined
  readonly budgets?: { readonly thoughtTokens: number } | undefined
  readonly grammar?: LlamaGrammar | undefined
  onResponseChunk(chunk: { readonly segmentType?: string | undefined; readonly text: string }): void
}

export type LlamaChat = {
  readonly chatWrapper: {
    generateContextState(options: { readonly chatHistory: readonly ChatItem[] }): {
      readonly contextText: { tokenize(tokenizer: unknown): readonly unknown[] }
    }
  }
  generateResponse(
    history: readonly ChatItem[],
    options: GenerateOptions,
  ): Promise<{ readonly metadata: { readonly stopReason: string } }>
  dispose(): void
}

/** The package name is not a literal in `import()`, so that bundlers and the compiler do not resolve it. */
export async function importNodeLlamaCpp(): Promise<NodeLlamaCpp> {
  const name = 'node-llama-cpp'
  return (await import(name)) as NodeLlamaCpp
}
