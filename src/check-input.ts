import type { Provider } from './contract.ts'
import type { ClientOptions, GenerateInput } from './options.ts'
import {
  callback,
  type Check,
  checkOptions,
  type Checks,
  count,
  flag,
  group,
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
import { checkChoice, toolChoice, tools } from './check-tools.ts'
import { messages } from './check-turns.ts'
import { callTimeout, targetChecks } from './providers/target.ts'

/** Says no to options of a client, before anything is sent, with what to write instead. */
export function checkClientOptions(options: ClientOptions): void {
  if (!isRecord(options))
    throw new TypeError(`createClient: options must be an object like { chain: [deepseek(), openai()] }, not ${kindOf(options)}.`)
  checkOptions(options, clientChecks, 'createClient')
  if (options.chain === undefined) {
    throw new TypeError('createClient: chain is missing. Write { chain: [deepseek(), openai(), llama()] }.')
  }
}

/** Says no to the input of a call, before anything is sent, with what to write instead. */
export function checkInput(input: string | GenerateInput): void {
  if (typeof input === 'string') {
    if (input.trim() === '') throw new TypeError('generate: the prompt is empty. Write what the model should answer.')
    return
  }
  if (!isRecord(input)) {
    const example = "a text, or an object like { prompt: 'Why is the sky blue?' }"
    throw new TypeError(`generate: the input must be ${example}, not ${kindOf(input)}.`)
  }
  checkOptions(input, inputChecks, 'generate')
  if ((input.prompt === undefined) === (input.messages === undefined)) {
    throw new TypeError('generate: give either prompt or messages, for example { prompt: "Why is the sky blue?" }.')
  }
  checkChoice(input)
}

/** A share: from 0 to 1. */
const share: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw new TypeError(`${name} must be a number from 0 to 1, not ${kindOf(value)}.`)
}

/** 0 would mean that a target counts as down without a failure. */
const shareAboveZero: Check = (value, name) => {
  share(value, name)
  if (value === 0) throw new TypeError(`${name} must be above 0. Write breaker: false to turn the breaker off.`)
}

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
}

const logger: Check = (value, name) => {
  const methods = ['debug', 'info', 'warn']
  if (typeof value !== 'object' || value === null || methods.some(method => typeof Reflect.get(value, method) !== 'function')) {
    throw new TypeError(`${name} must have pino's methods debug, info and warn, for example pino(), not ${kindOf(value)}.`)
  }
}

const health: Check = (value, name) => {
  const methods = ['publish', 'subscribe', 'lease']
  if (!isRecord(value) || methods.some(method => typeof value[method] !== 'function')) {
    throw new TypeError(`${name} must be a store, for example redisHealth(redis) of 'unbusy/redis', not ${kindOf(value)}.`)
  }
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
  const surroundings = provider as Pick<Provider, 'check'>
  surroundings.check?.()
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

/** What is answered in place of the answer: `undefined` is none, and a promise would be answered as an object without fields. */
const defaultResponse: Check = (value, name) => {
  if (value === null || ['bigint', 'symbol'].includes(typeof value))
    throw new TypeError(`${name} must be a text, a value, or a function that returns one, not ${kindOf(value)}.`)
  if (typeof value === 'object' && 'then' in value)
    throw new TypeError(`${name} is a promise. Write a function that returns it: () => promise.`)
}

const anything: Check = () => {}

const continuationChecks = {
  afterFirstToken: oneOf('fail', 'restart', 'continue'),
  holdBackMs: milliseconds,
  holdBackChars: count,
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
      windowCalls: count,
      maxAgeMs: milliseconds,
    },
    ...{ consecutiveFailures: count, openMs: milliseconds, maxOpenMs: milliseconds, probeLeaseMs: milliseconds },
    ...{ probeFirstChunkMs: milliseconds, successesToClose: count },
  }),
  profile: oneOf('loadFirst', 'costFirst'),
  health,
  decide: callback,
  onEvent: callback,
  logger,
  clock,
  random: callback,
} satisfies Record<keyof ClientOptions, Check> & Checks

const inputChecks = {
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
  metadata: record,
  extraBody: writableRecord,
} satisfies Record<keyof GenerateInput, Check> & Checks
