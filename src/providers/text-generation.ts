import type { Attempt, Call, Capabilities, Provider, ResponseHeaders, Target } from '../contract.ts'
import { ProviderError, shortName } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'
import { post } from '../http/post.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { failureOf, inBandFailure } from './chat-completions/failure.ts'
import { endOfJson, startOfJson } from './chat-completions/json-end.ts'
import { withJsonInstruction } from './chat-completions/output-format.ts'
import { isCutJson, parseJson } from './chat-completions/parse-json.ts'
import { refusal } from './chat-completions/refusal.ts'
import { callback, checkOptions, isRecord, oneOf, text } from '../check.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint, urlOf, withKey } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { free } from './prices.ts'
import { promptOf } from './prompt-of.ts'
import type { ServiceOptions } from './target.ts'
import { createTarget, serviceChecks } from './target.ts'
import { wireJson } from './wire-json.ts'

export type TextGenerationOptions = Omit<ServiceOptions, 'stream'> & {
  readonly baseURL: string
  /** @default '/generate' */
  readonly path?: string | undefined
  /** @default 'POST' */
  readonly method?: 'POST' | 'GET' | undefined
  /** `body`: the prompt is a field of a JSON body. `query`: it stands in the URL as `?prompt=`. @default 'body', with GET 'query' */
  readonly promptIn?: 'body' | 'query' | undefined
  /** The field, or the query parameter, that holds the prompt. @default 'prompt' */
  readonly promptField?: string | undefined
  /** The field of the answer that holds the text. @default 'response' */
  readonly responseField?: string | undefined
  /** What the model is called in results and events; it is not sent. @default 'default' */
  readonly model?: string | undefined
  /** How the target is called in results, events and errors. @default 'text-generation' */
  readonly name?: string | undefined
  /** Writes the conversation as one prompt. @default a single user message as it is; else turns headed by their role (see `promptOf`) */
  readonly toPrompt?: ((messages: Call['messages']) => string) | undefined
}

type Form = {
  readonly path: string
  readonly method: 'POST' | 'GET'
  readonly promptIn: 'body' | 'query'
  readonly promptField: string
  readonly responseField: string
  readonly toPrompt: (messages: Call['messages']) => string
  readonly extraBody: TextGenerationOptions['extraBody']
}

/**
 * The plain kind of server that people put before a model: `POST /generate` with `{ prompt }` answers `{ response }`. It does not
 * stream: the whole text comes as one `text-delta`. Sampling settings are not sent (`extraBody` can), and each gives a warning.
 *
 * @example
 * textGeneration({ baseURL: 'http://r1.internal:8000' })
 */
export function textGeneration(options: TextGenerationOptions): Target {
  checkOptions(options, checks, 'textGeneration')
  const { name = 'text-generation', model = 'default' } = options
  const provider = createProvider(createEndpoint(options, { service: name }), formOf(options))
  return createTarget(provider, model, { ...options, price: options.price ?? free })
}

const { stream: _, ...commonChecks } = serviceChecks

const checks = {
  ...commonChecks,
  path: text,
  method: oneOf('POST', 'GET'),
  promptIn: oneOf('body', 'query'),
  promptField: text,
  responseField: text,
  model: text,
  name: text,
  toPrompt: callback,
}

function formOf(options: TextGenerationOptions): Form {
  const { path = '/generate', method = 'POST', promptField = 'prompt', responseField = 'response', toPrompt = promptOf } = options
  const { promptIn = method === 'GET' ? 'query' : 'body', extraBody } = options
  if (method === 'GET' && promptIn === 'body') throw new TypeError("textGeneration: a GET has no body: write promptIn: 'query'.")
  return { path: path.startsWith('/') ? path : `/${path}`, method, promptIn, promptField, responseField, toPrompt, extraBody }
}

const capabilities: Capabilities = {
  stream: false,
  tools: false,
  images: false,
  reasoning: false,
  output: 'prompt',
  prefix: false,
}

function createProvider(endpoint: Endpoint, form: Form): Provider {
  return {
    name: endpoint.service,
    capabilities,
    identity: { ...endpoint.identity, path: `${endpoint.identity.path ?? ''}${form.path}` },
    // nothing comes until the whole answer is there
    timeout: { ...localTimeout, headersMs: 300_000, firstChunkMs: 300_000 },
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => withKey(endpoint, keyed => generate(call, attempt, { endpoint: keyed, form })),
    close: () => endpoint.connections.close(),
  }
}

