import { checkChoice, messages, toolChoice, tools } from './check-turns.ts'
import {
  callback,
  type Check,
  checkOptions,
  type Checks,
  count,
  dollars,
  flag,
  group,
  isPlain,
  isRecord,
  kindOf,
  level,
  list,
  milliseconds,
  oneOf,
  positiveCount,
  record,
  text,
  writableRecord,
} from './check.ts'
import type { Provider } from './contract.ts'
import type { Target } from './contract-targets.ts'
import { isHealthStore, isSharedHealth } from './health/shared-health.ts'
import type { ClientOptions, GenerateInput } from './options.ts'
import { budget, callTimeout, targetChecks } from './providers/target.ts'

/** Throws for invalid options of a client, before anything is sent, and says what to write instead. */
export function checkClientOptions(options: ClientOptions): void {
  if (!isPlain(options))
    throw new TypeError(`createClient: options must be an object like { chain: [deepseek(), openai()] }, not ${kindOf(options)}.`)
  checkOptions(options, clientChecks, 'createClient')
  if (options.chain === undefined) {
    throw new TypeError('createClient: chain is missing. Write { chain: [deepseek(), openai(), llama()] }.')
  }
}

/** Throws for an invalid input of a call, before anything is sent, and says what to write instead. */
export function checkInput(input: string | GenerateInput): void {
  if (typeof input === 'string') {
    if (input.trim() === '') throw new TypeError('generate: the prompt is empty. Write what the model should answer.')
    return
  }
  if (!isPlain(input)) {
    const example = "a string, or an object like { prompt: 'Why is the sky blue?' }"
    throw new TypeError(`generate: the input must be ${example}, not ${kindOf(input)}.`)
  }
  checkOptions(input, inputChecks, 'generate')
  if ((input.prompt === undefined) === (input.messages === undefined)) {
    throw new TypeError('generate: give either prompt or messages, for example { prompt: "Why is the sky blue?" }.')
  }
  checkChoice(input)
}

/** Throws for invalid options of `warmUp()`. */
export function checkWarmUp(options: unknown): void {
  checkOptions(options, { signal, timeoutMs: milliseconds }, 'warmUp')
}

/** A share, from 0 to 1. */
const share: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw new TypeError(`${name} must be a number from 0 to 1, not ${kindOf(value)}.`)
}

/** 0 would mean that a target counts as down without a failure. */
const shareAboveZero: Check = (value, name) => {
  share(value, name)
  if (value === 0) throw new TypeError(`${name} must be above 0. Write breaker: false to turn the breaker off.`)
}

/** The breaker of each target remembers this many calls one by one. */
const windowCalls: Check = (value, name) => {
  count(value, name)
  if (Number(value) > mostWindowCalls) throw new TypeError(`${name} must be at most ${mostWindowCalls}, not ${kindOf(value)}.`)
}

const mostWindowCalls = 100_000

/** An object of these fields, or `false`. */
function orOff(checks: Checks): Check {
  return (value, name) => {
    if (value !== false) group(checks)(value, name)
  }
}

const signal: Check = (value, name) => {
  if (!(value instanceof AbortSignal))
    throw new TypeError(`${name} must be an AbortSignal, for example AbortSignal.timeout(5_000), not ${kindOf(value)}.`)
}

const clock: Check = (value, name) => {
  const methods = ['now', 'setTimeout', 'clearTimeout']
  if (!isRecord(value) || methods.some(method => typeof value[method] !== 'function')) {
    throw new TypeError(`${name} must be { now(), setTimeout(listener, delayMs), clearTimeout(handle) }, not ${kindOf(value)}.`)
  }
  if (value['date'] !== undefined && typeof value['date'] !== 'function')
    throw new TypeError(`${name}.date must be a function that returns milliseconds since 1970, not ${kindOf(value['date'])}.`)
}

const logger: Check = (value, name) => {
  const methods = ['debug', 'info', 'warn']
  if (typeof value !== 'object' || value === null || methods.some(method => typeof Reflect.get(value, method) !== 'function')) {
    throw new TypeError(`${name} must have pino's methods debug, info and warn, for example pino(), not ${kindOf(value)}.`)
  }
}

const hooks = ['onEvent', 'around', 'aroundEvent', 'headers', 'onAnswer', 'aroundStep', 'aroundTool', 'close', 'attach']

const telemetry: Check = (value, name) => {
  list(value, name)
  for (const [index, part] of (value as readonly unknown[]).entries()) checkPart(part, `${name}[${index}]`)
}

function checkPart(part: unknown, name: string): void {
  if (typeof part === 'function') throw new TypeError(`${name} is a function. Call it: openTelemetry() instead of openTelemetry.`)
  if (!isRecord(part)) throw new TypeError(`${name} must be what openTelemetry() or prometheus() returns, not ${kindOf(part)}.`)
  const found = hooks.filter(hook => part[hook] !== undefined)
  if (found.length === 0) throw new TypeError(`${name} does nothing: it needs one of the functions ${hooks.join(', ')}.`)
  for (const hook of found) callback(part[hook], `${name}.${hook}`)
  if (part['content'] !== undefined) flag(part['content'], `${name}.content`)
}

const health: Check = (value, name) => {
  if (isSharedHealth(value) || isHealthStore(value)) return
  if (typeof value === 'function') throw new TypeError(`${name} is a function. Call it: sharedHealth() instead of sharedHealth.`)
  const examples = "sharedHealth(), or a store like redisHealth(redis) from 'unbusy/redis'"
  throw new TypeError(`${name} must be ${examples}, not ${kindOf(value)}.`)
}

