import type { IncomingHttpHeaders } from 'node:http'
import { loadPackage } from '../../telemetry/optional-package.ts'

/** The part of `@opentelemetry/api` that is needed here. */
type Api = {
  readonly context: { active(): unknown; with<Result>(context: unknown, run: () => Result): Result }
  readonly propagation: { extract(context: unknown, carrier: object): unknown }
  readonly trace: { getSpanContext(context: unknown): unknown; setSpanContext(context: unknown, span: object): unknown }
}

/** Runs a request as a child of the span of its sender. */
export type InTrace = <Result>(headers: IncomingHttpHeaders, run: () => Result) => Result

const form = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/

/** Does nothing if OpenTelemetry is not loaded in this process. */
export function createInTrace(): InTrace {
  const api = load()
  if (api === undefined) return (_, run) => run()
  const { context, propagation, trace } = api
  return (headers, run) => {
    const { traceparent, tracestate } = headers
    if (traceparent === undefined) return run()
    const [, traceId = '', spanId = '', flags = '0'] = form.exec(String(traceparent)) ?? []
    if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return run()
    // no other headers of the sender: baggage would be forwarded to every service
    const extracted = propagation.extract(context.active(), { traceparent, ...(tracestate === undefined ? {} : { tracestate }) })
    const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    const parent = trace.getSpanContext(extracted) === undefined ? trace.setSpanContext(extracted, span) : extracted
    return context.with(parent, run)
  }
}

function load(): Api | undefined {
  try {
    return loadPackage('@opentelemetry/api', 'traces') as Api
  } catch {
    return undefined
  }
}
