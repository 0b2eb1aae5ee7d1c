import type { Attributes, Histogram, Meter, MeterProvider, Span, Tracer, TracerProvider } from '@opentelemetry/api'
import * as openTelemetryApi from '@opentelemetry/api'
import type { pino } from 'pino'

/**
 * What the peers need by themselves for one call that is answered: the calls that `unbusy/opentelemetry` and the logger make of them, with the
 * same attributes and fields, as plain code. No library on top of them can be cheaper.
 */

const target: Attributes = { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'bench', 'gen_ai.request.model': 'm' }
const ended: Attributes = { 'unbusy.outcome': 'answered' }

type Providers = { readonly tracerProvider: TracerProvider; readonly meterProvider: MeterProvider }

/** Two spans, one inside of the other, and three histogram records. */
export const sdkAlone = ({ tracerProvider, meterProvider }: Providers): (() => void) => {
  const tracer = tracerProvider.getTracer('bench')
  const meter = meterProvider.getMeter('bench')
  const histograms = ['request', 'first-chunk', 'call'].map(name => histogram(meter, name))
  return () => {
    spans(tracer)
    histograms[0]?.record(0.001, target)
    histograms[1]?.record(0.001, target)
    histograms[2]?.record(0.001, ended)
  }
}

const histogram = (meter: Meter, name: string): Histogram => meter.createHistogram(name, { unit: 's' })

const spans = (tracer: Tracer): void => {
  const { context, SpanKind, trace } = openTelemetryApi
  const parent = context.active()
  const startTime = Date.now()
  const call = tracer.startSpan('unbusy.generate', { kind: SpanKind.INTERNAL, startTime: [startTime, 0] }, parent)
  set(call, { 'unbusy.targets': 1 })
  const inCall = trace.setSpan(parent, call)
  const options = { kind: SpanKind.CLIENT, startTime: [startTime, 0] as [number, number], attributes: target }
  const attempt = tracer.startSpan('chat m', options, inCall)
  trace.setSpan(inCall, attempt)
  set(attempt, { 'unbusy.target.index': 0, 'unbusy.target.step': 0, 'gen_ai.request.stream': true })
  set(attempt, { 'unbusy.attempt': 1, 'unbusy.attempt.kind': 'first', 'unbusy.outcome': 'answered', 'unbusy.cost': 0.00006 })
  set(attempt, { 'gen_ai.response.finish_reasons': ['stop'], 'gen_ai.response.time_to_first_chunk': 0.001 })
  set(attempt, { 'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 27 })
  attempt.end([startTime, 1])
  set(call, { 'unbusy.outcome': 'answered', 'unbusy.attempts': 1, 'unbusy.cost': 0.00006 })
  set(call, { 'unbusy.target.index': 0, 'unbusy.target.step': 0 })
  call.end([startTime, 1])
}

const set = (span: Span, attributes: Attributes): void => {
  span.setAttributes(attributes)
}

/** One line for the call. */
export const pinoAlone = (logger: pino.Logger): (() => void) => {
  const child = logger.child({ module: 'unbusy' })
  let callId = 0
  return () => {
    callId += 1
    const fields = {
      ...{ callId, outcome: 'answered', provider: 'bench', model: 'm', targetIndex: 0, step: 0, cost: 0.00006 },
      ...{ usage: { inputTokens: 10, outputTokens: 27 }, attempts: 1, durationMs: 1 },
      ...{ 'gen_ai.provider.name': 'bench', 'gen_ai.request.model': 'm' },
      ...{ 'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 27 },
    }
    child.info(fields, 'call answered')
  }
}
