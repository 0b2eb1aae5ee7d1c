import type { Usage } from '../contract.ts'
import type { AttemptRecord } from '../contract-events.ts'
import { type ChainExhaustedError, ProviderError, UnbusyError } from '../errors.ts'
import type { AnswerStream } from './answer-stream.ts'
import type { Broken } from './continuation.ts'

/**
 * A stream broke off after its first content. The error has the text so far, which the reader has already received. `cause` is the
 * `ChainExhaustedError` with every attempt.
 */
export class StreamInterruptedError extends UnbusyError {
  override readonly name = 'StreamInterruptedError'
  readonly #kept: Broken['kept']
  /** The usage that was reported before the break. */
  readonly usage: Usage
  /** Why the stream broke off: the failure of the attempt that produced the text. */
  readonly failure: ProviderError | undefined
  readonly attempts: readonly AttemptRecord[]
  /**
   * Starts a new stream of the same call that resumes the answer: it begins with a `continue` event if a target can continue, else with a
   * `restart` event and a new answer. Its `text()` is the whole answer. `resume()` of the broken stream has the types of the call too.
   */
  readonly resume: () => Promise<AnswerStream>

  constructor({ kept, failure }: Broken, cause: ChainExhaustedError, resume: () => Promise<AnswerStream>) {
    super(`The stream broke off after ${kept.text.length} characters: ${failure?.message ?? cause.message}`, { cause })
    this.#kept = kept
    this.usage = kept.usage
    this.failure = ProviderError.isInstance(failure) ? failure : undefined
    this.attempts = cause.attempts
    this.resume = resume
  }

  /** The text received before the break. No logger shows it: an answer may quote the prompt. */
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
