import { shortName } from '../../errors.ts'
import { isRecord, kindOf } from '../../check.ts'
import { RequestError } from './request-error.ts'

/** A JSON object from an untrusted client. */
export type Fields = Readonly<Record<string, unknown>>

/** Returns the value of a field. As in OpenAI's API, `null` counts as missing. */
export function given(fields: Fields, name: string): unknown {
  return fields[name] ?? undefined
}

export function wrong(param: string, wanted: string, value: unknown): RequestError {
  return new RequestError(`'${param}' must be ${wanted}, not ${kindOf(value)}.`, { param })
}

/** For a text that is not one of the allowed ones. It is named only if it is too short to be a piece of a prompt. */
export function wrongText(param: string, wanted: string, value: unknown): RequestError {
  if (typeof value !== 'string') return wrong(param, wanted, value)
  return new RequestError(`'${param}' must be ${wanted}, not ${shortName(value) === '' ? 'this text' : `'${value}'`}.`, { param })
}

export function fieldsOf(value: unknown, param: string): Fields {
  if (!isRecord(value)) throw wrong(param, 'an object', value)
  return value
}

export function listOf(value: unknown, param: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(param, 'a list', value)
  return value
}

export function textOf(value: unknown, param: string): string {
  if (typeof value !== 'string') throw wrong(param, 'a string', value)
  return value
}

export function optionalText(value: unknown, param: string): string | undefined {
  return value === undefined || value === null ? undefined : textOf(value, param)
}

export function flagOf(value: unknown, param: string): boolean | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw wrong(param, 'true or false', value)
  return value
}

export type Range = { readonly from: number; readonly to?: number; readonly isWhole?: boolean }

export function numberOf(value: unknown, param: string, { from, to = Infinity, isWhole = false }: Range): number | undefined {
  if (value === undefined || value === null) return undefined
  const isFit = typeof value === 'number' && value >= from && value <= to && (!isWhole || Number.isSafeInteger(value))
  if (isFit) return value
  const kind = isWhole ? 'a whole number' : 'a number'
  throw wrong(param, to === Infinity ? `${kind}, ${from} or more` : `${kind} from ${from} to ${to}`, value)
}
