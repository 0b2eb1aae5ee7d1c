import type { FailureReason } from '../../contract.ts'
import type { Row } from './failure-row.ts'

const statuses: ReadonlyMap<number, FailureReason> = new Map<number, FailureReason>([
  [401, 'authentication'],
  [402, 'quota'],
  [403, 'permission'],
  [404, 'not-found'],
  // nobody posts there: the path is wrong (F29)
  [405, 'not-found'],
  // not taken at the moment, through no fault of the request
  [408, 'overloaded'],
  [409, 'overloaded'],
  [410, 'not-found'],
  [413, 'context-length'],
  [424, 'server-error'],
  [425, 'overloaded'],
  [429, 'rate-limit'],
  [451, 'permission'],
  // Groq: the capacity of its flexible tier is used up (F18)
  [498, 'overloaded'],
  // a proxy lost its patience, or thinks that we did
  [499, 'server-error'],
  // llama-server's not_supported_error: this server cannot do that at all
  [501, 'invalid-request'],
  [503, 'overloaded'],
  [529, 'overloaded'],
])

/** What a status says where nothing else does. Undefined inside a 200. */
export function statusRow(status: number): Row | undefined {
  if (status >= 200 && status < 300) return undefined
  const reason = statuses.get(status) ?? (status >= 500 ? 'server-error' : 'invalid-request')
  return { from: 'status', reason }
}
