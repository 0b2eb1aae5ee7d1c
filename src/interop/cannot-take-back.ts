import { type FailureReason, UnbusyError } from '../index.ts'

/** Content that was already sent is void or wrong. A reader that joins all text would take the result for a valid answer. */
export class CannotTakeBack extends UnbusyError {
  override readonly name = 'CannotTakeBack'
  readonly reason: FailureReason

  constructor(reason: FailureReason) {
    super('The answer broke off and would begin again, but the text that was sent cannot be taken back.')
    this.reason = reason
  }

  static override isInstance(value: unknown): value is CannotTakeBack {
    return UnbusyError.isInstance(value) && value.name === 'CannotTakeBack'
  }
}
