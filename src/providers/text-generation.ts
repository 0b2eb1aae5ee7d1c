import { callback, checkOptions, group, oneOf, returnedText, text } from '../check.ts'
import type { Attempt, Call, Capabilities, Message, Provider } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { post } from '../http/post.ts'
import { guarded } from './answer-guard.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { withJsonInstruction } from './chat-request/structured-output.ts'
import { refusal } from './chat-request/encode.ts'
import { dialectChecks } from './dialect-options.ts'
import { createEndpoint, type Endpoint, urlOf, withKey } from './endpoint.ts'
import { localTimeout } from './local-server.ts'
import { free } from './prices.ts'
import { mergeBody, wireJson } from './json.ts'
import { createTarget, serviceChecks, type ServiceOptions } from './target.ts'
import { readText } from './text-generation-answer.ts'

const sampling = ['temperature', 'topP', 'maxOutputTokens', 'stopSequences', 'seed'] as const

/** Options of `textGeneration()`. */
export type TextGenerationOptions = Omit<ServiceOptions, 'stream'> & {
  readonly baseURL: string
  /** @default '/generate' */
  readonly path?: string | undefined
  /** @default 'POST' */
  readonly method?: 'POST' | 'GET' | undefined
  /**
   * `body`: the prompt is a field of a JSON body. `query`: the prompt is in the URL as `?prompt=`.
   * @default 'body', with GET 'query'
   */
  readonly promptIn?: 'body' | 'query' | undefined
  /** The field, or the query parameter, that holds the prompt. @default 'prompt' */
  readonly promptField?: string | undefined
  /** The field of the answer that holds the text. @default 'response' */
  readonly responseField?: string | undefined
  /** The model's name in results and events; it is not sent. @default 'default' */
  readonly model?: string | undefined
  /** The target's name in results, events and errors. @default 'text-generation' */
  readonly name?: string | undefined
  /**
   * Treat `<think>` at the beginning of the text, or a `</think>` that was never opened, as reasoning. `opened`: the template
   * opens the tag itself, so only the end tag appears. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /**
   * The server's names for settings, for example `{ maxOutputTokens: 'max_tokens' }`. A setting without a name here is omitted,
   * with a warning. @default none
   */
  readonly fields?: Readonly<Partial<Record<(typeof sampling)[number], string>>> | undefined
  /**
   * Writes the conversation as one prompt.
   * @default the instructions, then a single user message unchanged; a conversation as `User: ...` and `Assistant: ...`, ending in `Assistant:`
   */
  readonly toPrompt?: ((messages: Call['messages']) => string) | undefined
}

type Form = {
  readonly path: string
  readonly method: 'POST' | 'GET'
  readonly promptIn: 'body' | 'query'
  readonly promptField: string
  readonly responseField: string
  readonly toPrompt: (messages: Call['messages']) => string
  readonly thinkTags: boolean | 'opened'
  readonly fields: NonNullable<TextGenerationOptions['fields']>
  readonly extraBody: TextGenerationOptions['extraBody']
}

/**
 * A minimal custom server in front of a model: `POST /generate` with `{ prompt }` answers `{ response }`. It is not asked to
 * stream. Sampling settings are sent if `fields` names them; each other setting gives a warning.
 *
 * @example
 * textGeneration({ baseURL: 'http://r1.internal:8000' })
 */
export function textGeneration(options: TextGenerationOptions): Target {
  checkOptions(options, checks, 'textGeneration')
  const { name = 'text-generation', model = 'default' } = options
  // such a service runs under uvicorn, and its whole answers are silent until they are there
  const provider = createProvider(createEndpoint(options, { service: name, drains: true }), formOf(options))
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
  thinkTags: dialectChecks.thinkTags,
  fields: group(Object.fromEntries(sampling.map(setting => [setting, text]))),
}

function formOf(options: TextGenerationOptions): Form {
  const { path = '/generate', method = 'POST', promptField = 'prompt', responseField = 'response', toPrompt = promptOf } = options
  const { promptIn = method === 'GET' ? 'query' : 'body' } = options
  if (method === 'GET' && promptIn === 'body')
    throw new TypeError("textGeneration: a GET request has no body. Write promptIn: 'query'.")
  return {
    ...{ path: path.startsWith('/') ? path : `/${path}`, method, promptIn, promptField, responseField },
    ...{ toPrompt, extraBody: options.extraBody, ...readingOf(options) },
  }
}

