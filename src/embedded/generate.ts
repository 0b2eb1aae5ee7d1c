import type { Attempt, Call, FinishReason, Reasoning } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { chatHistory } from './chat-history.ts'
import type { Engine } from './engine.ts'
import type { Loaded } from './load-model.ts'
import type { GenerateOptions, LlamaChat, LlamaGrammar, LlamaSequence } from './node-llama-cpp.ts'

/** Generates one answer with the model in this process. */
export async function generate(call: Call, attempt: Attempt, engine: Engine): Promise<void> {
  const { signal } = attempt
  const seat = await engine.enter({ signal, wait: () => void attempt.emit({ type: 'queued' }) })
  try {
    await write({ call, attempt, ...seat })
  } catch (error) {
    signal.throwIfAborted()
    throw ProviderError.isInstance(error) ? error : failed(error)
  } finally {
    seat.leave()
  }
}

/** Omits the message of the original error, which may quote the prompt or a schema. */
function failed(error: unknown): ProviderError {
  const said = error instanceof Error ? error.message : String(error)
  return new ProviderError('node-llama-cpp failed. Its message is in `said` of the error.', { reason: 'server-error', said })
}

type Writing = { readonly call: Call; readonly attempt: Attempt; readonly loaded: Loaded; readonly sequence: LlamaSequence }

async function write({ call, attempt, loaded, sequence }: Writing): Promise<void> {
  const history = chatHistory(call)
  const chat = new loaded.library.LlamaChat({ contextSequence: sequence })
  try {
    const room = roomFor(chat, history, loaded)
    const grammar = await grammarOf(call, loaded)
    const before = sequence.tokenMeter.getState()
    const speech = createSpeech(attempt)
    const { metadata } = await chat.generateResponse(history, {
      ...settingsOf(call, room),
      ...(grammar === undefined ? undefined : { grammar }),
      signal: attempt.signal,
      onResponseChunk({ segmentType, text }) {
        if (text === '' || attempt.signal.aborted) return
        // generation cannot be paused: the text that a slow reader has not read yet is buffered, limited by maxTokens
        if (segmentType === undefined) speech.add(text)
        else attempt.emit({ type: 'reasoning-delta', text })
      },
    })
    attempt.signal.throwIfAborted()
    const finishReason: FinishReason = metadata.stopReason === 'maxTokens' ? 'length' : 'stop'
    if (!speech.begun() && finishReason !== 'length')
      throw new ProviderError('The model ended its answer without any text.', { reason: 'empty' })
    const { usedInputTokens: inputTokens, usedOutputTokens: outputTokens } = sequence.tokenMeter.diff(before)
    attempt.emit({ type: 'finish', finishReason, usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens } })
  } finally {
    chat.dispose()
  }
}

/** Whitespace alone is not content: it is held back until the text after it arrives (R44, R47). */
function createSpeech(attempt: Attempt): { add(text: string): void; begun(): boolean } {
  let blanks = ''
  let begun = false
  return {
    add(text) {
      blanks += text
      begun ||= text.trim() !== ''
      if (!begun) return
      attempt.emit({ type: 'text-delta', text: blanks })
      blanks = ''
    },
    begun: () => begun,
  }
}

/** Returns how many tokens are left for the answer. Without this check, the library would silently drop the start of the conversation. */
function roomFor(chat: LlamaChat, history: ReturnType<typeof chatHistory>, { model, contextTokens }: Loaded): number {
  const taken = chat.chatWrapper.generateContextState({ chatHistory: history }).contextText.tokenize(model.tokenizer).length
  if (taken < contextTokens) return contextTokens - taken
  throw new ProviderError(`The conversation has ${taken} tokens, but the context of this model has only ${contextTokens}.`, {
    reason: 'context-length',
    contextTokens,
    requestedTokens: taken,
  })
}

function settingsOf(call: Call, room: number): Omit<GenerateOptions, 'signal' | 'onResponseChunk' | 'grammar'> {
  const { temperature, topP, seed, stopSequences, reasoning, maxOutputTokens = room } = call
  return {
    maxTokens: Math.min(maxOutputTokens, room),
    ...(temperature === undefined ? undefined : { temperature }),
    ...(topP === undefined ? undefined : { topP }),
    ...(seed === undefined ? undefined : { seed }),
    ...(stopSequences === undefined ? undefined : { customStopTriggers: stopSequences }),
    ...(reasoning === undefined ? undefined : { budgets: { thoughtTokens: thoughtTokens[reasoning] } }),
  }
}

/** The reasoning budget in tokens. */
const thoughtTokens = { off: 0, low: 512, high: 8192, max: Infinity } as const satisfies Record<Reasoning, number>

function grammarOf({ output }: Call, { llama }: Loaded): Promise<LlamaGrammar> | undefined {
  if (output === undefined) return undefined
  return output.schema === undefined ? llama.getGrammarFor('json') : llama.createGrammarForJsonSchema(output.schema)
}
