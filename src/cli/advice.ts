import { createConnections } from '../http/connections.ts'
import { askJson, type JsonAnswer } from '../http/get-json.ts'
import type { ProbeOptions } from './probe.ts'
import { addressOf, givenBaseURL, keyVariableOf, type Service } from './services.ts'

/** A change that an expert on this server would make, and the flag or option that makes it. */
export type Advice = { readonly what: string; readonly cure: string }

/** A reasoning model uses about this many tokens before its answer begins. */
const enoughContext = 8_192

/** Names of reasoning models. Those of Qwen3 that follow instructions or write code do not reason. */
const thinks = /r1\b|r1-|think|reason|qwq|qwen3(?!.*(?:instruct|coder))|v3\.[12]|v4/i

type Pages = {
  /** Resolves with the page; undefined if it does not exist or does not answer in time. Sends the key by default. */
  get(path: string, options?: { readonly withKey?: boolean }): Promise<JsonAnswer | undefined>
  post(path: string, body: object): Promise<JsonAnswer | undefined>
}

type Look = { readonly service: Service; readonly models: readonly string[]; readonly pages: Pages }

const experts: Readonly<Record<string, (look: Look) => Promise<readonly (Advice | undefined)[]>>> = {
  vllm: async look => [
    await unguarded(look),
    await context(look, '--max-model-len'),
    await leaks(look, model => `--reasoning-parser ${parserFor(model)}`),
    unseen,
  ],
  sglang: look => sglang(look),
  'tensorrt-llm': async look => [
    await leaks(look, () => '--reasoning_parser deepseek-r1'),
    await metrics(look.pages, '/prometheus/metrics', 'return_perf_metrics and enable_iter_perf_stats: true in its config'),
  ],
  llama: look => llama(look),
  ollama: look => ollama(look),
}

/** Inspects a self-hosted server through requests that change nothing and do not wake a sleeping server. Never rejects. */
export async function adviceFor(service: Service, models: readonly string[], options: ProbeOptions): Promise<readonly Advice[]> {
  const expert = Object.hasOwn(experts, service.name) ? experts[service.name] : undefined
  if (expert === undefined || service.kind !== 'local') return []
  const connections = createConnections()
  const ask = async (path: string, question: { withKey: boolean; method: 'GET' | 'POST'; body: string; limitMs: number }) => {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(question.limitMs)])
    const headers = { 'content-type': 'application/json', ...(question.withKey ? keyHeaders(service) : undefined) }
    return askJson({
      url: `${rootOf(service)}${path}`,
      headers,
      connections,
      signal,
      method: question.method,
      body: question.body,
    }).catch(() => undefined)
  }
  const pages: Pages = {
    get: (path, { withKey = true } = {}) => ask(path, { withKey, method: 'GET', body: '', limitMs: options.limitMs }),
    post: (path, body) => ask(path, { withKey: true, method: 'POST', body: JSON.stringify(body), limitMs: askMs }),
  }
  try {
    const found = await expert({ service, models, pages })
    return [openToAll(service), ...found].filter(advice => advice !== undefined)
  } finally {
    await connections.close()
  }
}

/** The time limit for an answer of one or two tokens. A server that needs longer is too busy to be inspected. */
const askMs = 5_000

function rootOf(service: Service): string {
  const url = new URL(addressOf(service) ?? '')
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
}

function keyHeaders(service: Service): Readonly<Record<string, string>> {
  const key = process.env[keyVariableOf(service) ?? '']
  return key === undefined ? {} : { authorization: `Bearer ${key}` }
}

function openToAll(service: Service): Advice | undefined {
  const { hostname } = new URL(addressOf(service) ?? '')
  if (/^(?:localhost|127\.|\[::1\])/.test(hostname) || keyVariableOf(service) !== undefined) return undefined
  const cure =
    service.name === 'ollama' || service.name === 'tensorrt-llm'
      ? 'this server supports no key: let only its callers reach the port'
      : '--api-key, and let only its callers reach the port'
  return { what: 'it asks for no key: anyone who can reach it can use the model', cure }
}

/** If the version page works without the key, so do the other pages outside /v1, some of which run or stop the model. */
async function unguarded({ service, pages }: Look): Promise<Advice | undefined> {
  if (keyVariableOf(service) === undefined) return undefined
  const version = await pages.get('/version', { withKey: false })
  // a proxy that protects everything may answer any path with a page of its own
  if (version?.status !== 200 || typeof fieldOf(version.body, 'version') !== 'string') return undefined
  return {
    what: 'its key protects only /v1: without a key, /invocations runs the model and /pause stops it',
    cure: 'let only its callers reach the port (NetworkPolicy), or put a proxy that allows only /v1 in front of it',
  }
}

async function context({ pages }: Look, flag: string): Promise<Advice | undefined> {
  const list = fieldOf((await pages.get('/v1/models'))?.body, 'data')
  const length = Array.isArray(list) ? numberOf(fieldOf(list[0], 'max_model_len')) : undefined
  return tooShort(length, `${flag} ${2 * enoughContext}`)
}

function tooShort(tokens: number | undefined, cure: string): Advice | undefined {
  if (tokens === undefined || tokens <= 0 || tokens >= enoughContext) return undefined
  return { what: `a request may have only ${tokens} tokens, and thinking alone may take more`, cure }
}

