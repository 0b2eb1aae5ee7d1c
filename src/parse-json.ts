import { type JsonWork, jsonWork, shortText, weighJson } from './json-cost.ts'

/**
 * `JSON.parse` for untrusted text. Throws a `SyntaxError` like `JSON.parse`, also for a text that is nested deeper than 256 levels or
 * would block the process for long.
 *
 * @param work of the texts that are parsed in the same step, because they share the time
 */
export function readJson(text: string, work?: JsonWork): unknown {
  weigh(text, work, 1)
  return JSON.parse(text)
}

function weigh(text: string, work: JsonWork | undefined, times: number): void {
  if (work !== undefined || text.length > shortText) weighJson(text, work ?? jsonWork(), times)
}

/** Whether all these texts may be parsed in one step. */
export function fitInOneStep(texts: readonly string[]): boolean {
  const work = jsonWork()
  try {
    for (const text of texts) weighJson(text, work)
    return true
  } catch {
    return false
  }
}

/** Like `readJson()`, for values that are passed on unchecked: drops keys that would pollute a prototype when the value is merged. */
export function parseJson(text: string, work?: JsonWork): unknown {
  if (!mayReachPrototype(text)) return readJson(text, work)
  // the search for such keys doubles the time
  weigh(text, work, 2)
  const value: unknown = JSON.parse(text)
  dropPrototypeKeys(value)
  return value
}

/** A cheap check without false negatives: a key can also be written with `\u` escapes. */
function mayReachPrototype(text: string): boolean {
  if (text.includes('__proto__') || text.includes('constructor')) return true
  // `\u005f` to `\u0075` cover the letters of both keys, but not what servers usually escape (`\u003c`, Chinese)
  return text.includes('\\u00') && /\\u00[5-7]/.test(text)
}

function dropPrototypeKeys(root: unknown): void {
  const open: { [key: string]: unknown }[] = []
  const visit = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) open.push(value as { [key: string]: unknown })
  }
  visit(root)
  for (let object = open.pop(); object !== undefined; object = open.pop()) {
    if (Object.hasOwn(object, '__proto__')) delete object['__proto__']
    if (Object.hasOwn(object, 'constructor') && reachesPrototype(object['constructor'])) delete object['constructor']
    for (const inner of Object.values(object)) visit(inner)
  }
}

function reachesPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
}
