import { ProviderError } from '../../errors.ts'
import type { FailureNumbers } from './failure-numbers.ts'
import { failureNumbers } from './failure-numbers.ts'
import type { Asked, Refused, Repair } from './repair-row.ts'
import { repairRows } from './repair-rows.ts'

/** What a target has learned of its server: the repairs that it keeps. */
export type RepairMemory = { repairs: readonly Repair[] }

/** More than one answer may name a cure: a model may take neither temperature nor topP. */
const mostRepairs = 4
/** A server that refuses more than this is not one that we can speak to. */
const mostKept = 32

export type RefusedRequest = Pick<Refused, 'fields' | 'limit' | 'reasoned'> & {
  readonly asked: Asked
  /** What this call was changed by so far. */
  readonly repairs: readonly Repair[]
}

/** The next repair of a call that failed, where the failure names its own cure. Undefined: none, the failure stands. */
export function repairFor(error: unknown, { asked, repairs, fields, limit, reasoned }: RefusedRequest): Repair | undefined {
  if (!ProviderError.isInstance(error) || repairs.length >= mostRepairs) return undefined
  const said = error.said ?? ''
  const refused: Refused = { ...asked, error, said, numbers: numbersOf(error, said), fields, limit, reasoned }
  for (const row of repairRows) {
    const repair = row(refused)
    if (repair === undefined || repairs.some(({ field }) => field === repair.field)) continue
    if (repair.change(asked) !== asked) return repair
  }
  return undefined
}

/** The request with everything that is known of this server, and the repairs that changed something in it. */
export function withRepairs(
  asked: Asked,
  repairs: readonly Repair[],
): { readonly asked: Asked; readonly applied: readonly Repair[] } {
  if (repairs.length === 0) return { asked, applied: repairs }
  let changed = asked
  const applied: Repair[] = []
  for (const repair of repairs) {
    const next = repair.change(changed)
    if (next !== changed) applied.push(repair)
    changed = next
  }
  return { asked: changed, applied }
}

/** The server has taken the changed request: so it is asked from now on. */
export function keepRepairs(memory: RepairMemory, repairs: readonly Repair[]): void {
  const fresh = repairs.filter(repair => repair.keep === 'target' && !memory.repairs.includes(repair))
  if (fresh.length === 0) return
  const others = memory.repairs.filter(({ field }) => fresh.every(repair => repair.field !== field))
  memory.repairs = [...others, ...fresh].slice(-mostKept)
}

/** llama-server names both numbers of an overflow in fields. */
function numbersOf(error: ProviderError, said: string): FailureNumbers {
  const told = failureNumbers(said)
  const contextTokens = told.contextTokens ?? error.contextTokens
  return { ...told, contextTokens, requestedTokens: told.requestedTokens ?? error.requestedTokens }
}
