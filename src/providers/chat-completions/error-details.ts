import type { ResponseHeaders } from '../../contract.ts'
import { durationMs } from '../../http/duration.ts'
import { asObject } from './parse-json.ts'

type Fields = { readonly [key: string]: unknown }

/** Of a long list nobody needs more. */
const mostDetails = 8

/** Google's `details`: a reason, the ids of quotas. Names only, so nothing of the request. */
export function detailsOf(details: unknown): string {
  const names = listOf(details).flatMap(({ reason, violations }) => [reason, ...listOf(violations).map(each => each['quotaId'])])
  return names.filter(name => typeof name === 'string' && /^[\w.-]{1,120}$/.test(name)).join(' ')
}

/** `retry_after: 30`, `retryDelay: "36s"` in one of Google's details, `retry_after_ms`; in milliseconds. */
export function namedTime(object: Fields): number | undefined {
  const inMs = object['retry_after_ms'] ?? object['retryAfterMs']
  if (typeof inMs === 'number') return durationMs(`${inMs}ms`)
  const times = [object, ...listOf(object['details'])].flatMap(holder => timeFields.map(name => holder[name]))
  const known = times.map(time => (typeof time === 'number' || typeof time === 'string' ? durationMs(String(time)) : undefined))
  return known.find(ms => ms !== undefined)
}

const timeFields = ['retryDelay', 'retry_after', 'retry_after_seconds', 'retryAfter', 'resets_in_seconds'] as const

/** Headers in a body: those that an aggregator passes on. */
export function headersIn(headers: unknown): ResponseHeaders {
  const found = Object.entries(asObject(headers) ?? {}).slice(0, 32)
  return Object.fromEntries(
    found
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([name, value]) => [name.toLowerCase(), String(value)]),
  )
}

function listOf(value: unknown): readonly Fields[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value.slice(0, mostDetails) : []
  return entries.map(asObject).filter(each => each !== undefined)
}
