import type { Attempt, Call, ProviderEvent, Target } from '../contract.ts'

export type AttemptOptions = {
  /** What differs from a call with the one message `Why is the sky blue?` */
  readonly call?: Partial<Call> | undefined
  /** Answers true for an event after which the reader is behind, until `drain()` is called. @default never */
  readonly isBehind?: ((event: ProviderEvent) => boolean) | undefined
}

/** One attempt at a target, without a chain around it. */
export type AttemptRun = {
  /** What was emitted so far. */
  readonly events: readonly ProviderEvent[]
  /** What it was rejected with. */
  readonly error: unknown
  readonly outcome: 'open' | 'resolved' | 'rejected'
  /** Resolves when the attempt is over, however it ended. */
  readonly over: Promise<void>
  /** Resolves with the first event that fits, also with one that came already; rejects when the attempt ends without one. */
  until(fits: (event: ProviderEvent) => boolean): Promise<ProviderEvent>
  /** All text deltas together. */
  text(): string
  abort(reason?: unknown): void
  /** The reader has caught up. */
  drain(): void
}

/**
 * Asks a target once and keeps all that it emits, for tests of a provider.
 *
 * @example
 * const run = runAttempt(openai('gpt-6-luna', { baseURL: server.baseURL, apiKey: 'test' }))
 * await run.over
 * run.events.at(-1)   //=> { type: 'finish', finishReason: 'stop', ... }
 */
export function runAttempt(target: Target, options: AttemptOptions = {}): AttemptRun {
  const events: ProviderEvent[] = []
  const aborting = new AbortController()
  const drains: (() => void)[] = []
  const lookers = new Set<() => void>()
  const state: { outcome: AttemptRun['outcome']; error: unknown } = { outcome: 'open', error: undefined }
  const attempt: Attempt = {
    signal: aborting.signal,
    emit(event) {
      events.push(event)
      for (const look of lookers) look()
      return options.isBehind?.(event) !== true
    },
    onDrain: listener => void drains.push(listener),
  }
  const over = target.provider.stream(callOf(target, options.call), attempt).then(
    () => void (state.outcome = 'resolved'),
    (error: unknown) => void Object.assign(state, { outcome: 'rejected', error }),
  )
  return {
    events,
    get error() {
      return state.error
    },
    get outcome() {
      return state.outcome
    },
    over,
    async until(fits) {
      const { promise, resolve, reject } = Promise.withResolvers<ProviderEvent>()
      const look = (): void => {
        const event = events.find(fits)
        if (event !== undefined) resolve(event)
      }
      lookers.add(look)
      look()
      void over.then(() => reject(new Error(`The attempt was ${state.outcome} before that event.`, { cause: state.error })))
      return promise.finally(() => lookers.delete(look))
    },
    text: () => events.map(event => (event.type === 'text-delta' ? event.text : '')).join(''),
    abort: reason => aborting.abort(reason),
    drain: () => drains.splice(0).forEach(listener => listener()),
  }
}

function callOf(target: Target, call: Partial<Call> = {}): Call {
  return { model: target.model, messages: [{ role: 'user', content: 'Why is the sky blue?' }], metadata: {}, ...call }
}
