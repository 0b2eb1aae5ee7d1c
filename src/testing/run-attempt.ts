import type { Attempt, Call, ProviderEvent } from '../contract.ts'
import type { Target } from '../contract-targets.ts'

/** Options of `runAttempt()`. */
export type AttemptOptions = {
  /** Fields that override the default call, whose only message is `Why is the sky blue?` */
  readonly call?: Partial<Call> | undefined
  /** Returns true for an event after which the reader lags behind, until `drain()` is called. @default never */
  readonly isBehind?: ((event: ProviderEvent) => boolean) | undefined
  /**
   * Runs the timer of `attempt.linger` in real time, as a client does, for a server that reports its finish but does not end the body.
   * @default false
   */
  readonly keepsTime?: boolean | undefined
}

/** One attempt at a target, without a chain around it. */
export type AttemptRun = {
  /** All events so far. */
  readonly events: readonly ProviderEvent[]
  /** The reason with which the attempt was rejected. */
  readonly error: unknown
  readonly outcome: 'open' | 'resolved' | 'rejected'
  /** Resolves when the attempt has ended, in whatever way. */
  readonly over: Promise<void>
  /** Resolves with the first matching event, including past events; rejects if the attempt ends without one. */
  until(fits: (event: ProviderEvent) => boolean): Promise<ProviderEvent>
  /** Returns all text deltas, joined. */
  text(): string
  /** Aborts the attempt. */
  abort(reason?: unknown): void
  /** Reports that the reader has caught up. */
  drain(): void
}

/**
 * Makes one attempt at a target and records its events, for tests of a provider.
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
  const end = (outcome: AttemptRun['outcome'], error?: unknown): void => {
    time.stop()
    if (state.outcome === 'open') Object.assign(state, { outcome, error })
  }
  const time = realTime((outcome, error) => {
    end(outcome, error)
    aborting.abort(new Error('The answer is over.'))
  })
  const attempt: Attempt = {
    signal: aborting.signal,
    emit(event) {
      events.push(event)
      // content after a finish: the answer has not ended
      if (isContent(event)) time.stop()
      for (const look of lookers) look()
      return options.isBehind?.(event) !== true
    },
    onDrain: listener => void drains.push(listener),
    ...(options.keepsTime === true ? { linger: time.linger } : undefined),
  }
  const over = target.provider.stream(callOf(target, options.call), attempt).then(
    () => end('resolved'),
    (error: unknown) => end('rejected', error),
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

type Time = { readonly linger: NonNullable<Attempt['linger']>; stop(): void }

/** The timer for the end of the body after a finish, as a client runs it. */
function realTime(onOver: (outcome: 'resolved' | 'rejected', error?: unknown) => void): Time {
  let timer: NodeJS.Timeout | undefined
  const conclude = (listener: () => void): void => {
    try {
      listener()
      onOver('resolved')
    } catch (error) {
      onOver('rejected', error)
    }
  }
  return {
    linger(listener, forMs) {
      clearTimeout(timer)
      if (listener !== undefined) timer = setTimeout(conclude, forMs, listener)
    },
    stop: () => clearTimeout(timer),
  }
}

function isContent({ type }: ProviderEvent): boolean {
  return type === 'text-delta' || type === 'reasoning-delta' || type === 'tool-call-delta' || type === 'tool-call'
}

function callOf(target: Target, call: Partial<Call> = {}): Call {
  return { model: target.model, messages: [{ role: 'user', content: 'Why is the sky blue?' }], metadata: {}, ...call }
}
