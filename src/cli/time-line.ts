import type { ClientEvent } from '../contract-events.ts'
import { duration, oneLine, type Terminal, type Tone } from './terminal.ts'
import { failureWords } from './trail.ts'

/** One bar of the time line. Times are in milliseconds since the start of the call. */
export type Bar = {
  readonly who: string
  readonly tone: Tone
  readonly startMs: number
  readonly endMs: number
  /** `wait`: a wait before a request. `skip`: a target that was not asked. */
  readonly kind: 'request' | 'wait' | 'skip'
  /** When the request entered the server's queue. */
  readonly queuedMs?: number | undefined
  readonly note: string
}

export type Scale = { readonly msPerCell: number; readonly cells: number }

const whoLength = 12
const timeLength = 10

/** Draws a bar as text: the target, the time and the outcome. */
export function drawBar(bar: Bar, scale: Scale, paint: Terminal['paint']): string {
  const { startMs, endMs } = bar
  const from = Math.min(Math.floor(startMs / scale.msPerCell), scale.cells - 1)
  const to = Math.min(Math.max(Math.round(endMs / scale.msPerCell), from + 1), scale.cells)
  const cells = Array.from({ length: to - from }, (_, index) => cellOf(bar, (from + index) * scale.msPerCell))
  if (endMs > scale.cells * scale.msPerCell * 1.05) cells[cells.length - 1] = '›'
  const lane = `${' '.repeat(from)}${paint(bar.tone, cells.join(''))}${' '.repeat(scale.cells - to)}`
  const time = bar.kind === 'skip' ? '' : duration(endMs - startMs)
  return `  ${bar.who.padEnd(whoLength)}${lane}${time.padStart(timeLength)}  ${paint(bar.tone, bar.note)}`
}

function cellOf({ kind, queuedMs }: Bar, atMs: number): string {
  if (kind !== 'request') return kind === 'wait' ? '·' : '╳'
  return queuedMs !== undefined && atMs >= queuedMs ? '░' : '█'
}

export type TimeLine = {
  onEvent(event: ClientEvent): void
  /** Stops drawing. */
  close(): void
}

type TimeLineOptions = {
  readonly msPerCell: number
  /** The moment at which the last bar ends: the first content or the whole answer. */
  readonly until: 'first-content' | 'answer'
}

/** Draws a call's attempts as they happen. On a screen the current bar grows; elsewhere each bar is one line, written at its end. */
export function drawTimeLine(terminal: Terminal, { msPerCell, until }: TimeLineOptions): TimeLine {
  const pen = createPen(terminal, msPerCell)
  const failed = new Set<number>()
  return {
    onEvent(event) {
      const { at } = event
      if (event.type === 'call-start') pen.begin(at)
      else if (event.type === 'attempt-start')
        pen.start(at, { kind: 'request', who: event.provider, note: event.attempt > 1 ? 'asked again' : 'asked' })
      else if (event.type === 'wait') pen.start(at, { kind: 'wait', who: '', note: `before ${event.provider} is asked again` })
      else if (event.type === 'target-skip') skip(event)
      else if (event.type === 'attempt-queued') pen.queue(at)
      else if (event.type === 'commit' && until === 'first-content') pen.end(at, { tone: 'good', note: 'first token' })
      else if (event.type === 'attempt-end') ended(event)
    },
    close: pen.close,
  }

  function skip({ at, provider, targetIndex, reason }: ClientEvent & { type: 'target-skip' }): void {
    // the failure of this target has already been shown, so the skip adds nothing
    if (failed.has(targetIndex)) return
    pen.start(at, { kind: 'skip', who: provider, note: '' })
    pen.end(at, { tone: 'wait', note: `not asked${reason === undefined ? '' : ` (${reason}, known from an earlier call)`}` })
  }

  function ended({ at, record, targetIndex }: ClientEvent & { type: 'attempt-end' }): void {
    failed.add(targetIndex)
    if (record.outcome === 'answered') pen.end(at, { tone: 'good', note: 'answered' })
    else if (record.outcome === 'failed') pen.end(at, { tone: 'bad', note: failureWords(record) })
    else pen.end(at, { tone: 'quiet', note: 'abandoned' })
  }
}

type Pen = {
  begin(at: number): void
  start(at: number, bar: Pick<Bar, 'kind' | 'who' | 'note'>): void
  queue(at: number): void
  end(at: number, change: Pick<Bar, 'tone' | 'note'>): void
  close(): void
}

/** Draws the current bar. Its times come from the events, so the bar shows what was measured. */
function createPen(terminal: Terminal, msPerCell: number): Pen {
  const cells = Math.max(10, Math.min(42, terminal.columns - whoLength - timeLength - 36))
  const room = terminal.isScreen ? Math.max(10, terminal.columns - cells - whoLength - timeLength - 5) : 200
  let begun = 0
  let current: Bar | undefined
  const text = (bar: Bar) => drawBar({ ...bar, note: oneLine(bar.note, room) }, { msPerCell, cells }, terminal.paint)
  const redraw = () => {
    if (current !== undefined) terminal.write(`\r\x1b[2K${text({ ...current, endMs: performance.now() - begun })}`)
  }
  const timer = terminal.isScreen ? setInterval(redraw, 40) : undefined
  const end = (at: number, change: Partial<Bar>) => {
    if (current === undefined) return
    const prefix = current.queuedMs === undefined || change.tone !== 'bad' ? '' : 'queued, then '
    const bar = { ...current, ...change, endMs: at - begun }
    terminal.line(`${terminal.isScreen ? '\r\x1b[2K' : ''}${text({ ...bar, note: `${prefix}${bar.note}` })}`)
    current = undefined
  }
  return {
    begin: at => void (begun = at),
    start(at, bar) {
      // a wait has no end event: it ends when the next bar begins
      end(at, {})
      current = { tone: bar.kind === 'wait' ? 'wait' : 'plain', startMs: at - begun, endMs: at - begun, ...bar }
      if (terminal.isScreen) redraw()
    },
    queue(at) {
      if (current?.kind !== 'request') return
      current = { ...current, tone: 'wait', queuedMs: at - begun, note: 'in the queue, only keep-alives' }
    },
    end,
    close() {
      clearInterval(timer)
      end(performance.now(), { note: 'stopped' })
    },
  }
}
