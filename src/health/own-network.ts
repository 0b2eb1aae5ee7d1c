import type { Failure } from '../contract.ts'

/** No name, no route: more often the machine's own fault than the server's. */
const codes: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH'])

/**
 * Whether the request most likely never left this machine or its network. It still counts against the target here, for a name may be
 * gone for all; but it is no reason to speak for a whole fleet (F93).
 */
export function isOwnNetwork(failure: Failure): boolean {
  if (failure.reason !== 'network' || !(failure instanceof Error)) return false
  const { cause } = failure
  return cause instanceof Error && 'code' in cause && codes.has(cause.code)
}