async function generate(call: Call, attempt: Attempt, { endpoint, form }: { endpoint: Endpoint; form: Form }): Promise<void> {
  for (const setting of ['temperature', 'topP', 'maxOutputTokens', 'stopSequences', 'seed', 'reasoning'] as const) {
    if (call[setting] === undefined) continue
    const message = `${endpoint.service} takes a prompt and nothing else: it was left out. extraBody can set a field of your server.`
    attempt.emit({ type: 'warning', setting, message })
  }
  const { url, body } = requestOf(call, endpoint, form)
  await post({
    url,
    body,
    method: form.method,
    headers: endpoint.headers,
    attempt,
    connections: endpoint.connections,
    respond: (status, headers) =>
      readText({ status, headers, secrets: endpoint.secrets, attempt, responseField: form.responseField }),
  })
}

function requestOf(call: Call, endpoint: Endpoint, form: Form): { readonly url: string; readonly body: string } {
  const { messages } = withJsonInstruction(call, { ...plainDialect, capabilities })
  const prompt = form.toPrompt(messages)
  const url = new URL(urlOf(endpoint.baseURL, form.path))
  if (form.promptIn === 'query') url.searchParams.set(form.promptField, prompt)
  const fields = {
    ...(form.promptIn === 'body' ? { [form.promptField]: prompt } : undefined),
    ...form.extraBody,
    ...call.extraBody,
  }
  return { url: url.href, body: form.method === 'GET' ? '' : wireJson(fields) }
}

type Reading = {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly secrets: readonly string[]
  readonly attempt: Attempt
  readonly responseField: string
}

function readText({ status, headers, secrets, attempt, responseField }: Reading): BodyReader {
  let body = ''
  let blank = true
  let isWhole = false
  let isOver = false
  const json = startOfJson()

  const end = () => {
    if (isOver) return
    isOver = true
    if (status < 200 || status > 299) throw failureOf({ status, headers, body, secrets })
    const answer = textOf(body, responseField, status)
    if (answer.trim() === '') throw new ProviderError('The server answered with an empty text.', { reason: 'empty', status })
    attempt.emit({ type: 'text-delta', text: answer })
    attempt.emit({ type: 'finish', finishReason: 'stop' })
  }
  /** The body may stay open, or be lost, behind all that is needed of it. */
  const close = () => {
    isWhole = true
    attempt.linger?.(end, endWithinMs)
  }
  if (status < 200 || status > 299) close()

  return {
    write(part) {
      body += part
      if (!isWhole && '{['.includes(body.trimStart()[0] ?? ' ') && endOfJson(json, part) !== undefined) close()
      // a server that keeps the line alive with blanks is queueing, not answering
      blank &&= part.trim() === ''
      if (blank) attempt.emit({ type: 'queued' })
      return true
    },
    end,
    isOver: () => isOver,
    lost() {
      if (isWhole) end()
      return isOver
    },
  }
}

/** The end of a body comes right behind its last bracket, or never. */
const endWithinMs = 1_000

function textOf(body: string, responseField: string, status: number): string {
  if (body.trim() === '') throw new ProviderError('The server answered with an empty body.', { reason: 'overloaded', status })
  const answer = parsed(body, status)
  if (typeof answer === 'string') return answer
  const field = isRecord(answer) ? answer[responseField] : undefined
  if (typeof field === 'string') return field
  if (isRecord(answer) && answer['error'] !== undefined) throw inBandFailure(answer['error'], { status, headers: {} })
  const names = isRecord(answer) ? Object.keys(answer).slice(0, 8).map(shortName) : []
  const fields = names.filter(name => name !== '').join(', ')
  throw new ProviderError(
    `The answer has no text in the field '${responseField}' (its fields: ${fields === '' ? 'none that can be named' : fields}). Set the option responseField.`,
    {
      reason: 'malformed-response',
      status,
    },
  )
}

function parsed(body: string, status: number): unknown {
  try {
    return parseJson(body)
  } catch {
    // no cause: the parser's message quotes the answer
    const reason = isCutJson(body) ? 'truncated' : 'malformed-response'
    throw new ProviderError('The answer is not JSON, or it was cut.', { reason, status })
  }
}
