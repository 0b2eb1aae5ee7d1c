/** Events between a source that pushes and a reader that pulls. */
export type EventQueue<Event> = {
  events: Event[]
  head: number
  /** How many events the reader has taken. */
  taken: number
  /** How many events may wait before the source must pause; 0: the reader has left. */
  limit: number
  closed: { readonly error: unknown } | undefined
  onDrain: (() => void) | undefined
  reader: PromiseWithResolvers<IteratorResult<Event, undefined>> | undefined
}

/** How many events may wait for a slow reader before the source must pause. The events of one socket read may exceed it. */
const highWaterMark = 64

const end: IteratorReturnResult<undefined> = { value: undefined, done: true }

export function createEventQueue<Event>(): EventQueue<Event> {
  return { events: [], head: 0, taken: 0, limit: highWaterMark, closed: undefined, onDrain: undefined, reader: undefined }
}

/** Returns `false` while the reader is behind. */
export function pushEvent<Event>(queue: EventQueue<Event>, event: Event): boolean {
  const { reader, limit, events } = queue
  if (reader !== undefined) {
    queue.reader = undefined
    queue.taken += 1
    reader.resolve({ value: event, done: false })
  } else if (limit > 0) events.push(event)
  return limit === 0 || events.length - queue.head < limit
}

/** Returns how many events have been pushed. */
export function countOf<Event>({ taken, events, head }: EventQueue<Event>): number {
  return taken + events.length - head
}

export function whenDrained<Event>(queue: EventQueue<Event>, listener: () => void): void {
  queue.onDrain = listener
  if (queue.events.length === 0) drained(queue)
}

export function closeQueue<Event>(queue: EventQueue<Event>, error?: unknown): void {
  const { reader } = queue
  // the reader gets the error once
  queue.closed ??= { error: reader === undefined ? error : undefined }
  queue.reader = undefined
  if (error === undefined) reader?.resolve(end)
  else reader?.reject(error)
}

export function nextEvent<Event>(queue: EventQueue<Event>): Promise<IteratorResult<Event, undefined>> {
  const event = queue.events[queue.head++]
  if (queue.head >= queue.events.length) clear(queue)
  if (event !== undefined) {
    queue.taken += 1
    return Promise.resolve({ value: event, done: false })
  }
  if (queue.closed === undefined) {
    if (queue.reader !== undefined) return afterReader(queue, queue.reader.promise)
    queue.reader = Promise.withResolvers()
    return queue.reader.promise
  }
  const { error } = queue.closed
  queue.closed = { error: undefined }
  return error === undefined ? Promise.resolve(end) : Promise.reject(error)
}

/** Several reads at once get one event each, in their order. A function of its own: a closure in `nextEvent` would cost every read. */
function afterReader<Event>(queue: EventQueue<Event>, read: Promise<unknown>): Promise<IteratorResult<Event, undefined>> {
  const again = () => nextEvent(queue)
  return read.then(again, again)
}

/** Returns all waiting events at once, without a promise for each. */
export function takeEvents<Event>(queue: EventQueue<Event>): readonly Event[] {
  const { events, head } = queue
  const taken = head === 0 ? events : events.slice(head)
  queue.taken += taken.length
  clear(queue)
  return taken
}

/** Never pauses the source again: the caller wants the complete answer, whether it is read or not. */
export function unboundQueue<Event>(queue: EventQueue<Event>): void {
  queue.limit = Infinity
  drained(queue)
}

/** Drops all events, present and future, because the reader has left. */
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
