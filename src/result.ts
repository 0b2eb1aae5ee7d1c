import type { Answer } from './answer.ts'
import type { Fold, Prefix, ProviderEvent, Sink, ToolCall, Usage, Warning } from './contract.ts'
import { ProviderError } from './errors.ts'

/** Reads the value out of a whole answer's text; throws a `ProviderError` when it is not of the form asked for. */
export type ReadOutput = (text: string) => unknown

/** Folds the events of one attempt into an answer: the commit of `generate()`, and what `stream().result()` tells in the end. */
export type Collector = Fold<Answer> & { partial(): Prefix; isEmpty(): boolean; readonly usage: () => Usage }

export function collect(provider: string, readOutput?: ReadOutput): Collector {
  let text = ''
  let reasoningText = ''
  let finished: (ProviderEvent & { type: 'finish' }) | undefined
  let metadata: Partial<ProviderEvent & { type: 'response-metadata' }> = {}
  const toolCalls: ToolCall[] = []
  const warnings: Warning[] = []
  return {
    emit(event) {
      switch (event.type) {
        case 'text-delta':
          text += event.text
          break
        case 'reasoning-delta':
          reasoningText += event.text
          break
        case 'tool-call':
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
    partial: () => ({ text, reasoningText }),
    isEmpty: () => text === '' && reasoningText === '',
    usage: () => finished?.usage ?? {},
    finish() {
      const finishReason = finished?.finishReason ?? 'other'
      const { id, model, requestId } = metadata
      checkContent({ text, reasoningText, toolCalls, finishReason, requestId })
      const output = readOutput?.(text)
      const response = { id, model, requestId, providerMetadata: finished?.providerMetadata }
      return { text, reasoningText, toolCalls, output, finishReason, usage: finished?.usage ?? {}, warnings, response }
    },
  }
}

type Content = Pick<Answer, 'text' | 'reasoningText' | 'toolCalls' | 'finishReason'> & { readonly requestId: string | undefined }

/** An answer without content is a failed attempt, whatever status it came with. */
function checkContent({ text, reasoningText, toolCalls, finishReason, requestId }: Content): void {
  if (toolCalls.length > 0 || text.trim() !== '') return
  if (finishReason === 'content-filter') {
    throw new ProviderError("The provider's content filter withheld the answer.", {
      reason: 'content-filter',
      status: 200,
      requestId,
    })
  }
  const message =
    reasoningText === ''
      ? 'The answer has no content.'
      : finishReason === 'length'
        ? 'The model used up its output limit while thinking and never came to an answer. Raise maxOutputTokens or lower `reasoning`.'
        : 'The model only thought and gave no answer.'
  throw new ProviderError(message, { reason: 'empty', status: 200, requestId })
}

/** The commit of `generate()`: nothing is the caller's before the answer is there, complete and valid. */
export function whole(readOutput?: ReadOutput): Sink<Answer> {
  return {
    commitsAt: 'whole',
    begin: ({ provider }) => collect(provider.name, readOutput),
    mayGoOn: () => true,
  }
}
