import type { Arrivals } from './arrivals.ts'

export const serverNames = ['P', 'S', 'L'] as const
export type ServerName = (typeof serverNames)[number]

/** What the world itself has seen of a day. Columns, because a day has 50,000 calls. */
export type Ledger = {
  readonly arrivals: Arrivals
  /** By call: NaN while it has not settled. */
  readonly settledAt: Float64Array
  /** By call: 1 where the default response was all it got. */
  readonly degraded: Uint8Array
  /** By call: the attempt whose whole answer the caller got; 0 for none. */
  readonly answeredBy: Uint32Array
  /** By call: requests sent, whoever sent them and why. */
  readonly attempts: Uint16Array
  readonly billedInput: Float64Array
  readonly billedOutput: Float64Array
  readonly dollars: Float64Array
  /** By attempt; attempts are numbered from 1 in the order in which they are sent. */
  readonly attemptCall: number[]
  readonly attemptServer: ServerName[]
  readonly attemptFirstTokenAt: number[]
  /** By server and second: requests that reached it. */
  readonly requests: Readonly<Record<ServerName, number[]>>
  readonly faults: Faults
  /** The first error that no caller should ever see. */
  wrongError: unknown
}

/** What must never happen. Every one of them is 0 at the end of a good day. */
export type Faults = {
  beforeRetryAfter: number
  gluedTexts: number
  cutTexts: number
  neverSettled: number
  settledTwice: number
  settledLate: number
  wrongErrors: number
  neverClosed: number
  permitsLeaked: number
  requestsLeaked: number
  timersLeaked: number
  timersMisused: number
}

export function createLedger(arrivals: Arrivals): Ledger {
  const { count } = arrivals
  return {
    arrivals,
    settledAt: new Float64Array(count).fill(NaN),
    degraded: new Uint8Array(count),
    answeredBy: new Uint32Array(count),
    attempts: new Uint16Array(count),
    billedInput: new Float64Array(count),
    billedOutput: new Float64Array(count),
    dollars: new Float64Array(count),
    attemptCall: [-1],
    attemptServer: ['P'],
    attemptFirstTokenAt: [NaN],
    requests: { P: [], S: [], L: [] },
    wrongError: undefined,
    faults: {
      beforeRetryAfter: 0,
      gluedTexts: 0,
      cutTexts: 0,
      neverSettled: 0,
      settledTwice: 0,
      settledLate: 0,
      wrongErrors: 0,
      neverClosed: 0,
      permitsLeaked: 0,
      requestsLeaked: 0,
      timersLeaked: 0,
      timersMisused: 0,
    },
  }
}

/** The text of an answer: twice the number of the attempt that made it, so that a cut or glued answer is seen. */
export function piece(attempt: number): string {
  return `${attempt};`
}

/** The attempt that made a whole answer, or what is wrong with the text. */
export function authorOf(text: string): number | 'cut' | 'glued' {
  const [first = '', second, ...rest] = text.split(';')
  if (second === undefined || second === '') return 'cut'
  return first === second && rest.join('') === '' ? Number(first) : 'glued'
}
