import type { StreamEvent } from '../../index.ts'
import { type Headers, headerValue } from './reply.ts'

/** The field of a request behind each setting of ours that has another name. */
const fields: Readonly<Record<string, string>> = {
  ...{ maxOutputTokens: 'max_tokens', topP: 'top_p', stopSequences: 'stop', toolChoice: 'tool_choice' },
  ...{ output: 'response_format', reasoning: 'reasoning_effort', userId: 'user' },
}

type Warned = { readonly setting: string }

/** Returns the header that lists the fields of the request that the target did not take as they were: it has no such setting, or another range. */
export function warningsHeader(warnings: readonly Warned[]): Headers {
  if (warnings.length === 0) return {}
  const names = new Set(warnings.map(({ setting }) => fields[setting] ?? setting))
  return { 'x-unbusy-warnings': headerValue([...names].slice(0, 50).join(', ')) }
}

export type Ahead = {
  readonly warnings: readonly Warned[]
  /** The events of the stream from the first content on. */
  readonly events: AsyncIterator<StreamEvent>
}

/** Reads the warnings before the first content, because headers cannot follow it. Nothing waits: the stream has its first content. */
export async function readAhead(events: AsyncIterator<StreamEvent>): Promise<Ahead> {
  const warnings: Warned[] = []
  for (;;) {
    const next = await events.next()
    if (next.done !== true && next.value.type === 'warning') warnings.push(next.value)
    else if (next.done === true || next.value.type !== 'response-metadata') return { warnings, events: withFirst(next, events) }
  }
}

/** Not a generator, which could not be left while it waits for the next event. */
function withFirst(first: IteratorResult<StreamEvent>, rest: AsyncIterator<StreamEvent>): AsyncIterator<StreamEvent> {
  let pending: IteratorResult<StreamEvent> | undefined = first
  return {
    next() {
      if (pending === undefined) return rest.next()
      const taken = Promise.resolve(pending)
      pending = undefined
      return taken
    },
    return: async () => rest.return?.() ?? { value: undefined, done: true },
  }
}
