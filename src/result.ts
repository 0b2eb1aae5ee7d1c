import { addUsage } from './add-usage.ts'
import type { Answer } from './answer.ts'
import type { Fold, ProviderEvent, Source, ToolCall, Warning } from './contract.ts'
import { ProviderError } from './errors.ts'
import { type AnswerForm, inForm } from './output/answer-form.ts'
import type { Kept } from './seam.ts'

export type CollectOptions = {
  readonly source: Source
  /** Undefined: a plain text will do. */
  readonly form?: AnswerForm | undefined
  /** What there is already of the answer that this attempt goes on with. */
  readonly from?: Kept | undefined
}

/** Folds the events of one attempt into an answer: the commit of `generate()`, and what `stream().result()` tells in the end. */
export type Collector = Fold<Answer> & { kept(): Kept }

export function collect({ source, form, from }: CollectOptions): Collector {
  let { text, reasoningText, hasToolCall } = from ?? { text: '', reasoningText: '', hasToolCall: false }
  let chunks = 0
  let finished: (ProviderEvent & { type: 'finish' }) | undefined
  let metadata: Partial<ProviderEvent & { type: 'response-metadata' }> = {}
  const toolCalls: ToolCall[] = []
  const warnings: Warning[] = []
  const { name: provider, capabilities } = source.provider
  const usage = () => addUsage(from?.usage ?? {}, finished?.usage ?? {})
  // a delta may hold many tokens: what the server counted comes before what we did
  const tokens = () => (from?.tokens ?? 0) + Math.max(chunks, finished?.usage?.outputTokens ?? 0)
  return {
    emit(event) {
      switch (event.type) {
        case 'text-delta':
          text += event.text
          chunks += 1
          break
        case 'reasoning-delta':
          reasoningText += event.text
          chunks += 1
          break
        case 'tool-call-delta':
          hasToolCall = true
          break
        case 'tool-call':
          hasToolCall = true
          toolCalls.push({ toolCallId: event.toolCallId, toolName: event.toolName, input: event.input })
          break
        case 'response-metadata':
          metadata = { ...metadata, ...event }
          break
        case 'warning':
          warnings.push({ provider, setting: event.setting, message: event.message })
          break
        case 'finish':
          finished = event
          break
        default:
      }
      return true
    },
    onDrain() {},
    kept: () => ({ text, reasoningText, tokens: tokens(), hasToolCall, usage: usage() }),
    finish() {
      const finishReason = finished?.finishReason ?? 'other'
      const { id, model, requestId } = metadata
      checkContent({ text, reasoningText, toolCalls, finishReason, requestId })
      const response = { id, model, requestId, providerMetadata: finished?.providerMetadata }
      const answer = { text, reasoningText, toolCalls, output: undefined, finishReason, usage: usage(), warnings, response }
      if (form === undefined) return answer
      return inForm<Answer>(answer, form, { isForced: capabilities?.output === 'json-schema', finishReason, requestId })
    },
  }
}

type Content = Pick<Answer, 'text' | 'reasoningText' | 'toolCalls' | 'finishReason'> & { readonly requestId: string | undefined }

/** An answer without content is a failed attempt, whatever status it came with. */
function checkContent({ text, reasoningText, toolCalls, finishReason, requestId }: Content): void {
  if (toolCalls.length > 0 || text.trim() !== '') return
  if (finishReason === 'content-filter') {
    const message = "The provider's content filter withheld the answer."
    throw new ProviderError(message, { reason: 'content-filter', status: 200, requestId })
  }
  const message =
    reasoningText === ''
      ? 'The answer has no content.'
      : finishReason === 'length'
        ? 'The model used up its output limit while thinking and never came to an answer. Raise maxOutputTokens or lower `reasoning`.'
        : 'The model only thought and gave no answer.'
  throw new ProviderError(message, { reason: 'empty', status: 200, requestId })
}
