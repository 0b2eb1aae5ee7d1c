import type { Dispatcher } from '../http/undici.ts'
import type { Provider, Target } from '../contract.ts'
import type { Check, Checks } from '../check.ts'
import {
  amount,
  callback,
  checkOptions,
  count,
  flag,
  group,
  groupOrNumber,
  isRecord,
  kindOf,
  milliseconds,
  record,
  text,
  writableRecord,
} from '../check.ts'

/** What every step of a chain can be given, whatever the service. */
export type TargetOptions = Pick<Target, 'name' | 'retry' | 'timeout' | 'price' | 'when'>

export type ApiKeyFunction = () => string | Promise<string>

/** What every service that is reached over HTTP can be given. */
export type ServiceOptions = TargetOptions & {
  /**
   * The key, or a function that returns it or a promise of it, for tokens that expire: it is asked once for every request, so it should
   * keep a token as long as that is valid. What it throws fails the attempt with `authentication`, and the next target is asked.
   * @default the service's environment variable, read when the target is made; without any key the target is skipped
   */
  readonly apiKey?: string | ApiKeyFunction | undefined
  /** Where the service is, taken as it is: no `/v1` is put behind it. `http:` or `https:`. @default the service's own address */
  readonly baseURL?: string | undefined
  /** Headers for every request, over ours. Names are not case-sensitive. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Any undici dispatcher (an agent, a proxy, a mock) in place of our own pool. It is never closed by us. */
  readonly dispatcher?: Dispatcher | undefined
  /**
   * Fields for every request body, over what we write. An object is merged with ours of the same name, one level deep; `undefined` removes
   * a field. `extraBody` of a call comes after it.
   */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined
  /** `false` for a server or an account that cannot stream: asks for JSON and gives the whole text at once. @default true */
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
  throw new TypeError(`${name} is a clock of the whole call. Set it in createClient({ timeout }), or in the timeout of a call.`)
}

/** Clocks of a client or a call. */
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

export const targetChecks = {
  name: text,
  retry: (value, name) => {
    if (isRecord(value)) return retrySettings(value, name)
    if (!Number.isInteger(value) || Number(value) < 0)
      throw new TypeError(`${name} must be a whole number, 0 or more, or { maxRetries }.`)
  },
  timeout: groupOrNumber({ ...attemptClocks, firstContentMs }, totalMs => `{ totalMs: ${totalMs} }`),
  price: group({ input: amount, cachedInput: amount, output: amount }),
  when: callback,
} satisfies Checks

export const serviceChecks = {
  ...targetChecks,
  apiKey: (value, name) => {
    if (typeof value !== 'string' && typeof value !== 'function')
      throw new TypeError(`${name} must be a text, or a function that returns one.`)
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
 * Services with a default model take `(model, options)`, and `(options)` alone. They are typed by one signature and not by two, because
 * of two the compiler says that neither fits, and not which option is wrong.
 */
export function modelAndOptions<Options extends object>(
  first: string | Options | undefined,
  second: Options | undefined,
  known: { readonly model: string; readonly service: string; readonly checks: Checks },
): { readonly model: string; readonly options: Options } {
  if (typeof first === 'object' && second !== undefined)
    throw new TypeError(`${known.service}: options are given twice. Write ${known.service}('name-of-the-model', { ... }).`)
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
    throw new TypeError(`${service}: the model must be a text that is not empty, for example ${service}('name-of-the-model').`)
  }
  checkOptions(options, checks, service)
}

export function createTarget(provider: Provider, model: string, options: TargetOptions): Target {
  const { name, retry, timeout, price, when } = options
  return {
    provider,
    model,
    ...(name === undefined ? undefined : { name }),
    ...(retry === undefined ? undefined : { retry }),
    ...(timeout === undefined ? undefined : { timeout }),
    ...(price === undefined ? undefined : { price }),
    ...(when === undefined ? undefined : { when }),
  }
}
