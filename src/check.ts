/** Says no to one option by throwing a `TypeError` that begins with its name. */
export type Check = (value: unknown, name: string) => void

export type Checks = Readonly<Record<string, Check>>

/**
 * Checks what a person wrote, by hand: a schema library at this place would make the import of the whole package slower.
 * `undefined` is the same as not given. No value is ever part of a message: it may be a key.
 */
export function checkOptions(options: unknown, checks: Checks, service: string): void {
  if (!isRecord(options)) {
    const like = 'baseURL' in checks ? " like { baseURL: '...' }" : ''
    throw new TypeError(`${service}: options must be an object${like}, not ${kindOf(options)}.`)
  }
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined)
      throw new TypeError(`${service}: there is no option '${name}'.${suggestion(name, Object.keys(checks))}`)
    if (value !== undefined) check(value, `${service}: ${name}`)
  }
}

export const text: Check = (value, name) => {
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name} must be a text that is not empty, not ${kindOf(value)}.`)
}

export const flag: Check = (value, name) => {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${kindOf(value)}.`)
}

export const callback: Check = (value, name) => {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, not ${kindOf(value)}.`)
}

export const count: Check = (value, name) => {
  if (!Number.isInteger(value) || (value as number) < 0)
    throw new TypeError(`${name} must be a whole number, 0 or more, not ${kindOf(value)}.`)
}

export const positiveCount: Check = (value, name) => {
  if (!Number.isInteger(value) || (value as number) < 1)
    throw new TypeError(`${name} must be a whole number, 1 or more, not ${kindOf(value)}.`)
}

/** Any number that is not negative, of no unit. */
export const level: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity)
    throw new TypeError(`${name} must be a number, 0 or more, not ${kindOf(value)}.`)
}

/** `Infinity` turns a clock off. */
export const milliseconds: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0))
    throw new TypeError(`${name} must be milliseconds, 0 or more, not ${kindOf(value)}.`)
}

export const amount: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity) {
    throw new TypeError(`${name} must be US dollars per million tokens, 0 or more, not ${kindOf(value)}.`)
  }
}

export const record: Check = (value, name) => {
  if (!isRecord(value)) throw new TypeError(`${name} must be an object, not ${kindOf(value)}.`)
}

/** It is sent as JSON: a circle and a BigInt have no form there. What was looked at once is not looked at again. */
export const writable: Check = (value, name) => {
  if (typeof value === 'bigint') throw new TypeError(`${name} is a BigInt, which JSON has no word for. Write a number or a text.`)
  if (typeof value !== 'object' || value === null || looked.has(value)) return
  try {
    JSON.stringify(value)
  } catch (cause) {
    throw new TypeError(`${name} cannot be sent as JSON: it refers to itself or holds a BigInt. Write plain data.`, { cause })
  }
  if (Object.isFrozen(value)) looked.add(value)
}

const looked = new WeakSet<object>()

/** An object that is sent as JSON. */
export const writableRecord: Check = (value, name) => {
  record(value, name)
  writable(value, name)
}

export const list: Check = (value, name) => {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be a list, not ${kindOf(value)}.`)
}

/** An object whose own fields are checked too. */
export function group(checks: Checks): Check {
  return (value, name) => {
    record(value, name)
    checkOptions(value, checks, name)
  }
}

/** A group that people write as the one number that most other libraries have. */
export function groupOrNumber(checks: Checks, instead: (value: number) => string): Check {
  const check = group(checks)
  return (value, name) => {
    if (typeof value === 'number')
      throw new TypeError(`${name} must be an object, not ${kindOf(value)}. Did you mean ${instead(value)}?`)
    check(value, name)
  }
}

export function oneOf(...allowed: readonly string[]): Check {
  return (value, name) => {
    if (typeof value === 'string' && allowed.includes(value)) return
    const written = allowed.map(one => `'${one}'`).join(', ')
    throw new TypeError(`${name} must be one of ${written}${typeof value === 'string' ? '' : `, not ${kindOf(value)}`}.`)
  }
}

/** What a function of the user's returned, where it must be a text: a promise would be sent as an empty object. */
export function returnedText(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  const isPromise = typeof value === 'object' && value !== null && 'then' in value
  if (isPromise) Promise.resolve(value).catch(() => {})
  throw new TypeError(`${name} must return a text at once, not ${isPromise ? 'a promise' : kindOf(value)}.`)
}

/** ` Did you mean 'apiKey'?`, or all names where nothing is near. */
export function suggestion(name: string, known: readonly string[]): string {
  const plain = name.toLowerCase().replaceAll(/[_-]/g, '')
  const named = Object.hasOwn(elsewhere, plain) ? elsewhere[plain] : undefined
  const ours = named?.find(one => known.includes(one.split(':')[0] ?? ''))
  if (ours !== undefined) return ` Did you mean ${ours.includes(':') ? ours : `'${ours}'`}?`
  const [nearest] = known
    .map(one => ({ one, steps: distance(name.toLowerCase(), one.toLowerCase()) }))
    .toSorted((a, b) => a.steps - b.steps)
  if (nearest !== undefined && nearest.steps <= Math.max(2, Math.ceil(name.length / 3))) return ` Did you mean '${nearest.one}'?`
  return ` Known are: ${known.join(', ')}.`
}

/** What other libraries call it, in small letters without hyphens and underscores: what it is here, the first that the place knows. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  schema: ['output'],
  responseformat: ['output'],
  responseschema: ['output'],
  outputschema: ['output'],
  zodschema: ['output'],
  structuredoutput: ['output'],
  maxtokens: ['maxOutputTokens'],
  maxcompletiontokens: ['maxOutputTokens'],
  maxnewtokens: ['maxOutputTokens'],
  numpredict: ['maxOutputTokens'],
  abortsignal: ['signal'],
  abortcontroller: ['signal'],
  fallback: ['defaultResponse'],
  fallbackresponse: ['defaultResponse'],
  fallbackvalue: ['defaultResponse'],
  default: ['defaultResponse'],
  model: ['chain'],
  models: ['chain'],
  providers: ['chain'],
  targets: ['chain'],
  fallbacks: ['chain'],
  stop: ['stopSequences'],
  maxretries: ['retry'],
  retries: ['retry'],
  timeoutms: ['timeout: { totalMs: 30_000 }'],
  requesttimeout: ['timeout: { totalMs: 30_000 }'],
  total: ['totalMs'],
  instructions: ['system'],
  systemprompt: ['system'],
  input: ['prompt'],
  query: ['prompt'],
  reasoningeffort: ['reasoning'],
  effort: ['reasoning'],
  thinking: ['reasoning'],
  functions: ['tools'],
  functioncall: ['toolChoice'],
  provideroptions: ['extraBody'],
  body: ['extraBody'],
  url: ['baseURL'],
  endpoint: ['baseURL'],
  apibase: ['baseURL'],
  basepath: ['baseURL'],
  key: ['apiKey'],
  token: ['apiKey'],
  apitoken: ['apiKey'],
  defaultheaders: ['headers'],
  agent: ['dispatcher'],
  httpagent: ['dispatcher'],
  fetch: ['dispatcher'],
  circuitbreaker: ['breaker'],
  log: ['logger'],
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value === '') return 'an empty text'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return 'a text'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Levenshtein: how many letters must be added, taken away or changed. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 0; i < from.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + (from[i] === to[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
