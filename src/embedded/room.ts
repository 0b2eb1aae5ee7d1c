import type { Loaded } from './load-model.ts'
import type { LlamaSequence } from './node-llama-cpp.ts'

/** The permission to generate one answer. */
export type Seat = { readonly loaded: Loaded; readonly sequence: LlamaSequence; leave(): void }

/** Hands out the sequences of one loaded model, first come, first served. */
export type Room = {
  enter(signal: AbortSignal, wait: () => void): Promise<Seat>
  busy(): { readonly running: number; readonly waiting: number }
  close(): Promise<void>
}

type Waiter = (sequence: LlamaSequence) => void

export function createRoom(loaded: Loaded): Room {
  const free = [...loaded.sequences]
  const waiting: Waiter[] = []
  let running = 0
  let closing = false

  const seat = (sequence: LlamaSequence): Seat => ({ loaded, sequence, leave: () => leave(sequence) })
  const leave = (sequence: LlamaSequence) => {
    const next = waiting.shift()
    if (next !== undefined) return next(sequence)
    running -= 1
    free.push(sequence)
    if (closing && running === 0) void loaded.llama.dispose()
  }

  return {
    async enter(signal, wait) {
      const sequence = free.pop()
      if (sequence === undefined) {
        wait()
        return seat(await turn(waiting, signal))
      }
      running += 1
      return seat(sequence)
    },
    busy: () => ({ running, waiting: waiting.length }),
    async close() {
      closing = true
      if (running === 0) await loaded.llama.dispose()
    },
  }
}

/** Resolves when it is this waiter's turn. If the signal fires first, leaves the queue and rejects with the signal's reason. */
function turn(waiting: Waiter[], signal: AbortSignal): Promise<LlamaSequence> {
  return new Promise((resolve, reject) => {
    const next: Waiter = sequence => {
      signal.removeEventListener('abort', leave)
      resolve(sequence)
    }
    const leave = () => {
      waiting.splice(waiting.indexOf(next), 1)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', leave, { once: true })
    waiting.push(next)
  })
}
