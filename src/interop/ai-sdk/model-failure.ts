import { ChainExhaustedError, type FailureReason, ProviderError, StreamInterruptedError, UnbusyError } from '../../index.ts'
import { failureOf, inBandFailure } from '../../providers/chat-failure/failure.ts'
import { CannotTakeBack } from '../cannot-take-back.ts'

/** Errors of the AI SDK by name, because several copies of its classes may be loaded and none is imported here. */
const named: Readonly<Record<string, readonly [reason: FailureReason, message: string]>> = {
  AI_LoadAPIKeyError: ['authentication', 'The model of the AI SDK has no API key.'],
  AI_LoadSettingError: ['authentication', 'A setting of the model of the AI SDK is missing.'],
  AI_NoSuchModelError: ['not-found', 'The model does not exist.'],
  AI_NoSuchProviderReferenceError: ['invalid-request', 'This service does not know a file of the request.'],
  AI_UnsupportedFunctionalityError: ['invalid-request', 'The model of the AI SDK cannot do what the request asks.'],
  AI_InvalidPromptError: ['invalid-request', 'The model of the AI SDK refuses the prompt.'],
  AI_InvalidArgumentError: ['invalid-request', 'The model of the AI SDK refuses an option of the request.'],
  AI_TooManyEmbeddingValuesForCallError: ['invalid-request', 'The model of the AI SDK refuses the request.'],
  AI_NoContentGeneratedError: ['empty', 'The answer has no content.'],
}

export type FailedAt = {
  /** Whether part of an answer arrived before the failure. */
  readonly begun: boolean
  /** Whether the response headers arrived, so that the failure is in the body. */
  readonly answered: boolean
}

/**
 * Converts an error that a model threw, or sent in an `error` part, to a failure; `undefined` if it is a bug and not a failure. The original
 * error is not kept as the cause: it contains the whole prompt (`requestBodyValues`), and loggers print causes.
 */
export function failureFrom(error: unknown, at: FailedAt): ProviderError | undefined {
  if (ProviderError.isInstance(error)) return error
  if (UnbusyError.isInstance(error)) return ofInnerChain(error)
  if (!(error instanceof Error) && !hasName(error)) return inBand(error, at)
  const call = apiCallIn(error)
  if (call !== undefined) return ofCall(call, at)
  return ofAiSdk(error, at) ?? brokenConnection(error, at) ?? ofOtherPackage(error, at)
}

function ofAiSdk(error: { readonly name: string; readonly data?: unknown }, { answered }: FailedAt): ProviderError | undefined {
  const { name } = error
  if (name === 'AI_InvalidResponseDataError' && error.data === undefined)
    return new ProviderError('The answer broke off before its end.', { reason: 'truncated', status: 200 })
  const known = Object.hasOwn(named, name) ? named[name] : undefined
  if (known !== undefined) return new ProviderError(known[1], { reason: known[0], ...(answered ? { status: 200 } : undefined) })
  // a body that is no JSON is a `SyntaxError` in packages that parse it themselves
  if (!name.startsWith('AI_') && name !== 'SyntaxError') return undefined
  return new ProviderError(`The answer could not be read (${name.slice(0, 60)}).`, { reason: 'malformed-response', status: 200 })
}

function hasName(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string'
}

/** The model is `unbusy()`: the failure of its chain is a failure of this target. */
function ofInnerChain(error: UnbusyError): ProviderError | undefined {
  const message = 'The chain of this model gave no answer.'
  if (ChainExhaustedError.isInstance(error)) {
    const { reason, status, retryAfterMs } = error
    return new ProviderError(message, { reason, status, retryAfterMs })
  }
  if (StreamInterruptedError.isInstance(error))
    return new ProviderError(message, { reason: error.failure?.reason ?? 'truncated', status: 200 })
  return CannotTakeBack.isInstance(error) ? new ProviderError(message, { reason: error.reason, status: 200 }) : undefined
}

type WithCause = { readonly name: string; readonly cause?: unknown }

