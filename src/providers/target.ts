import type { Dispatcher } from '../http/undici.ts'
import type { Provider } from '../contract.ts'
import type { Budget, KeepWarm, Target } from '../contract-targets.ts'
import type { Check, Checks } from '../check.ts'
import { price as isPrice } from './check-price.ts'
import {
  callback,
  checkOptions,
  count,
  dollars,
  flag,
  group,
  groupOrNumber,
  isRecord,
  kindOf,
  milliseconds,
  positiveCount,
  record,
  text,
  writableRecord,
} from '../check.ts'

/** Options of every target, whatever the service. */
export type TargetOptions = Pick<
  Target,
  'name' | 'retry' | 'timeout' | 'price' | 'budget' | 'when' | 'prepare' | 'keepWarm' | 'limits'
>

export type ApiKeyFunction = () => string | Promise<string>

/** Options of every service that is reached over HTTP. */
export type ServiceOptions = TargetOptions & {
  /**
   * The key, or a function that returns it or a promise of it, for tokens that expire. The function is called once for every
   * request, so it should cache a token while the token is valid. If it throws, the attempt fails with `authentication` and the
   * next target is tried.
   * @default the service's environment variable, read when the target is made; without any key the target is skipped
   */
  readonly apiKey?: string | ApiKeyFunction | undefined
  /** The address of the service, used as it is: no `/v1` is appended. `http:` or `https:`. @default the service's own address */
  readonly baseURL?: string | undefined
  /** Headers for every request; they override ours. Names are not case-sensitive. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** An undici dispatcher (an agent, a proxy, a mock) to use in place of our own pool. We never close it. */
  readonly dispatcher?: Dispatcher | undefined
  /**
   * Fields for every request body; they override ours. An object is merged one level deep with ours of the same name; `undefined`
   * removes a field. `extraBody` of a call overrides these in turn.
   */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined
  /**
   * Set to `false` for a server or an account that cannot stream: requests JSON and emits the whole text at once. @default true
   */
  readonly stream?: boolean | undefined
}

const rounds: Check = (value, name) => {
  if (value !== Infinity && (!Number.isInteger(value) || Number(value) < 1))
    throw new TypeError(`${name} must be a whole number, 1 or more, or Infinity, not ${kindOf(value)}.`)
}

const attemptClocks = {
  ...{ connectMs: milliseconds, headersMs: milliseconds, firstChunkMs: milliseconds },
  ...{ queuedMs: milliseconds, chunkMs: milliseconds, totalMs: milliseconds },
}

const firstContentMs: Check = (_value, name) => {
  throw new TypeError(`${name} limits the whole call. Set it in createClient({ timeout }), or in the timeout of a call.`)
}

/** Checks the timeouts of a client or a call. */
export const callTimeout: Check = groupOrNumber(
  { ...attemptClocks, firstContentMs: milliseconds },
  totalMs => `{ totalMs: ${totalMs} }`,
)

const retrySettings = group({
  maxRetries: count,
  baseDelayMs: milliseconds,
  maxDelayMs: milliseconds,
  waitForMs: milliseconds,
  rounds,
})

const keepWarmFields = group({
  model(value, name) {
    if (value !== true) throw new TypeError(`${name} must be true or left out, not ${kindOf(value)}.`)
  },
  prompt: text,
  everyMs(value, name) {
    if (typeof value !== 'number' || !(value >= 100))
      throw new TypeError(`${name} must be a number of milliseconds, 100 or more, not ${kindOf(value)}.`)
  },
  paid: flag,
})

const keepWarm: Check = (value, name) => {
  if (typeof value === 'boolean')
    throw new TypeError(`${name} must be an object. Write { model: true } or { prompt: 'the shared system prompt' }.`)
  keepWarmFields(value, name)
  const { model, prompt } = value as KeepWarm
  if (model === undefined && prompt === undefined)
    throw new TypeError(`${name} is empty. Write { model: true } or { prompt: 'the shared system prompt' }.`)
}

const budgetFields = groupOrNumber(
  { dollars, perMs: milliseconds },
  amountGiven => `{ dollars: ${amountGiven}, perMs: 86_400_000 }`,
)

/** Checks the budget of a client or a target. */
export const budget: Check = (value, name) => {
  budgetFields(value, name)
  const { dollars: sum, perMs } = value as Partial<Budget>
  if (sum === undefined || perMs === undefined || perMs === 0)
    throw new TypeError(
      `${name} must be like { dollars: 5, perMs: 86_400_000 }: the most that is spent in any period of that length, which must be above 0.`,
    )
}

export const targetChecks = {
  name: text,
  retry: (value, name) => {
    if (isRecord(value)) return retrySettings(value, name)
    if (!Number.isInteger(value) || Number(value) < 0)
      throw new TypeError(`${name} must be a whole number, 0 or more, or { maxRetries }.`)
  },
  timeout: groupOrNumber({ ...attemptClocks, firstContentMs }, totalMs => `{ totalMs: ${totalMs} }`),
  price: isPrice,
  budget,
  when: callback,
  prepare: callback,
  keepWarm,
  limits: group({ concurrency: positiveCount, requestsPerMinute: positiveCount, tokensPerMinute: positiveCount }),
} satisfies Checks

export const serviceChecks = {
  ...targetChecks,
  apiKey: (value, name) => {
    if (typeof value !== 'string' && typeof value !== 'function')
      throw new TypeError(`${name} must be a string, or a function that returns one.`)
  },
  baseURL: text,
  headers: record,
  dispatcher: (value, name) => {
    if (!isRecord(value) || typeof value['dispatch'] !== 'function')
      throw new TypeError(`${name} must be an undici Dispatcher, for example new Agent().`)
  },
  extraBody: writableRecord,
  stream: flag,
} satisfies Checks

/**
 * Services with a default model take `(model, options)` or `(options)`. One signature covers both: with two overloads the
 * compiler would report that neither fits, and not which option is wrong.
 */
export function modelAndOptions<Options extends object>(
  first: string | Options | undefined,
  second: Options | undefined,
  known: { readonly model: string; readonly service: string; readonly checks: Checks },
): { readonly model: string; readonly options: Options } {
  if (typeof first === 'object' && second !== undefined)
    throw new TypeError(`${known.service}: the options are passed twice. Write ${known.service}('name-of-the-model', { ... }).`)
  const options = (typeof first === 'object' ? first : second) ?? ({} as Options)
  const model = typeof first === 'object' ? known.model : (first ?? known.model)
  checkTarget(model, options, known)
  return { model, options }
}

export function checkTarget(
  model: unknown,
  options: unknown,
  { service, checks }: { readonly service: string; readonly checks: Checks },
): void {
  if (typeof model !== 'string' || model === '') {
    throw new TypeError(`${service}: the model must be a non-empty string, for example ${service}('name-of-the-model').`)
  }
  checkOptions(options, checks, service)
}

export function createTarget(provider: Provider, model: string, options: TargetOptions): Target {
  const { name, retry, timeout, price, budget: spending, when, prepare, keepWarm: warm, limits } = options
  return {
    provider,
    model,
    ...(name === undefined ? undefined : { name }),
    ...(retry === undefined ? undefined : { retry }),
    ...(timeout === undefined ? undefined : { timeout }),
    ...(price === undefined ? undefined : { price }),
    ...(spending === undefined ? undefined : { budget: spending }),
    ...(when === undefined ? undefined : { when }),
    ...(prepare === undefined ? undefined : { prepare }),
    ...(warm === undefined ? undefined : { keepWarm: warm }),
    ...(limits === undefined ? undefined : { limits }),
  }
}
