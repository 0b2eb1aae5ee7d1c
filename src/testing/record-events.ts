import type { AttemptRecord, ClientEvent } from '../contract.ts'

type EventType = ClientEvent['type']
type EventOf<Type extends EventType> = Extract<ClientEvent, { readonly type: Type }>

/** Collects what clients tell, so that a test compares one whole list. */
export type EventRecorder = {
  /** Give it to the client as `onEvent`. Several clients may share one. */
  listener(event: ClientEvent): void
  /** Everything that was told, in order. */
  readonly events: readonly ClientEvent[]
  /** Only the types, in order. */
  types(): readonly EventType[]
  of<Type extends EventType>(type: Type): readonly EventOf<Type>[]
  /** The records of all attempts that ended, in the order in which they ended. */
  attempts(): readonly AttemptRecord[]
  /** What breaks the promise that every start has exactly one end, one sentence each. Ask it when all calls are over. */
  unpaired(): readonly string[]
  /** Throws if `unpaired()` has anything to tell. */
  assertPaired(): void
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
      if (problems.length > 0) throw new Error(`Events are not paired.\n${problems.map(problem => `  ${problem}`).join('\n')}`)
    },
    clear: () => void events.splice(0),
  }
}

/** What a start and its end have in common; undefined for events that are neither. */
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
