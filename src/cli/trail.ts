import type { AttemptRecord, ClientEvent, EventListener } from '../contract-events.ts'
import { duration, oneLine, type Terminal, type Tone } from './terminal.ts'

export type TrailLine = { readonly tone: Tone; readonly who: string; readonly what: string }

/** Describes an event in one line; undefined if it adds nothing new. */
export function lineOf(event: ClientEvent): TrailLine | undefined {
  switch (event.type) {
    case 'attempt-start':
      return { tone: 'quiet', who: whoOf(event), what: startOf(event.kind, event.attempt) }
    case 'attempt-queued':
      return { tone: 'wait', who: whoOf(event), what: 'in the queue: the server only keeps the connection alive' }
    case 'attempt-end':
      return endOf(event.record)
    case 'target-skip':
      return { tone: 'wait', who: whoOf(event), what: `not asked: ${event.message}` }
    case 'wait':
      return { tone: 'wait', who: whoOf(event), what: `waiting ${duration(event.waitMs)} (${event.reason})` }
    case 'commit':
      return { tone: 'good', who: whoOf(event), what: `first content after ${duration(event.durationMs)}` }
    case 'health-change':
      return event.state === 'open' || event.state === 'gated' ? restOf(event) : undefined
    case 'local-network-suspected':
      return { tone: 'bad', who: '', what: `${event.providers.join(', ')} cannot be reached: is this machine offline?` }
    default:
      return undefined
  }
}

/** `503 overloaded`, `timeout (firstChunk)`: how an attempt failed, in a word or two. */
export function failureWords({ reason, status, clock }: Pick<AttemptRecord, 'reason' | 'status' | 'clock'>): string {
  if (clock !== undefined) return `${reason} (${clock})`
  if (status === 200) return `${reason} (in a 200)`
  return status === undefined ? `${reason}` : `${status} ${reason}`
}

/** Why the attempt failed, in our words. */
export function detailOf({ reason, status, message }: Pick<AttemptRecord, 'reason' | 'status' | 'message'>): string {
  if (message === undefined) return ''
  return reason === 'authentication' && status !== undefined ? 'the key was refused' : message
}

function whoOf({ provider, model }: { readonly provider: string; readonly model: string }): string {
  return `${provider} ${model}`
}

function startOf(kind: (ClientEvent & { type: 'attempt-start' })['kind'], attempt: number): string {
  if (kind === 'hedge') return 'also asked, because the first request is late'
  if (kind === 'probe') return 'also asked, to see whether it works again'
  return attempt > 1 ? 'asked again' : 'asked'
}

function endOf(record: AttemptRecord): TrailLine | undefined {
  const who = whoOf(record)
  if (record.outcome === 'abandoned') return { tone: 'quiet', who, what: `abandoned after ${duration(record.durationMs)}` }
  if (record.outcome !== 'failed') return undefined
  const words = `${failureWords(record)} after ${duration(record.durationMs)}`
  return { tone: 'bad', who, what: `${words}: ${detailOf(record)}` }
}

function restOf(event: ClientEvent & { type: 'health-change' }): TrailLine {
  const time = event.untilMs === undefined ? 'until it works again' : `for ${duration(event.untilMs)}`
  return { tone: 'quiet', who: whoOf(event), what: `is not asked ${time}` }
}

/** Writes one line per event during a call: the time, the target and what happened. */
export function writeTrail(terminal: Terminal): EventListener {
  let startedAt: number | undefined
  const failed = new Set<number>()
  return event => {
    if (event.type === 'call-start') startedAt = event.at
    if (event.type === 'attempt-end') failed.add(event.targetIndex)
    // the failure of this target has already been shown, so the skip adds nothing
    const line = event.type === 'target-skip' && failed.has(event.targetIndex) ? undefined : lineOf(event)
    if (line === undefined) return
    const when = duration(event.at - (startedAt ?? event.at)).padStart(9)
    const who = line.who.padEnd(24)
    const room = terminal.isScreen ? Math.max(20, terminal.columns - when.length - who.length - 4) : 400
    const what = terminal.paint(line.tone, oneLine(line.what, room))
    terminal.line(`${terminal.paint('quiet', when)}  ${who}  ${what}`)
  }
}