/** The reasoning parser of vLLM for a model; SGLang's has hyphens. R1's distills are parsed like R1, also those of Qwen3. */
function parserFor(model: string): string {
  if (/v4\.1/i.test(model)) return 'deepseek_v41'
  if (/v4/i.test(model)) return 'deepseek_v4'
  if (/v3\.[12]/i.test(model)) return 'deepseek_v3'
  return /qwen3/i.test(model) && !/r1/i.test(model) ? 'qwen3' : 'deepseek_r1'
}

/** Asks for the beginning of one answer: a server with a reasoning parser separates the reasoning from the text. */
async function leaks({ models, pages }: Look, flagFor: (model: string) => string): Promise<Advice | undefined> {
  const model = models.find(name => thinks.test(name))
  if (model === undefined) return undefined
  // V3.1 and others think only if they are told to: their answer without thoughts would look like a leak
  const thinking = { chat_template_kwargs: { thinking: true, enable_thinking: true } }
  const body = { model, messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 16, ...thinking }
  const answer = await pages.post('/v1/chat/completions', body)
  const choices = answer?.status === 200 ? fieldOf(answer.body, 'choices') : undefined
  const message = fieldOf(Array.isArray(choices) ? choices[0] : undefined, 'message')
  const content = fieldOf(message, 'content')
  const isApart = ['reasoning_content', 'reasoning'].some(name => (fieldOf(message, name) ?? '') !== '')
  if (isApart || typeof content !== 'string' || content.trim() === '') return undefined
  return leak(flagFor(model))
}

function leak(cure: string): Advice {
  return { what: 'the reasoning comes as part of the text, because its reasoning parser is off', cure }
}

const unseen: Advice = {
  what: 'check that its queue is limited and that it finishes running answers before it stops, which no request can show',
  cure: '--max-num-queued-reqs 256, and --shutdown-timeout 300 (without it, a stop aborts running streams)',
}

async function metrics(pages: Pages, path: string, cure: string): Promise<Advice | undefined> {
  const page = await pages.get(path)
  const text = page?.status === 200 && typeof page.body === 'string' ? page.body : ''
  // TensorRT-LLM counts requests without its iteration statistics, but not those that wait
  const isIncomplete = text.includes('trtllm_') && !text.includes('trtllm_num_requests_waiting')
  // a refused key, a proxy or a fault of the server say nothing about the flag
  if (page?.status !== 404 && page?.status !== 501 && !isIncomplete) return undefined
  return { what: 'it does not report its load, so a pool cannot prefer the less busy replica', cure }
}

async function sglang({ models, pages }: Look): Promise<readonly (Advice | undefined)[]> {
  const page = await pages.get('/server_info')
  // the name of older versions; newer ones are going to remove it
  const info = (page?.status === 200 ? page : await pages.get('/get_server_info'))?.body
  const thinker = models.find(name => thinks.test(name))
  const isOff = (name: string) => fieldOf(info, name) === null
  return [
    thinker !== undefined && isOff('reasoning_parser')
      ? leak(`--reasoning-parser ${parserFor(thinker).replace('_', '-')}`)
      : undefined,
    isOff('max_queued_requests') ? { what: 'its queue is unlimited', cure: '--max-queued-requests 256' } : undefined,
    tooShort(numberOf(fieldOf(info, 'context_length')), `--context-length ${2 * enoughContext}`),
    await metrics(pages, '/metrics', '--enable-metrics'),
  ]
}

async function llama(look: Look): Promise<readonly (Advice | undefined)[]> {
  const { service, pages } = look
  const props = (await pages.get('/props'))?.body
  const settings = fieldOf(props, 'default_generation_settings')
  const isAsleep = fieldOf(props, 'is_sleeping') === true
  const slots = numberOf(fieldOf(props, 'total_slots'))
  const isMoved = givenBaseURL(service) === service.movedBaseURL && service.movedBaseURL !== undefined
  return [
    isMoved
      ? {
          what: 'it listens on the port of newer versions, no longer on 8080',
          cure: 'set --port, and write that port in probes and addresses too',
        }
      : undefined,
    isAsleep
      ? {
          what: 'it is asleep: the next call waits until its model is loaded',
          cure: 'keepWarm of the target, or start it without --sleep-idle-seconds',
        }
      : undefined,
    tooShort(numberOf(fieldOf(settings, 'n_ctx')), `-c ${2 * enoughContext} for each slot`),
    // `reasoning_format` of /props is `none` whatever the flag (b11669), and a question would wake a sleeping server
    isAsleep ? undefined : await leaks(look, () => '--reasoning-format deepseek'),
    slots === undefined
      ? undefined
      : {
          what: `it answers ${slots} requests at once, and its queue is unlimited`,
          cure: `limits: { concurrency: ${2 * slots} } of the target`,
        },
    // a sleeping server gives the same answer
    await metrics(pages, '/metrics', '--metrics'),
  ]
}

async function ollama({ pages }: Look): Promise<readonly (Advice | undefined)[]> {
  const loaded = fieldOf((await pages.get('/api/ps'))?.body, 'models')
  if (!Array.isArray(loaded)) return []
  const [first] = loaded as readonly unknown[]
  if (first === undefined)
    return [
      { what: 'no model is loaded: the next call waits until one is', cure: 'keepWarm of the target, or OLLAMA_KEEP_ALIVE=-1' },
    ]
  return [
    tooShort(
      numberOf(fieldOf(first, 'context_length')),
      `OLLAMA_CONTEXT_LENGTH=${2 * enoughContext}, or contextTokens of the target`,
    ),
  ]
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
