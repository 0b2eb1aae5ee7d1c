import type { AttemptRecord, ClientEvent } from '../contract-events.ts'

type EventType = ClientEvent['type']
type EventOf<Type extends EventType> = Extract<ClientEvent, { readonly type: Type }>

/** Collects the events of clients, so that a test can compare one complete list. */
export type EventRecorder = {
  /** Give it to the client as `onEvent`. Several clients may share one. */
  listener(event: ClientEvent): void
  /** All events, in order. */
  readonly events: readonly ClientEvent[]
  /** The types of all events, in order. */
  types(): readonly EventType[]
  /** The events of one type, in order. */
  of<Type extends EventType>(type: Type): readonly EventOf<Type>[]
  /** The records of all attempts that ended, in the order in which they ended. */
  attempts(): readonly AttemptRecord[]
  /** Returns one sentence for each start without exactly one end, and each end without a start. Call it when all calls have ended. */
  unpaired(): readonly string[]
  /** Throws if `unpaired()` returns anything. */
  assertPaired(): void
  /** Forgets all recorded events. */
  clear(): void
}

/**
 * @example
 * const events = recordEvents()
 * const client = createClient({ chain, onEvent: events.listener })
 * await client.generate('Hi')
 * events.types()   //=> ['call-start', 'attempt-start', 'attempt-end', 'commit', 'call-end']
 * events.assertPaired()
 */
export function recordEvents(): EventRecorder {
  const events: ClientEvent[] = []
  const of = <Type extends EventType>(type: Type): readonly EventOf<Type>[] =>
    events.filter((event): event is EventOf<Type> => event.type === type)
  return {
    listener: event => void events.push(event),
    events,
    types: () => events.map(event => event.type),
    of,
    attempts: () => of('attempt-end').map(event => event.record),
    unpaired: () => unpairedIn(events),
    assertPaired() {
      const problems = unpairedIn(events)
      if (problems.length > 0)
        throw new Error(`Some events are not paired.\n${problems.map(problem => `  ${problem}`).join('\n')}`)
    },
    clear: () => void events.splice(0),
  }
}

/** The name that a start and its end share; undefined for events that are neither. */
function pairOf(event: ClientEvent): { readonly name: string; readonly isStart: boolean } | undefined {
  switch (event.type) {
    case 'call-start':
    case 'call-end':
      return { name: `call ${event.callId}`, isStart: event.type === 'call-start' }
    case 'attempt-start':
    case 'attempt-end': {
      const { attempt, callId, model, provider, targetIndex } = event
      return {
        name: `attempt ${attempt} of target ${targetIndex} (${provider} ${model}) in call ${callId}`,
        isStart: event.type === 'attempt-start',
      }
    }
    default:
      return undefined
  }
}

function unpairedIn(events: readonly ClientEvent[]): readonly string[] {
  const open = new Set<string>()
  const seen = new Set<string>()
  const problems: string[] = []
  for (const event of events) {
    const pair = pairOf(event)
    if (pair === undefined) continue
    const { name, isStart } = pair
    if (isStart) {
      if (seen.has(name)) problems.push(`${name} started twice`)
      seen.add(name)
      open.add(name)
    } else if (!open.delete(name)) problems.push(seen.has(name) ? `${name} ended twice` : `${name} ended and never started`)
  }
  return [...problems, ...[...open].map(name => `${name} started and never ended`)]
}
