import type { ModelOptions } from './load-model.ts'
import { loadModel } from './load-model.ts'
import type { NodeLlamaCpp } from './node-llama-cpp.ts'
import type { Room, Seat } from './room.ts'
import { createRoom } from './room.ts'

export type Engine = {
  /** Loads the model if necessary, then takes a free sequence or queues for one. `wait` is called if the call has to queue. */
  enter(options: { readonly signal: AbortSignal; wait(): void }): Promise<Seat>
  busy(): { readonly running: number; readonly waiting: number }
  /** Frees the memory as soon as the answers in progress have ended. The next call loads the model again. */
  close(): Promise<void>
}

export function createEngine(options: ModelOptions, importLibrary: () => Promise<NodeLlamaCpp>): Engine {
  let opening: Promise<Room> | undefined
  let current: Room | undefined

  const open = (): Promise<Room> => {
    opening ??= loadModel(options, importLibrary).then(
      loaded => (current = createRoom(loaded)),
      (error: unknown) => {
        // reset, so that the next call tries again
        opening = undefined
        throw error
      },
    )
    return opening
  }

  return {
    async enter({ signal, wait }) {
      signal.throwIfAborted()
      const room = await abandonable(open(), signal)
      return room.enter(signal, wait)
    },
    busy: () => current?.busy() ?? { running: 0, waiting: 0 },
    async close() {
      const room = await opening?.catch(() => undefined)
      opening = undefined
      current = undefined
      await room?.close()
    },
  }
}

/** Rejects when the signal fires. The work itself continues, so that the next call finds the model loaded. */
function abandonable<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason as Error)
    signal.addEventListener('abort', leave, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
