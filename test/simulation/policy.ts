import type { Clock, Provider } from '../../src/contract.ts'
import type { Price } from '../../src/contract-targets.ts'

/** A step of the chain as a user of the library writes it. */
export type Step = { readonly provider: Provider; readonly model: string; readonly price: Price }

/** What stands in one process of the fleet: the shipped client, or the rule of a peer. */
export type Caller = {
  /** The text of the answer to the call of this number. */
  generate(metadata: { readonly number: number }): Promise<string | typeof degraded>
  /** Attempts that it believes to be under way. */
  inFlight(): number
  close(): Promise<void>
}

/** What a caller got instead of an answer: the default response. */
export const degraded = Symbol('the default response')

export type CallerOptions = {
  readonly hasDefault: boolean
  readonly chain: readonly Step[]
  readonly clock: Clock
  readonly random: () => number
  readonly trace?: ((text: string, number: number | undefined) => void) | undefined
}

export type Policy = {
  readonly name: string
  /** Settles every call by its deadline. */
  readonly hasDeadline: boolean
  /** Whether this is how it says that nobody answered; anything else is a bug. */
  isFailure(error: unknown): boolean
  create(options: CallerOptions): Caller
}
