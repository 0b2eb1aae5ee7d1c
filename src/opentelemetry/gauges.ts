import type { Attributes, Meter, ObservableGauge } from '@opentelemetry/api'
import type { TargetSnapshot } from '../health/health.ts'
import { stateValues, sumOf } from '../telemetry/measured.ts'
import { ours } from './names.ts'

type Observe = (gauge: ObservableGauge, value: number, more: Attributes) => void
/** The gauges of the targets' state. */
export type Gauges = {
  readonly all: readonly ObservableGauge[]
  observe(observe: Observe, same: readonly TargetSnapshot[]): void
}

export function createGauges(meter: Meter): Gauges {
  const state = meter.createObservableGauge('unbusy.target.state', {
    description: '1 for the state that a target is in, 0 for each other one',
  })
  const inFlight = meter.createObservableGauge('unbusy.attempts.in_flight', { unit: '{attempt}' })
  const limit = meter.createObservableGauge('unbusy.concurrency.limit', { unit: '{attempt}' })
  const waiting = meter.createObservableGauge('unbusy.calls.waiting', { unit: '{call}' })
  const retriesLeft = meter.createObservableGauge('unbusy.retries.left', { unit: '{attempt}' })
  return {
    all: [state, inFlight, limit, waiting, retriesLeft],
    observe(observe, same) {
      for (const [each, value] of stateValues(same)) observe(state, value, { [ours.state]: each })
      const tell = (gauge: ObservableGauge, of: (target: TargetSnapshot) => number | undefined): void => {
        const value = sumOf(same, of)
        if (value !== undefined) observe(gauge, value, {})
      }
      tell(inFlight, target => target.inFlight)
      tell(limit, target => target.limit)
      tell(waiting, target => target.waiting)
      tell(retriesLeft, target => target.retriesLeft)
    },
  }
}
