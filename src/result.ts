import type { AttemptRecord, FinishReason, Fold, Prefix, Price, ProviderEvent, Sink, ToolCall, Usage, Warning } from './contract.ts'
import { ProviderError } from './errors.ts'

/** What one attempt has answered. */
export type Answer<Output = unknown> = {
  readonly text: string
  /** What the model thought, where the target shows it. */
  readonly reasoningText: string
  readonly toolCalls: readonly ToolCall[]
  /** The value of the schema given as `output`; undefined without one. */
  readonly output: Output
  readonly finishReason: FinishReason
  readonly usage: Usage
  /** What could not be done as asked. */
  readonly warnings: readonly Warning[]
  /** The server's own id of the answer, and what it sent beyond the common fields. */
  readonly response: {
    readonly id: string | undefined
    readonly model: string | undefined
    readonly requestId: string | undefined
    readonly providerMetadata: { readonly [key: string]: unknown } | undefined
  }
}

/** What `generate()` resolves to. */
export type GenerateResult<Output = unknown> = Answer<Output> & {
  /** US dollars for everything this call used, failed attempts included, as far as prices and usage are known. */
  readonly cost: number | undefined
  /** Who answered; `default` when it is the default response. */
  readonly provider: string
  readonly model: string
  /** The place of the target in the chain, from 0; -1 for the default response. */
  readonly targetIndex: number
  /** Every request made and every target passed over, in order. */
  readonly attempts: readonly AttemptRecord[]
  /** True when no target answered and this is the default response. */
  readonly degraded: boolean
}

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
    throw new ProviderError("The provider's content filter withheld the answer.", { reason: 'content-filter', status: 200, requestId })
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

/** US dollars for every attempt that reported its usage; undefined where the one that answered has no price or no usage. */
export function costOf(attempts: readonly AttemptRecord[], targets: readonly { readonly price: Price | undefined }[]): number | undefined {
  let cost = 0
  for (const { usage, targetIndex, outcome } of attempts) {
    const price = targets[targetIndex]?.price
    if (price !== undefined && usage?.outputTokens !== undefined) cost += priceOf(usage, price)
    else if (outcome === 'answered') return undefined
  }
  return cost
}

function priceOf(usage: Usage, price: Price): number {
  const { inputTokens = 0, cachedInputTokens = 0, outputTokens = 0 } = usage
  const cached = price.cachedInput ?? price.input
  return ((inputTokens - cachedInputTokens) * price.input + cachedInputTokens * cached + outputTokens * price.output) / 1_000_000
}

/** The default response in the form of a result. */
export function defaultResult(value: unknown, attempts: readonly AttemptRecord[], cost: number | undefined): GenerateResult {
  const isText = typeof value === 'string'
  return {
    text: isText ? value : JSON.stringify(value),
    ...{ reasoningText: '', toolCalls: [], output: isText ? undefined : value, finishReason: 'stop', usage: {}, warnings: [] },
    response: { id: undefined, model: undefined, requestId: undefined, providerMetadata: undefined },
    ...{ cost, provider: 'default', model: 'default', targetIndex: -1, attempts, degraded: true },
  }
}