/** The gateway of Vercel puts errors of its own around the one of the call. */
function apiCallIn(error: WithCause): ApiCallError | undefined {
  if (error.name === 'AI_APICallError') return error
  return /^Gateway\w*Error$/.test(error.name) && hasName(error.cause) ? apiCallIn(error.cause) : undefined
}

type OtherError = {
  readonly name: string
  readonly message?: unknown
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly status?: unknown
  readonly $metadata?: { readonly httpStatusCode?: unknown } | undefined
}

/** What JavaScript itself throws where a program is wrong. */
const bugs: ReadonlySet<string> = new Set(['TypeError', 'RangeError', 'ReferenceError', 'EvalError', 'URIError'])

/** Models also come from packages that throw errors of their own: the status of one says most, and otherwise its words. */
function ofOtherPackage(error: OtherError, at: FailedAt): ProviderError | undefined {
  const { name, message, code } = error
  if (bugs.has(name)) return undefined
  const words = { message: wordsIn(message), code: wordsIn(code), type: name === 'Error' ? '' : name }
  const status = [error.statusCode, error.status, error.$metadata?.httpStatusCode].find(isFailed)
  if (status !== undefined) return failureOf({ status, headers: {}, body: JSON.stringify({ error: words }), begun: at.begun })
  const { reason, retryAfterMs, said } = inBand(words, at)
  return new ProviderError('The model of the AI SDK failed.', {
    reason,
    retryAfterMs,
    said,
    ...(at.answered ? { status: 200 } : undefined),
  })
}

function wordsIn(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function isFailed(status: unknown): status is number {
  return Number.isInteger(status) && Number(status) >= 400 && Number(status) <= 599
}

/** Reads a string, or the service's JSON, like an error inside a response with status 200. */
function inBand(error: unknown, { begun }: FailedAt): ProviderError {
  return inBandFailure(error, { status: 200, headers: {}, begun })
}

type ApiCallError = {
  readonly statusCode?: number | undefined
  readonly responseHeaders?: Readonly<Record<string, string>> | undefined
  readonly responseBody?: string | undefined
  readonly cause?: unknown
}

function ofCall(
  { statusCode: status, responseHeaders: headers = {}, responseBody: body = '', cause }: ApiCallError,
  { begun }: FailedAt,
): ProviderError {
  const lost = cause instanceof Error ? brokenConnection(cause, { begun, answered: status !== undefined }) : undefined
  if (status === undefined) return lost ?? new ProviderError('The service could not be reached.', { reason: 'network' })
  if (status < 200 || status > 299) return failureOf({ status, headers, body, begun })
  // a connection that is lost in the middle of the body is reported like a body that cannot be read
  return lost ?? new ProviderError('The answer could not be read.', { reason: 'malformed-response', status })
}

/** Separates network errors from bugs: `fetch` throws a `TypeError` for the former, as bugs do. */
function brokenConnection(error: unknown, { answered }: FailedAt): ProviderError | undefined {
  const { name, message, cause } = error as Error
  const code = (cause as { readonly code?: unknown } | undefined)?.code ?? (error as { readonly code?: unknown }).code
  // the model has a limit of its own: the signal of the attempt has not fired
  if (/^(?:Abort|Timeout)Error$/.test(name) || /^UND_ERR_\w+_TIMEOUT$/.test(String(code)))
    return new ProviderError('The model of the AI SDK gave up waiting.', {
      reason: 'timeout',
      ...(answered ? { status: 200 } : undefined),
    })
  const isOfFetch = name === 'TypeError' && /fetch failed|terminated|network|other side closed/i.test(message)
  const isOfSocket = typeof code === 'string' && /^(?:E[A-Z]{4,}|UND_ERR_\w+)$/.test(code)
  if (!isOfFetch && !isOfSocket) return undefined
  if (!answered) return new ProviderError('The service could not be reached.', { reason: 'network' })
  return new ProviderError('The connection was lost before the end of the answer.', { reason: 'truncated', status: 200 })
}
