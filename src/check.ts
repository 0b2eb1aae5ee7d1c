import { optionHint } from './suggestion.ts'

/** Rejects an invalid option by throwing a `TypeError` that begins with the option's name. */
export type Check = (value: unknown, name: string) => void

export type Checks = Readonly<Record<string, Check>>

/**
 * Checks options without a schema library, which would slow down the import of the whole package. `undefined` counts as not given. No
 * message contains a value, because it may be an API key.
 */
export function checkOptions(options: unknown, checks: Checks, service: string): void {
  if (!isPlain(options)) {
    const like = 'baseURL' in checks ? " like { baseURL: '...' }" : ''
    throw new TypeError(`${service}: options must be an object${like}, not ${kindOf(options)}.`)
  }
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined)
      throw new TypeError(`${service}: there is no option '${name}'.${optionHint(name, Object.keys(checks))}`)
    if (value !== undefined) check(value, `${service}: ${name}`)
  }
}

export const text: Check = (value, name) => {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${name} must be a non-empty string, not ${kindOf(value)}.`)
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

/** Any non-negative number without a unit. */
export const level: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity)
    throw new TypeError(`${name} must be a number, 0 or more, not ${kindOf(value)}.`)
}

/** `Infinity` turns a clock off. */
export const milliseconds: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0))
    throw new TypeError(`${name} must be a number of milliseconds, 0 or more, not ${kindOf(value)}.`)
}

export const amount: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity) {
    throw new TypeError(`${name} must be a number of US dollars per million tokens, 0 or more, not ${kindOf(value)}.`)
  }
}

export const dollars: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity)
    throw new TypeError(`${name} must be a number of US dollars, 0 or more, not ${kindOf(value)}.`)
}

export const record: Check = (value, name) => {
  if (!isPlain(value)) throw new TypeError(`${name} must be an object, not ${kindOf(value)}.`)
}

/** A value that is sent as JSON: cycles and BigInts throw. Each object is visited once. */
export const writable: Check = (value, name) => {
  if (typeof value === 'bigint')
    throw new TypeError(`${name} is a BigInt, which JSON cannot represent. Write a number or a string.`)
  if (typeof value !== 'object' || value === null || looked.has(value)) return
  try {
    JSON.stringify(value)
  } catch (cause) {
    throw new TypeError(`${name} cannot be sent as JSON: it refers to itself or contains a BigInt. Write plain data.`, { cause })
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

/** An object whose fields are checked too. */
export function group(checks: Checks): Check {
  return (value, name) => {
    record(value, name)
    checkOptions(value, checks, name)
  }
}

/** A group of options for which users often write a single number, as in most other libraries. */
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

/** Checks that a user's function returned a string: a promise would be sent as an empty object. */
export function returnedText(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw new TypeError(`${name} must return a string, not ${isUnwantedPromise(value) ? 'a promise' : kindOf(value)}.`)
}

/** Whether a user's function returned a promise instead of a value. Handles its rejection, which would terminate the process. */
export function isUnwantedPromise(value: unknown): boolean {
  const isPromise = typeof value === 'object' && value !== null && 'then' in value
  if (isPromise) Promise.resolve(value).catch(() => {})
  return isPromise
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether an object has fields that we can read. A promise, a Map or a Date has none: what the caller meant would be lost in silence. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && !builtIns.has(tagOf(value))
}

const builtIns: ReadonlySet<string> = new Set([
  'Promise',
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'Date',
  'RegExp',
  'URLSearchParams',
])

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return 'a string'
  if (typeof value !== 'object') return `a ${typeof value}`
  if (isPlain(value)) return 'an object'
  return isUnwantedPromise(value) ? 'a promise' : `a ${tagOf(value)}`
}
