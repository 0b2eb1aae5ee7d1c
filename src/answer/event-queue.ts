/** Events between a source that pushes and a reader that pulls. */
export type EventQueue<Event> = {
  events: Event[]
  head: number
  /** So many may wait before the source is asked to pause; 0: nobody reads any more. */
  limit: number
  closed: { readonly error: unknown } | undefined
  onDrain: (() => void) | undefined
  reader: PromiseWithResolvers<IteratorResult<Event, undefined>> | undefined
}

/** Events that wait for a slow reader before the source is asked to pause. What one read of the socket holds may come on top. */
const highWaterMark = 64

const end: IteratorReturnResult<undefined> = { value: undefined, done: true }

export function createEventQueue<Event>(): EventQueue<Event> {
  return { events: [], head: 0, limit: highWaterMark, closed: undefined, onDrain: undefined, reader: undefined }
}

/** Answers `false` while the reader is behind. */
export function pushEvent<Event>(queue: EventQueue<Event>, event: Event): boolean {
  const { reader, limit, events } = queue
  if (reader !== undefined) {
    queue.reader = undefined
    reader.resolve({ value: event, done: false })
  } else if (limit > 0) events.push(event)
  return limit === 0 || events.length - queue.head < limit
}

export function whenDrained<Event>(queue: EventQueue<Event>, listener: () => void): void {
  queue.onDrain = listener
  if (queue.events.length === 0) drained(queue)
}

export function closeQueue<Event>(queue: EventQueue<Event>, error?: unknown): void {
  const { reader } = queue
  queue.closed ??= { error }
  queue.reader = undefined
  if (error === undefined) reader?.resolve(end)
  else reader?.reject(error)
}

export function nextEvent<Event>(queue: EventQueue<Event>): Promise<IteratorResult<Event, undefined>> {
  const event = queue.events[queue.head++]
  if (queue.head >= queue.events.length) clear(queue)
  if (event !== undefined) return Promise.resolve({ value: event, done: false })
  if (queue.closed === undefined) {
    queue.reader = Promise.withResolvers()
    return queue.reader.promise
  }
  const { error } = queue.closed
  queue.closed = { error: undefined }
  return error === undefined ? Promise.resolve(end) : Promise.reject(error)
}

/** From now on never ask the source to wait: somebody wants the whole answer, read or not. */
export function unboundQueue<Event>(queue: EventQueue<Event>): void {
  queue.limit = Infinity
  drained(queue)
}

/** The reader has left: nothing is kept any more. */
export function dropQueue<Event>(queue: EventQueue<Event>): void {
  queue.limit = 0
  queue.closed = { error: undefined }
  queue.reader?.resolve(end)
  clear(queue)
}

function clear<Event>(queue: EventQueue<Event>): void {
  if (queue.events.length > 0) queue.events = []
  queue.head = 0
  drained(queue)
}

function drained<Event>(queue: EventQueue<Event>): void {
  const listener = queue.onDrain
  queue.onDrain = undefined
  listener?.()
}
