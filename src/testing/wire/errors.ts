/**
 * The error bodies of each service by status, taken from their documentation and public issue threads. A status that a service was
 * never seen to send gets the service's general error format.
 */

type ErrorRow = { readonly message: string; readonly type: string; readonly code?: string | number | null }
type ErrorTable = { readonly [status: number]: ErrorRow }

/** `code` is nearly always `invalid_request_error`, whatever the status; the type of 402 is `unknown_error`. */
const deepseekRows: ErrorTable = {
  400: { message: 'Failed to deserialize the JSON body into the target type', type: 'invalid_request_error' },
  401: { message: 'Authentication Fails, Your api key: ****test is invalid', type: 'authentication_error' },
  402: { message: 'Insufficient Balance', type: 'unknown_error' },
  404: { message: 'Not Found', type: 'invalid_request_error' },
  422: { message: 'Invalid temperature value, the valid range of temperature is [0, 2]', type: 'invalid_request_error' },
  429: {
    message:
      'Too many requests. Your current concurrency is 26, which exceeds your concurrency limit of 25 based on your remaining balance. Please top up for more.',
    type: 'rate_limit_error',
  },
  500: { message: 'Internal Server Error', type: 'internal_error' },
  503: {
    message: 'Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.',
    type: 'service_unavailable_error',
    code: 'service_unavailable_error',
  },
}

const openaiRows: ErrorTable = {
  400: { message: "Invalid value for 'temperature'.", type: 'invalid_request_error', code: 'invalid_value' },
  401: { message: 'Incorrect API key provided: sk-t**test.', type: 'invalid_request_error', code: 'invalid_api_key' },
  402: {
    message: 'Your account is not active, please check your billing details.',
    type: 'billing_error',
    code: 'billing_not_active',
  },
  403: {
    message: 'Country, region, or territory not supported',
    type: 'request_forbidden',
    code: 'unsupported_country_region_territory',
  },
  404: {
    message: 'The model `gpt-none` does not exist or you do not have access to it.',
    type: 'invalid_request_error',
    code: 'model_not_found',
  },
  429: { message: 'Rate limit reached for requests.', type: 'requests', code: 'rate_limit_exceeded' },
  500: { message: 'The server had an error while processing your request.', type: 'server_error', code: null },
  503: { message: 'The server is currently overloaded.', type: 'service_unavailable_error', code: 'server_is_overloaded' },
}

const llamaRows: ErrorTable = {
  400: { message: 'Failed to parse grammar', type: 'invalid_request_error' },
  401: { message: 'Invalid API Key', type: 'authentication_error' },
  404: { message: 'File Not Found', type: 'not_found_error' },
  500: { message: 'failed to decode the batch', type: 'server_error' },
  501: { message: 'This feature is disabled', type: 'not_supported_error' },
  503: { message: 'Loading model', type: 'unavailable_error' },
}

const vllmRows: ErrorTable = {
  400: { message: 'temperature must be non-negative', type: 'BadRequestError' },
  404: { message: 'The model `none` does not exist.', type: 'NotFoundError' },
  500: { message: 'EngineCore encountered an issue.', type: 'InternalServerError' },
  503: { message: 'The number of queued requests has reached its limit.', type: 'ServiceUnavailableError' },
}

const ollamaRows: ErrorTable = {
  400: { message: 'invalid options', type: 'invalid_request_error' },
  404: { message: "model 'none' not found", type: 'not_found_error' },
  500: { message: 'llama runner process has terminated', type: 'api_error' },
  // Ollama's message has two spaces here.
  503: { message: 'server busy, please try again.  maximum pending requests exceeded', type: 'api_error' },
}

export function deepseekError(status: number): unknown {
  const { message, type, code = 'invalid_request_error' } = rowOf(deepseekRows, status)
  return { error: { message, type, param: null, code } }
}

export function openaiError(status: number): unknown {
  const { message, type, code = null } = rowOf(openaiRows, status)
  return { error: { message, type, param: null, code } }
}

/** `code` is the status as a number. */
export function llamaError(status: number): unknown {
  const { message, type } = rowOf(llamaRows, status)
  return { error: { code: status, message, type } }
}

/** For a missing key, vLLM sends a plain string instead of the object. */
export function vllmError(status: number): unknown {
  if (status === 401) return { error: 'Unauthorized' }
  const { message, type } = rowOf(vllmRows, status)
  return { error: { message, type, param: null, code: status } }
}

/** A flat object, not nested under `error`. */
export function sglangError(status: number): unknown {
  if (status === 401) return { error: 'Unauthorized' }
  const message = status === 503 ? 'The request queue is full.' : rowOf(vllmRows, status).message
  return { object: 'error', message, type: String(status), param: null, code: status }
}

export function ollamaError(status: number): unknown {
  const { message, type } = rowOf(ollamaRows, status)
  return { error: { message, type, param: null, code: null } }
}

/** The native endpoints send the error as a string. */
export function ollamaNativeError(status: number): unknown {
  return { error: rowOf(ollamaRows, status).message }
}

function rowOf(table: ErrorTable, status: number): ErrorRow {
  return (
    table[status] ?? {
      message: `Request failed with status ${status}.`,
      type: status >= 500 ? 'server_error' : 'invalid_request_error',
    }
  )
}
