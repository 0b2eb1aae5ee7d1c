import type { Attempt, Call, Capabilities, Provider, Target } from '../contract.ts'
import { post } from '../http/post.ts'
import { guarded } from './answer-guard.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { withJsonInstruction } from './chat-completions/output-format.ts'
import { refusal } from './chat-completions/refusal.ts'
import { callback, checkOptions, group, oneOf, returnedText, text } from '../check.ts'
import { dialectChecks } from './dialect-options.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint, urlOf, withKey } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { mergeBody } from './merge-body.ts'
import { free } from './prices.ts'
import { promptOf } from './prompt-of.ts'
import type { ServiceOptions } from './target.ts'
import { createTarget, serviceChecks } from './target.ts'
import { readText } from './text-generation-answer.ts'
import { wireJson } from './wire-json.ts'

const sampling = ['temperature', 'topP', 'maxOutputTokens', 'stopSequences', 'seed'] as const

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
  /**
   * `<think>` at the beginning of the text, or a `</think>` that was never opened, is reasoning. `opened`: the template opens the tag
   * itself, so only its end comes. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** The server's names of settings, for example `{ maxOutputTokens: 'max_tokens' }`. What has none is left out, with a warning. @default none */
  readonly fields?: Readonly<Partial<Record<(typeof sampling)[number], string>>> | undefined
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
  readonly thinkTags: boolean | 'opened'
  readonly fields: NonNullable<TextGenerationOptions['fields']>
  readonly extraBody: TextGenerationOptions['extraBody']
}

/**
 * The plain kind of server that people put before a model: `POST /generate` with `{ prompt }` answers `{ response }`. It is not asked to
 * stream. Sampling settings are sent where `fields` names them; each other gives a warning.
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
  thinkTags: dialectChecks.thinkTags,
  fields: group(Object.fromEntries(sampling.map(setting => [setting, text]))),
}

function formOf(options: TextGenerationOptions): Form {
  const { path = '/generate', method = 'POST', promptField = 'prompt', responseField = 'response', toPrompt = promptOf } = options
  const { promptIn = method === 'GET' ? 'query' : 'body' } = options
  if (method === 'GET' && promptIn === 'body') throw new TypeError("textGeneration: a GET has no body: write promptIn: 'query'.")
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
    // nothing comes until the whole answer is there
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
    const message = `${endpoint.service} is told of no field for it: it was left out. The option fields can name one, extraBody can set one.`
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
