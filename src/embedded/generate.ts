import type { Attempt, Call, FinishReason, Reasoning } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { chatHistory } from './chat-history.ts'
import type { Engine } from './engine.ts'
import type { Loaded } from './load-model.ts'
import type { GenerateOptions, LlamaChat, LlamaGrammar, LlamaSequence } from './node-llama-cpp.ts'

/** One answer of the model in this process. */
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

/** Its words may quote the prompt or a schema, so they are no part of the message. */
function failed(error: unknown): ProviderError {
  const said = error instanceof Error ? error.message : String(error)
  return new ProviderError('node-llama-cpp failed. What it said is in `said`.', { reason: 'server-error', said })
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
        // the answer cannot be paused: what a slow reader leaves is kept, and maxTokens bounds it
        if (segmentType === undefined) speech.add(text)
        else attempt.emit({ type: 'reasoning-delta', text })
      },
    })
    attempt.signal.throwIfAborted()
    const finishReason: FinishReason = metadata.stopReason === 'maxTokens' ? 'length' : 'stop'
    if (!speech.begun() && finishReason !== 'length')
      throw new ProviderError('The model ended its answer without a word.', { reason: 'empty' })
    const { usedInputTokens: inputTokens, usedOutputTokens: outputTokens } = sequence.tokenMeter.diff(before)
    attempt.emit({ type: 'finish', finishReason, usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens } })
  } finally {
    chat.dispose()
  }
}

/** Blanks alone are no content: they wait for the text that they belong to (R44, R47). */
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

/** How many tokens are left for the answer. Without this look the library would drop the beginning of the conversation in silence. */
function roomFor(chat: LlamaChat, history: ReturnType<typeof chatHistory>, { model, contextTokens }: Loaded): number {
  const taken = chat.chatWrapper.generateContextState({ chatHistory: history }).contextText.tokenize(model.tokenizer).length
  if (taken < contextTokens) return contextTokens - taken
  throw new ProviderError(`The conversation takes ${taken} tokens, the context of this model has ${contextTokens}.`, {
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

/** Tokens to think with. */
const thoughtTokens = { off: 0, low: 512, high: 8192, max: Infinity } as const satisfies Record<Reasoning, number>

function grammarOf({ output }: Call, { llama }: Loaded): Promise<LlamaGrammar> | undefined {
  if (output === undefined) return undefined
  return output.schema === undefined ? llama.getGrammarFor('json') : llama.createGrammarForJsonSchema(output.schema)
}
