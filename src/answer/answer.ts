import type {
  AttemptRecord,
  Call,
  Failure,
  FinishReason,
  Price,
  ProviderEvent,
  Source,
  ToolCall,
  Usage,
  Warning,
} from '../contract.ts'

/** What one attempt has answered. */
export type Answer<Output = unknown, CalledTool extends ToolCall = ToolCall> = {
  readonly text: string
  /** What the model thought, where the target shows it. */
  readonly reasoningText: string
  /** Each with its input validated by its schema. */
  readonly toolCalls: readonly CalledTool[]
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

/**
 * The commit of a call: all that `generate()` and `stream()` differ in. The walk asks it for a fresh fold for every attempt, so that no
 * state of one attempt reaches another.
 */
export type Sink = {
  /** @param commit to be called once, when what the attempt emits becomes the caller's before it is whole */
  begin(source: Source, commit: () => void): Fold
  /**
   * An attempt failed. `reword`: ask the same target at once, in another way. `policy`: the table decides. `stop`: the caller holds a
   * part that cannot be taken back.
   *
   * @param source undefined: this target cannot be asked at once
   */
  failed(failure: Failure, source: Source | undefined): 'reword' | 'policy' | 'stop'
  /** This answer is whole, but was cut by the target's own limit: ask the same target to continue. */
  wantsMore(answer: Answer, source: Source): boolean
  /** The continuation failed: the answer as far as it came. */
  settleFor(answer: Answer): Answer
}

/** What one attempt's events are folded into. */
export type Fold = {
  /** What the call is changed by, so that the provider continues what there is already, or knows what was wrong with it. */
  readonly overrides: Partial<Pick<Call, 'prefix' | 'maxOutputTokens' | 'messages'>> | undefined
  /** Returns `false` while the reader is behind. */
  emit(event: ProviderEvent): boolean
  onDrain(listener: () => void): void
  /** The provider is done: the whole valid answer, or a `ProviderError` that says what is wrong with it. */
  finish(): Answer | Promise<Answer>
  /** The attempt is over without an answer: nothing more comes. */
  drop(): void
}

/** What `generate()` resolves to. */
export type GenerateResult<Output = unknown, CalledTool extends ToolCall = ToolCall> = Answer<Output, CalledTool> & {
  /** US dollars for everything this call used, failed attempts included, as far as prices and usage are known. */
  readonly cost: number | undefined
  /** Who answered; `default` when it is the default response. */
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** The place of the target among all targets, from 0, members of pools counted one by one; -1 for the default response. */
  readonly targetIndex: number
  /** The place in the chain, from 0; a pool is one step. Above 0 another step than the first has answered. -1 for the default response. */
  readonly step: number
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
    ...{ cost, provider: 'default', model: 'default', name: undefined, targetIndex: -1, step: -1, attempts, degraded: true },
  }
}
