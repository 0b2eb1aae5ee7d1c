/** Events between a source that pushes and a reader that pulls. */
export type EventQueue<Event> = {
  /** Answers `false` while the reader is behind. */
  push(event: Event): boolean
  onDrain(listener: () => void): void
  close(error?: unknown): void
  next(): Promise<IteratorResult<Event, undefined>>
  /** From now on never ask the source to wait: somebody wants the whole answer, read or not. */
  unbound(): void
  /** The reader has left: nothing is kept any more. */
  drop(): void
}

/** Events that wait for a slow reader before the source is asked to pause. What one read of the socket holds may come on top. */
const highWaterMark = 64

const end: IteratorReturnResult<undefined> = { value: undefined, done: true }

export function createEventQueue<Event>(): EventQueue<Event> {
  let events: Event[] = []
  let head = 0
  let limit = highWaterMark
  let closed: { readonly error: unknown } | undefined
  let onDrain: (() => void) | undefined
  let reader: PromiseWithResolvers<IteratorResult<Event, undefined>> | undefined

  const drained = () => {
    const listener = onDrain
    onDrain = undefined
    listener?.()
  }
  const clear = () => {
    events = []
    head = 0
    drained()
  }
  return {
    push(event) {
      if (reader !== undefined) {
        reader.resolve({ value: event, done: false })
        reader = undefined
      } else if (limit > 0) events.push(event)
      return limit === 0 || events.length - head < limit
    },
    onDrain(listener) {
      onDrain = listener
      if (events.length === 0) drained()
    },
    close(error) {
      closed ??= { error }
      if (error === undefined) reader?.resolve(end)
      else reader?.reject(error)
      reader = undefined
    },
    next() {
      const event = events[head++]
      if (head >= events.length) clear()
      if (event !== undefined) return Promise.resolve({ value: event, done: false })
      if (closed === undefined) return (reader = Promise.withResolvers()).promise
      const { error } = closed
      closed = { error: undefined }
      return error === undefined ? Promise.resolve(end) : Promise.reject(error)
    },
    unbound() {
      limit = Infinity
      drained()
    },
    drop() {
      limit = 0
      closed = { error: undefined }
      reader?.resolve(end)
      clear()
    },
  }
}
