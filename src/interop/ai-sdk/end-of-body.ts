import type { Attempt } from '../../index.ts'
import type { RawEnding } from '../../providers/chat-answer/raw-ending.ts'

/**
 * The least wait for the end of the body. `[DONE]` is not visible here, and only the model knows all that belongs to its finish. Longer than
 * the waits of `Ending`, for servers that send their last bytes slowly.
 */
const endWithinMs = 2_000

export type Waiting = {
  /** Call it after each part: once the service has said that it is done, the rest must come soon. */
  tell(ending: RawEnding): void
  stop(): void
}

/** @param conclude ends the answer with what has arrived. It may throw, as the listener of `linger` may */
export function createWaiting({ linger }: Pick<Attempt, 'linger'>, conclude: () => void): Waiting {
  const wait = linger ?? machineTimer()
  let isWaiting = false
  const stop = (): void => {
    if (isWaiting) wait(undefined, 0)
    isWaiting = false
  }
  return {
    tell(ending) {
      if (ending.finishReason() === undefined) return stop()
      isWaiting = true
      // each time anew: content that comes in the same chunk as the finish cancels a wait
      wait(conclude, Math.max(ending.lingerMs() ?? 0, endWithinMs))
    },
    stop,
  }
}

/** For a caller that offers no `linger`: without `[DONE]`, only a wait can tell an open body from an answer that goes on. */
function machineTimer(): NonNullable<Attempt['linger']> {
  let timer: NodeJS.Timeout | undefined
  return (listener, forMs) => {
    clearTimeout(timer)
    timer = listener === undefined ? undefined : setTimeout(listener, forMs)
  }
}
