import type { ProviderEvent, ToolCall } from '../contract.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { DeepPartial } from '../output/partial-output.ts'

type ContinuationSource = {
  readonly provider: string
  readonly model: string
  readonly targetIndex: number
  readonly attempt: number
  /** Why the answer so far broke off. */
  readonly reason: FailureReason
}

/** An event of a stream. Content comes first; `finish` comes last and exactly once. */
export type StreamEvent<Output = unknown, Call extends ToolCall = ToolCall> =
  | Extract<
      ProviderEvent,
      { type: 'response-metadata' | 'warning' | 'reasoning-delta' | 'text-delta' | 'tool-call-delta' | 'finish' }
    >
  /** A complete tool call with its input validated. */
  | ({ readonly type: 'tool-call' } & Call)
  | ([Output] extends [undefined] ? never : OutputEvent<Output>)
  /**
   * Discard the answer so far: a new attempt starts a new one. Occurs with `'restart'` and `'continue'`, and after `resume()`; with
   * `'fail'` only while nothing but reasoning was received: then `lost` is `'reasoning'`.
   */
  | (ContinuationSource & {
      readonly type: 'restart'
      readonly discardedCharacters: number
      /** Only reasoning is discarded: a reader that does not show reasoning has nothing to take back. Undefined: text is discarded too. */
      readonly lost?: 'reasoning' | undefined
    })
  /** Keep the answer so far: a new attempt continues it. Occurs with `'continue'` or `continueOnLength`, and after `resume()`. */
  | (ContinuationSource & { readonly type: 'continue'; readonly characters: number })

type OutputEvent<Output> =
  /** The value as far as received, not validated yet. It is the same growing object every time: copy what you keep. */
  | { readonly type: 'partial-output'; readonly output: DeepPartial<Output> }
  /** A complete item of `array()` that matches its schema. The answer may still break off, or fail as a whole. */
  | { readonly type: 'element'; readonly element: ElementOf<Output>; readonly index: number }

type ElementOf<Output> = unknown extends Output ? unknown : Output extends readonly (infer Element)[] ? Element : never
