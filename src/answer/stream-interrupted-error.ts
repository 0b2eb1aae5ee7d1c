import type { AttemptRecord, Usage } from '../contract.ts'
import { type ChainExhaustedError, ProviderError, UnbusyError } from '../errors.ts'
import type { AnswerStream } from './answer-stream.ts'
import type { Broken } from './continuation.ts'

/**
 * A stream broke after its first content. What had come is in it: it was shown already and cannot be taken back. `cause` is the
 * `ChainExhaustedError` with every attempt.
 */
export class StreamInterruptedError extends UnbusyError {
  override readonly name = 'StreamInterruptedError'
  readonly #kept: Broken['kept']
  /** As far as it was reported before the break. */
  readonly usage: Usage
  /** Why it broke: how the attempt failed that the text is of. */
  readonly failure: ProviderError | undefined
  readonly attempts: readonly AttemptRecord[]
  /**
   * A new stream of the same call that goes on from here: first a `continue` event where a target truly can, else a `restart` event
   * and the answer anew. Its `text()` is the whole answer. `resume()` of the broken stream itself knows the types of the call too.
   */
  readonly resume: () => Promise<AnswerStream>

  constructor({ kept, failure }: Broken, cause: ChainExhaustedError, resume: () => Promise<AnswerStream>) {
    super(`The stream broke after ${kept.text.length} characters: ${failure?.message ?? cause.message}`, { cause })
    this.#kept = kept
    this.usage = kept.usage
    this.failure = ProviderError.isInstance(failure) ? failure : undefined
    this.attempts = cause.attempts
    this.resume = resume
  }

  /** What had come. No logger shows it: an answer may quote the prompt. */
  get text(): string {
    return this.#kept.text
  }

  get reasoningText(): string {
    return this.#kept.reasoningText
  }

  static override isInstance(value: unknown): value is StreamInterruptedError {
    return UnbusyError.isInstance(value) && value.name === 'StreamInterruptedError'
  }
}
