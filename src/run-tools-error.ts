import type { GenerateResult } from './answer/answer.ts'
import type { Message, ToolCall } from './contract.ts'
import { UnbusyError } from './errors.ts'

export type ToolResult = ToolCall & {
  /** What `execute` answered; undefined when it threw, or had not answered when the run ended. */
  readonly result: unknown
  readonly error: unknown
}

/** One answer of the model, and what the tools said to it. */
export type ToolStep = GenerateResult & { readonly toolResults: readonly ToolResult[] }

export type Conversation = {
  readonly steps: readonly ToolStep[]
  readonly messages: readonly Message[]
}

/**
 * `runTools()` ended between its first step and its answer: the time was over, or no target answered. What was paid for until then is in
 * it. `cause` tells why; when no target answered it is the `ChainExhaustedError`.
 */
export class RunToolsError extends UnbusyError {
  override readonly name = 'RunToolsError'
  readonly #conversation: Conversation

  constructor({ steps, messages }: Conversation, cause: UnbusyError) {
    super(`runTools: no answer after ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}. ${cause.message}`, { cause })
    this.#conversation = { steps, messages }
  }

  /** The answers so far. In the last one a tool that had not answered yet has an `error` that says so. No logger shows them. */
  get steps(): readonly ToolStep[] {
    return this.#conversation.steps
  }

  /** The conversation so far, ready to be gone on with. No logger shows it. */
  get messages(): readonly Message[] {
    return this.#conversation.messages
  }

  static override isInstance(value: unknown): value is RunToolsError {
    return UnbusyError.isInstance(value) && value.name === 'RunToolsError'
  }
}
