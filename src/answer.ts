import type { AttemptRecord, FinishReason, Price, ToolCall, Usage, Warning } from './contract.ts'

/** What one attempt has answered. */
export type Answer<Output = unknown, Call extends ToolCall = ToolCall> = {
  readonly text: string
  /** What the model thought, where the target shows it. */
  readonly reasoningText: string
  /** Each with its input validated by its schema. */
  readonly toolCalls: readonly Call[]
  /** The value of the schema given as `output`; undefined without one, and when the model calls tools instead. */
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
export type GenerateResult<Output = unknown, Call extends ToolCall = ToolCall> = Answer<Output, Call> & {
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

/** US dollars for every attempt that reported its usage; undefined where the one that answered has no price or no usage. */
export function costOf(
  attempts: readonly AttemptRecord[],
  targets: readonly { readonly price: Price | undefined }[],
): number | undefined {
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

export type Substitute = {
  readonly value: unknown
  /** The value is one of the schema that was given as `output`; else a text is the text of the answer. */
  readonly isTyped: boolean
  readonly attempts: readonly AttemptRecord[]
  readonly cost: number | undefined
}

/** The default response in the form of a result. */
export function defaultResult({ value, isTyped, attempts, cost }: Substitute): GenerateResult {
  const isText = typeof value === 'string'
  return {
    text: isText ? value : JSON.stringify(value),
    ...{ reasoningText: '', toolCalls: [], finishReason: 'stop', usage: {}, warnings: [] },
    output: isText && !isTyped ? undefined : value,
    response: { id: undefined, model: undefined, requestId: undefined, providerMetadata: undefined },
    ...{ cost, provider: 'default', model: 'default', targetIndex: -1, attempts, degraded: true },
  }
}
