import { callback, type Check, type Checks, checkOptions, kindOf, positiveCount } from '../../check.ts'
import type { EndpointOptions } from './endpoint.ts'

/** A timer of 0 would write comments without pause, and one of more than 2^31 - 1 fires at once. */
export const keepAliveMs: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 10 && value <= 2_147_483_647))
    throw new TypeError(`${name} must be a number of milliseconds, 10 or more, for example 15_000, not ${kindOf(value)}.`)
}

const endpointChecks = { keepAliveMs, onError: callback } satisfies Record<keyof EndpointOptions, Check> & Checks

/** The default limit of a request body. It leaves room for several images. */
export const defaultMaxBodyBytes = 20 * 1024 * 1024

const serverChecks = { ...endpointChecks, maxBodyBytes: positiveCount } satisfies Checks

export function checkEndpointOptions(options: unknown, name: string): void {
  checkOptions(options, serverChecks, name)
}