function readingOf({ thinkTags = true, fields = {} }: TextGenerationOptions): Pick<Form, 'thinkTags' | 'fields'> {
  return { thinkTags, fields }
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
    // nothing arrives until the whole answer is complete
    timeout: { ...localTimeout, headersMs: 300_000, firstChunkMs: 300_000 },
    refuse: call => refusal(call, capabilities, endpoint),
    stream: (call, attempt) => withKey(endpoint, keyed => generate(call, attempt, { endpoint: keyed, form })),
    check: () => endpoint.connections.check(),
    close: () => endpoint.connections.close(),
  }
}

async function generate(call: Call, attempt: Attempt, { endpoint, form }: { endpoint: Endpoint; form: Form }): Promise<void> {
  for (const setting of [...sampling, 'reasoning'] as const) {
    if (call[setting] === undefined || (setting !== 'reasoning' && form.fields[setting] !== undefined)) continue
    const message = `${endpoint.service} has no field for it, so it was left out. Name one in the option fields, or set one in extraBody.`
    attempt.emit({ type: 'warning', setting, message })
  }
  const { url, body, prompt } = requestOf(call, endpoint, form)
  const { responseField, thinkTags } = form
  await post({
    url,
    body,
    method: form.method,
    headers: endpoint.headers,
    attempt,
    connections: endpoint.connections,
    respond: (status, headers) =>
      guarded(attempt, status, ways =>
        readText({ status, headers, secrets: endpoint.secrets, ...ways, responseField, thinkTags, prompt }),
      ),
  })
}

function requestOf(
  call: Call,
  endpoint: Endpoint,
  form: Form,
): { readonly url: string; readonly body: string; readonly prompt: string } {
  const { messages } = withJsonInstruction(call, { ...plainDialect, capabilities })
  const prompt = returnedText(form.toPrompt(messages), `${endpoint.service}: toPrompt`)
  const url = new URL(urlOf(endpoint.baseURL, form.path))
  if (form.promptIn === 'query') url.searchParams.set(form.promptField, prompt)
  const settings = Object.fromEntries(
    sampling.flatMap(setting => {
      const field = form.fields[setting]
      return field === undefined || call[setting] === undefined ? [] : [[field, call[setting]] as const]
    }),
  )
  if (form.method === 'GET') for (const [field, value] of Object.entries(settings)) url.searchParams.set(field, String(value))
  const own = { ...(form.promptIn === 'body' ? { [form.promptField]: prompt } : undefined), ...settings }
  const body = form.method === 'GET' ? '' : wireJson(mergeBody(own, form.extraBody, call.extraBody))
  return { url: url.href, body, prompt }
}

/**
 * Writes a conversation as one text, for servers that take a prompt without roles. A single user message is sent as it is, below
 * a system message if there is one. A longer conversation gets a heading for each turn, and ends with the heading under which the
 * model writes.
 */
function promptOf(messages: readonly Message[]): string {
  const instructions = messages.filter(message => message.role === 'system' || message.role === 'developer').map(textOf)
  const turns = messages.filter(message => message.role !== 'system' && message.role !== 'developer')
  const [only] = turns
  if (turns.length === 1 && only?.role === 'user') return [...instructions, textOf(only)].join('\n\n')
  return [...instructions, ...turns.map(turn => `${headings[turn.role]}: ${textOf(turn)}`), `${headings.assistant}:`].join('\n\n')
}

const headings = { user: 'User', assistant: 'Assistant', tool: 'Tool result', system: 'System', developer: 'System' } as const

function textOf(message: Message): string {
  if (typeof message.content !== 'string') return message.content.map(part => (part.type === 'text' ? part.text : '')).join('\n')
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : []
  return [message.content, ...calls.map(call => `${call.toolName}(${wireJson(call.input)})`)]
    .filter(part => part !== '')
    .join('\n')
}
