import type { Answer } from '../../src/answer/answer.ts'
import type { Candidate, Leg, Walk } from '../../src/chain/state.ts'
import type { ClientEvent } from '../../src/contract-events.ts'
import type { Failure } from '../../src/contract-failures.ts'
import type { RetrySettings } from '../../src/contract-targets.ts'
import type { Availability } from '../../src/health/availability.ts'
import type { Permit } from '../../src/health/health.ts'
import type { FakeClock } from '../../src/testing/index.ts'

const retry: RetrySettings = { maxRetries: 2, baseDelayMs: 200, maxDelayMs: 10_000 }

export type Given = {
  readonly walk?: Partial<Walk>
  readonly leg?: Partial<Leg>
  readonly settings?: Partial<RetrySettings>
  readonly concurrency?: number
  /** What the sink says of a failure. */
  readonly verdict?: 'reword' | 'stop'
  /** How many retries the target has left. @default 9 */
  readonly budget?: number
  /** What health says of the target, at each moment. */
  check?(): Availability
  enter?(): Permit | undefined
}

/** A leg whose first attempt has failed, and what its retries ask of health and of the sink. */
export function failedLeg(clock: FakeClock, given: Given = {}) {
  const asked = { retries: 0, sink: [] as unknown[], opened: () => {}, entered: 0, cut: 0 }
  const events: ClientEvent[] = []
  const health = {
    check: () => given.check?.() ?? { state: 'available' },
    enter: () => {
      asked.entered += 1
      return given.enter === undefined ? {} : given.enter()
    },
    takeRetry: () => (asked.retries += 1) <= (given.budget ?? 9),
    onOpening: (listener: () => void) => {
      asked.opened = listener
      return () => {}
    },
  }
  const provider = { name: 'own' }
  const limits = given.concurrency === undefined ? undefined : { concurrency: given.concurrency }
  const target = { provider, model: 'm', targetIndex: 0, step: 0, retry: { ...retry, ...given.settings }, health, limits }
  const candidate = { target, asked: 1, failed: 0, skipped: false } as unknown as Candidate
  const walk = {
    clock,
    callId: 7,
    call: { model: '', messages: [], metadata: {} },
    random: () => 1,
    deadline: Infinity,
    firstContentAt: Infinity,
    waitLeftMs: Infinity,
    failures: [],
    trail: [],
    tell: (event: ClientEvent) => void events.push(event),
    sink: {
      failed: (_: Failure, source: unknown) => (asked.sink.push(source), given.verdict ?? 'policy'),
      acceptCut: (it: Answer) => ((asked.cut += 1), it),
    },
    ...given.walk,
  } as unknown as Walk
  const leg = { candidate, kind: 'first', retries: 0, decision: 'next', waitMs: 0, ...given.leg } as unknown as Leg
  return { walk, leg, candidate, asked, waits: () => events.flatMap(event => (event.type === 'wait' ? event.waitMs : [])) }
}
