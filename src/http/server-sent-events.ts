import { createParser } from 'eventsource-parser'
import { ProviderError } from '../errors.ts'
import { inMebibytes, maxEventLength } from './limits.ts'

export type EventReaderHandlers = {
  /** The data of one event: lines joined with LF. `event` is its type, undefined where the server names none. */
  onData(data: string, event: string | undefined): void
  /** A comment line. It says that the connection lives, and nothing else. */
  onComment(): void
  /** The longest event, in UTF-16 units. @default 8 Mi */
  readonly maxEventBytes?: number | undefined
}

/**
 * Reads a stream of server-sent events as the WHATWG standard says, with two differences: an event may not grow without bound,
 * and a last event is also read when no blank line follows it (R42).
 */
export function createEventReader(handlers: EventReaderHandlers): { write(text: string): void; end(): void } {
  const limit = handlers.maxEventBytes ?? maxEventLength
  const parser = createParser({
    maxBufferSize: limit,
    onEvent: event => handlers.onData(event.data, event.event),
    onComment: () => handlers.onComment(),
    onError(error) {
      // the other errors are fields that the standard wants ignored
      if (error.type === 'max-buffer-size-exceeded') throw tooLong(limit)
    },
  })
  return {
    write: text => parser.feed(text),
    // ends the last line and the last event; does nothing where both have ended
    end: () => parser.feed('\n\n'),
  }
}

function tooLong(limit: number): ProviderError {
  return new ProviderError(`One event of the stream is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
