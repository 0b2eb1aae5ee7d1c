import type { GenerateResult } from './answer/answer.ts'
import type { ClientState, PreparedCall } from './call-state.ts'
import { kindOf } from './check.ts'
import { within } from './chain/within.ts'
import type { Failure } from './contract-failures.ts'
import { costOfAll, costsOf } from './cost.ts'
import type { ChainExhaustedError } from './errors.ts'

/** A default response that is computed has at least this time, even if the call's own is over. */
const leastDefaultMs = 250

/** Returns the default response unless the call ends first: the caller's function or the check of its result may never settle (F83). */
export function defaultFor(
  client: ClientState,
  call: PreparedCall,
  error: ChainExhaustedError,
): Promise<GenerateResult | undefined> {
  const { clock } = client
  const leftMs = call.startedAt + call.limits.totalMs - clock.now()
  return within(defaultOf(client, call, error), { clock, signal: call.signal, forMs: Math.max(leastDefaultMs, leftMs) })
}

/**
 * Returns the result of the call when no target answers. The client's default response was written without this call's schema: if it does
 * not match the schema, there is none.
 */
async function defaultOf(
  { options }: ClientState,
  { given, form }: PreparedCall,
  { failures, attempts }: ChainExhaustedError,
): Promise<GenerateResult | undefined> {
  const chosen = given.defaultResponse ?? options.defaultResponse
  if (chosen === undefined) return undefined
  const value: unknown = typeof chosen === 'function' ? await (chosen as DefaultFunction)(failures) : chosen
  checkDefault(value)
  const isTyped = form?.output !== undefined
  const ending = { isTyped, attempts, cost: costOfAll(attempts), costs: costsOf(attempts) }
  if (form?.output === undefined || given.defaultResponse !== undefined) return defaultResult({ value, ...ending })
  const checked = await form.output.check(value)
  return 'value' in checked ? defaultResult({ value: checked.value, ...ending }) : undefined
}

/** A value that JSON has no word for would be an answer without a text. */
function checkDefault(value: unknown): void {
  if (value !== undefined && !['function', 'symbol', 'bigint'].includes(typeof value)) return
  throw new TypeError(`The function in \`defaultResponse\` returned ${kindOf(value)}. It must return a string or a value.`)
}

type DefaultFunction = (failures: readonly Failure[]) => unknown

type Substitute = Pick<GenerateResult, 'attempts' | 'cost' | 'costs'> & {
  readonly value: unknown
  /** The value matches the schema in `output`; otherwise a string is the text of the answer. */
  readonly isTyped: boolean
}

/** Returns the default response as a result. */
function defaultResult({ value, isTyped, attempts, cost, costs }: Substitute): GenerateResult {
  const isText = typeof value === 'string'
  const text = isText ? value : JSON.stringify(value)
  return {
    text,
    message: { role: 'assistant', content: text },
    providerMetadata: undefined,
    ...{ reasoningText: '', toolCalls: [], finishReason: 'stop', usage: {}, warnings: [] },
    output: isText && !isTyped ? undefined : value,
    response: { id: undefined, model: undefined, requestId: undefined, providerMetadata: undefined },
    ...{ cost, costIsUpperBound: attempts.some(record => record.costIsUpperBound), costs, attempts, degraded: true },
    ...{ provider: 'default', model: 'default', name: undefined, targetIndex: -1, step: -1 },
  }
}