const chain: Check = (value, name) => {
  list(value, name)
  const steps = value as readonly unknown[]
  if (steps.length === 0) throw new TypeError(`${name} is empty. Write at least one target, for example [deepseek()].`)
  for (const [index, step] of steps.entries()) checkStep(step, `${name}[${index}]`)
}

function checkStep(step: unknown, name: string): void {
  if (isRecord(step) && 'pool' in step) return checkPool(step, name)
  if (typeof step === 'function') throw new TypeError(`${name} is a function. Call it: deepseek() instead of deepseek.`)
  if (!isRecord(step) || !isRecord(step['provider']) || typeof step['provider']['stream'] !== 'function') {
    throw new TypeError(
      `${name} must be a target like deepseek(), or { provider, model } with a provider that has stream(), not ${kindOf(step)}.`,
    )
  }
  const { provider, model, ...options } = step
  text(provider['name'], `${name}.provider.name`)
  text(model, `${name}.model`)
  checkOptions(options, targetChecks, name)
  checkPaid(options, name)
  const surroundings = provider as Pick<Provider, 'check'>
  surroundings.check?.()
}

/** Throws for `keepWarm` on a target with a price unless `paid` is set: its pings would cost money day and night. */
function checkPaid({ keepWarm, price }: Pick<Target, 'keepWarm' | 'price'>, name: string): void {
  if (keepWarm === undefined || keepWarm.paid === true || price === undefined) return
  if (price.input === 0 && price.output === 0) return
  throw new TypeError(
    `${name}.keepWarm: this target has a price, so each ping would cost money. Write keepWarm: { ..., paid: true } to allow that.`,
  )
}

function checkPool({ pool, ...options }: { readonly pool?: unknown }, name: string): void {
  chain(pool, `${name}.pool`)
  checkOptions(options, { strategy: oneOf('least-busy', 'weighted', 'latency'), weights, affinity: callback }, name)
  const given = (options as { readonly weights?: readonly number[] }).weights
  if (given !== undefined && given.length !== (pool as readonly unknown[]).length) {
    throw new TypeError(`${name}.weights must have one number for each target of the pool.`)
  }
}

const weights: Check = (value, name) => {
  list(value, name)
  for (const [index, one] of (value as readonly unknown[]).entries()) level(one, `${name}[${index}]`)
}

const texts: Check = (value, name) => {
  list(value, name)
  for (const [index, one] of (value as readonly unknown[]).entries()) text(one, `${name}[${index}]`)
}

/** A default response. Throws for a promise, which would be returned as an object without fields. */
const defaultResponse: Check = (value, name) => {
  if (value === null || ['bigint', 'symbol'].includes(typeof value))
    throw new TypeError(`${name} must be a string, a value, or a function that returns one, not ${kindOf(value)}.`)
  if (typeof value === 'object' && 'then' in value)
    throw new TypeError(`${name} is a promise. Write a function that returns it: () => promise.`)
}

const anything: Check = () => {}

const countOrInfinity: Check = (value, name) => {
  if (value !== Infinity) count(value, name)
}

const targetNames: Check = (value, name) => {
  texts(value, name)
  if ((value as readonly string[]).length === 0)
    throw new TypeError(`${name} is empty: no target would be asked. Write at least one name of a target, for example ['main'].`)
}

/** In other libraries, `fallback` is the answer when no model answers: our `defaultResponse`. */
const fallback: Check = value => {
  if (typeof value === 'boolean') return
  // a word, a function or a list is meant as an answer; what is left is a slip
  if (value === null || !['string', 'function', 'object'].includes(typeof value))
    throw new TypeError(`generate: fallback must be true or false, not ${kindOf(value)}.`)
  const meaning = 'With fallback: false the call asks no second target.'
  throw new TypeError(`generate: fallback must be true or false, not an answer. Did you mean 'defaultResponse'? ${meaning}`)
}

const continuationChecks = {
  afterFirstToken: oneOf('fail', 'restart', 'continue'),
  holdBackMs: milliseconds,
  holdBackChars: countOrInfinity,
  continueOnLength: count,
  repair: count,
  defaultResponse,
}

const clientChecks = {
  chain,
  ...continuationChecks,
  timeout: callTimeout,
  retry: targetChecks.retry,
  hedge: orOff({ budget: share, spend: share, queuedMs: milliseconds, leastMs: milliseconds, unpriced: flag }),
  breaker: orOff({
    ...{
      failureRatio: shareAboveZero,
      minimumCalls: positiveCount,
      windowMs: milliseconds,
      windowCalls,
      maxAgeMs: milliseconds,
    },
    ...{ consecutiveFailures: count, openMs: milliseconds, maxOpenMs: milliseconds, probeLeaseMs: milliseconds },
    ...{ probeFirstChunkMs: milliseconds, successesToClose: count },
  }),
  budget,
  profile: oneOf('loadFirst', 'costFirst'),
  health,
  decide: callback,
  onEvent: callback,
  logger,
  telemetry,
  clock,
  random: callback,
} satisfies Record<keyof ClientOptions, Check> & Checks

/** The options of a call. */
export const inputChecks = {
  ...continuationChecks,
  prompt: (value: unknown, name: string) => {
    text(value, name)
    if (String(value).trim() === '') throw new TypeError(`${name} is empty. Write what the model should answer.`)
  },
  messages,
  system: text,
  output: anything,
  tools,
  toolChoice,
  temperature: level,
  topP: share,
  maxOutputTokens: positiveCount,
  stopSequences: texts,
  seed: count,
  reasoning: oneOf('off', 'low', 'high', 'max'),
  timeout: callTimeout,
  signal,
  maxCost: dollars,
  metadata: record,
  tag: text,
  targets: targetNames,
  fallback,
  extraBody: writableRecord,
} satisfies Record<keyof GenerateInput, Check> & Checks
