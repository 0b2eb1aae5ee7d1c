import type { Call, FinishReason, Message, ProviderEvent, ProviderMetadata, ToolCall, Usage, Warning } from '../contract.ts'
import type { AttemptRecord, Source } from '../contract-events.ts'
import type { Failure } from '../contract-failures.ts'
import type { Costs } from '../cost.ts'

/** The answer of one attempt. */
export type Answer<Output = unknown, CalledTool extends ToolCall = ToolCall> = {
  readonly text: string
  /** The model's reasoning, if the target shows it. */
  readonly reasoningText: string
  /** The tool calls, each with its input validated by its schema. */
  readonly toolCalls: readonly CalledTool[]
  /** What the service requires back with this turn, also part of `message`. Undefined: nothing. */
  readonly providerMetadata?: ProviderMetadata | undefined
  /** The value of the schema given as `output`; undefined without one, and when the model calls tools instead. */
  readonly output: Output
  readonly finishReason: FinishReason
  readonly usage: Usage
  /** What the target could not do as requested. */
  readonly warnings: readonly Warning[]
  /** The server's own id of the answer, and the fields that it sent beyond the common ones. */
  readonly response: {
    readonly id: string | undefined
    readonly model: string | undefined
    readonly requestId: string | undefined
    readonly providerMetadata: { readonly [key: string]: unknown } | undefined
  }
}

/**
 * Collects the answer of a call: the only part in which `generate()` and `stream()` differ. The walk begins a new fold for every
 * attempt, so that no state of one attempt reaches another.
 */
export type Sink = {
  /** @param commit called once, when content of the attempt goes to the caller before the answer is complete */
  begin(source: Source, commit: () => void): Fold
  /**
   * Decides what follows a failed attempt. `reword`: ask the same target at once with a changed request. `policy`: the table decides.
   * `stop`: give up, because the caller has received content that cannot be taken back.
   *
   * @param source undefined: this target must not be asked again at once
   */
  failed(failure: Failure, source: Source | undefined): 'reword' | 'policy' | 'stop'
  /** Whether to ask the same target to continue, because the target's own output limit cut this answer. */
  wantsMore(answer: Answer, source: Source): boolean
  /** The continuation failed: returns the answer as far as it came. */
  acceptCut(answer: Answer): Answer
}

/** Collects the events of one attempt. */
export type Fold = {
  /** Changes to the call, so that the provider continues the text so far, or corrects an invalid answer. */
  readonly overrides: Partial<Pick<Call, 'prefix' | 'maxOutputTokens' | 'messages'>> | undefined
  /** The number of tokens in the answer that this attempt continues, if it continues one. */
  readonly tokensBefore?: number | undefined
  /** Returns `false` while the reader is behind. */
  emit(event: ProviderEvent): boolean
  onDrain(listener: () => void): void
  /** The provider is done: returns the complete, valid answer, or fails with a `ProviderError` that says what is wrong with it. */
  finish(): Answer | Promise<Answer>
  /** The attempt ended without an answer: no more events follow. */
  drop(): void
}

/** The result of `generate()`. */
export type GenerateResult<Output = unknown, CalledTool extends ToolCall = ToolCall> = Answer<Output, CalledTool> & {
  /**
   * The answer as a turn of the conversation, with its reasoning, tool calls and whatever the service requires back: push it into
   * `messages`. It is plain JSON.
   */
  readonly message: Extract<Message, { role: 'assistant' }>
  /** US dollars for all requests of this call, failed attempts included, as far as prices and usage are known. */
  readonly cost: number | undefined
  /** `cost` may be too high: a price changed during a request, is uncertain on that day, or has no `cachedInput`. */
  readonly costIsUpperBound: boolean
  /** The cost split into the answer's and the wasted part. */
  readonly costs: Costs
  /** The provider that answered; `default` for the default response. */
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** The index of the target among all targets, from 0; each member of a pool counts. -1 for the default response. */
  readonly targetIndex: number
  /** The index of the step in the chain, from 0; a pool is one step. Above 0, a fallback answered. -1 for the default response. */
  readonly step: number
  /** Every request made and every target skipped, in order. */
  readonly attempts: readonly AttemptRecord[]
  /** True if no target answered and this is the default response. */
  readonly degraded: boolean
}
