import { UnbusyError } from '../../errors.ts'

export type RequestErrorOptions = {
  /** The path of the field that is wrong, for example `messages[0].content`. */
  readonly param?: string | undefined
  /** @default 400 */
  readonly status?: number | undefined
  /** @default 'invalid_request' */
  readonly code?: string | undefined
  /** Headers that belong to the status. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The request cannot be served as it is. The message is sent to the client and says what to write instead. */
export class RequestError extends UnbusyError {
  override readonly name = 'RequestError'
  readonly param: string | undefined
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(message: string, { param, status = 400, code = 'invalid_request', headers = {} }: RequestErrorOptions = {}) {
    super(message)
    this.param = param
    this.status = status
    this.code = code
    this.headers = headers
  }

  static override isInstance(value: unknown): value is RequestError {
    return UnbusyError.isInstance(value) && value.name === 'RequestError'
  }
}
