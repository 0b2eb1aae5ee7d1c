import { type FailureReason, ProviderError } from '../../index.ts'
import { failureOf, inBandFailure } from '../../providers/chat-failure/failure.ts'

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
  if (!(error instanceof Error) && !hasName(error)) return inBand(error, at)
  const { name } = error as Error
  if (name === 'AI_APICallError') return ofCall(error as ApiCallError, at)
  if (name === 'AI_InvalidResponseDataError' && (error as { data?: unknown }).data === undefined)
    return new ProviderError('The answer broke off before its end.', { reason: 'truncated', status: 200 })
  const known = Object.hasOwn(named, name) ? named[name] : undefined
  if (known !== undefined)
    return new ProviderError(known[1], { reason: known[0], ...(at.answered ? { status: 200 } : undefined) })
  if (name.startsWith('AI_'))
    return new ProviderError(`The answer could not be read (${name.slice(0, 60)}).`, {
      reason: 'malformed-response',
      status: 200,
    })
  return brokenConnection(error, at)
}

function hasName(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string'
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
  if (status === undefined) return new ProviderError('The service could not be reached.', { reason: 'network' })
  if (status < 200 || status > 299) return failureOf({ status, headers, body, begun })
  // a connection that is lost in the middle of the body is reported like a body that cannot be read
  const lost = cause instanceof Error ? brokenConnection(cause, { begun, answered: true }) : undefined
  return lost ?? new ProviderError('The answer could not be read.', { reason: 'malformed-response', status })
}

/** Separates network errors from bugs: `fetch` throws a `TypeError` for the former, as bugs do. */
function brokenConnection(error: unknown, { answered }: FailedAt): ProviderError | undefined {
  const { name, message, cause } = error as Error
  const code = (cause as { readonly code?: unknown } | undefined)?.code ?? (error as { readonly code?: unknown }).code
  const isOfFetch = name === 'TypeError' && /fetch failed|terminated|network|other side closed/i.test(message)
  const isOfSocket = typeof code === 'string' && /^(?:E[A-Z]{4,}|UND_ERR_\w+)$/.test(code)
  if (!isOfFetch && !isOfSocket) return undefined
  if (!answered) return new ProviderError('The service could not be reached.', { reason: 'network' })
  return new ProviderError('The connection was lost before the end of the answer.', { reason: 'truncated', status: 200 })
}
