/** Writes text. If it returns a promise, wait for it before the next write. */
export type Write = (text: string) => Promise<void> | undefined

export type PumpOptions<Event> = {
  /** Returns the text of an event; `''` for an event without text. */
  encode(event: Event): string
  /** Returns the text after the last event. */
  end(): Promise<string>
  readonly write: Write
}

/** In characters. A turn could otherwise last as long as events arrive, and back pressure is only noticed by writing. */
const largestWrite = 64 * 1024

/**
 * Writes the events of a stream as text. All events that are ready in one turn of the event loop are written together, because a write per
 * token costs more than the token. Resolves when everything is written. Rejects with the error of the stream, after writing all events
 * before it.
 */
export async function pump<Event>(events: AsyncIterator<Event>, { encode, end, write }: PumpOptions<Event>): Promise<void> {
  let pending = ''
  let turn: NodeJS.Immediate | undefined
  let blocked: Promise<void> | undefined
  const flush = (): void => {
    clearImmediate(turn)
    turn = undefined
    const text = pending
    pending = ''
    blocked = write(text)
  }
  try {
    for (;;) {
      const next = await events.next()
      if (next.done === true) break
      pending += encode(next.value)
      if (pending.length >= largestWrite) flush()
      else if (pending !== '') turn ??= setImmediate(flush)
      if (blocked === undefined) continue
      await blocked
      blocked = undefined
    }
    pending += await end()
  } finally {
    clearImmediate(turn)
    if (pending !== '') await write(pending)
  }
}
