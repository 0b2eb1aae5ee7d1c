import type { Clock } from '../contract.ts'

/** Sends one command; rejects when it fails, or when no answer is there in time. */
export type Ask = (...command: readonly string[]) => Promise<unknown>

export type Bounded = {
  readonly ask: Ask
  /** Commands that were given up, but still wait in the client: its queue must not grow while Redis is away. */
  unanswered(): number
}

export type BoundedOptions = {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly send: (command: readonly string[]) => Promise<unknown>
}

/** No command is waited for without end: a Redis that accepts and stays silent cost others 8 s a request (R117). */
export function createBounded({ clock, timeoutMs, send }: BoundedOptions): Bounded {
  let unanswered = 0

  function ask(...command: readonly string[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer = clock.setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    unanswered += 1
    const settle = () => {
      unanswered -= 1
      clock.clearTimeout(timer)
    }
    sendSafely(command).finally(settle).then(resolve, reject)
    return promise
  }

  async function sendSafely(command: readonly string[]): Promise<unknown> {
    return send(command)
  }

  return { ask, unanswered: () => unanswered }
}
