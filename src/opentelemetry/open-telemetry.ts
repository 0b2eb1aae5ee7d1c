import type * as openTelemetryApi from '@opentelemetry/api'
import type { Attributes, Context, MeterProvider, Span, Tracer, TracerProvider } from '@opentelemetry/api'
import { checkOptions, flag, isRecord, kindOf } from '../check.ts'
import { tellOne } from '../telemetry/events.ts'
import { loadPackage } from '../telemetry/optional-package.ts'
import type { TelemetryClient, TelemetryEnd, TelemetryHooks, TelemetryPart } from '../telemetry/part.ts'
import { answeredAttributes, askedAttributes, jsonOf } from './content.ts'
import { type Address, type CallSums, type Measures, measuresOf, type TargetSums } from './measures.ts'
import { attributes, ours } from './names.ts'
import { createSpans, type Spans } from './spans.ts'

/** A `TracerProvider` of @opentelemetry/api. Declared here, like the next type, so that our types compile without that package. */
export type AnyTracerProvider = {
  /** Returns the tracer of this name. */
  getTracer(name: string, version?: string, options?: never): unknown
}
/** A `MeterProvider` of @opentelemetry/api. */
export type AnyMeterProvider = {
  /** Returns the meter of this name. */
  getMeter(name: string, version?: string, options?: never): unknown
}

/** Options of `openTelemetry()`. */
export type OpenTelemetryOptions = {
  /** The provider that creates the spans. @default the one that the application has registered */
  readonly tracerProvider?: AnyTracerProvider | undefined
  /** The provider that records the metrics. @default the one that the application has registered by the time of the first call */
  readonly meterProvider?: AnyMeterProvider | undefined
  /**
   * Sends all headers of the application's propagator with every request: `traceparent`, and often `baggage`. They go to a third party.
   * @default false
   */
  readonly propagate?: boolean | undefined
  /** Puts messages, tools and answers into the spans. @default false */
  readonly content?: boolean | undefined
}

type Api = typeof openTelemetryApi

/**
 * Traces and metrics with OpenTelemetry, for the client option `telemetry`: one span per call with a child span per request, following the
 * GenAI conventions. Needs the package @opentelemetry/api, and an SDK in the application. docs/monitoring.md lists what it reports.
 *
 * @throws {TypeError} An option is wrong.
 * @throws {Error} @opentelemetry/api is not installed.
 *
 * @example
 * const client = createClient({ chain, telemetry: [openTelemetry()] })
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): TelemetryPart {
  const checks = { tracerProvider: has('getTracer'), meterProvider: has('getMeter'), propagate: flag, content: flag }
  checkOptions(options, checks, 'openTelemetry')
  const api = loadPackage('@opentelemetry/api', 'unbusy/opentelemetry') as Api
  return { attach: ({ health }) => hooksFor(api, options, health) }
}

function has(method: string) {
  return (value: unknown, name: string): void => {
    if (!isRecord(value) || typeof value[method] !== 'function')
      throw new TypeError(`${name} must be an OpenTelemetry provider with ${method}(), not ${kindOf(value)}.`)
  }
}

type State = {
  readonly api: Api
  readonly spans: Spans
  readonly tracer: Tracer
  readonly counted: Counted
  /** Open spans of steps and tools. */
  readonly open: Set<Span>
}

function hooksFor(api: Api, options: OpenTelemetryOptions, health: TelemetryClient['health']): TelemetryHooks {
  const { tracerProvider, meterProvider, propagate = false, content = false } = options
  // until the application has set its provider, this is a proxy, which starts working then
  const tracer = ((tracerProvider as TracerProvider | undefined) ?? api.trace).getTracer('unbusy')
  const counted = createCounted(api, meterProvider as MeterProvider | undefined, health)
  const state: State = { api, spans: createSpans(api, tracer), tracer, counted, open: new Set() }
  const { spans } = state
  const endAll = (): void => {
    spans.close()
    for (const span of state.open) tellOne(() => span.end(), undefined)
    state.open.clear()
  }
  const leave = onExit(endAll)
  return {
    content,
    onEvent: listenerOf(state),
    around(attempt, run) {
      const found = spans.find(attempt)
      if (found === undefined) return run()
      if (content && found.span.isRecording()) found.span.setAttributes(askedAttributes(attempt.call))
      return api.context.with(found.context, run)
    },
    // log lines get the trace of their attempt or call
    aroundEvent(event, tell) {
      const found =
        event.type === 'attempt-end'
          ? spans.find(event)?.context
          : event.type === 'call-end'
            ? spans.contextOf(event.callId)
            : undefined
      return found === undefined ? tell() : api.context.with(found, tell)
    },
    ...(propagate ? { headers: attempt => injected(api, spans.find(attempt)?.context) } : {}),
    onAnswer(attempt, answer) {
      const span = spans.find(attempt)?.span
      if (span?.isRecording() === true) span.setAttributes(answeredAttributes(answer))
    },
    aroundStep: ({ step }, run) => inSpan(state, { name: 'unbusy.step', given: { [ours.step]: step } }, run),
    aroundTool({ toolName, toolCallId, input }, run) {
      const told = {
        ...{ [attributes.operation]: 'execute_tool', [attributes.toolName]: toolName },
        ...{ [attributes.toolCallId]: toolCallId, [attributes.toolType]: 'function' },
        ...(input === undefined ? {} : { [attributes.toolCallArguments]: textOf(input) }),
      }
      return inSpan(state, { name: `execute_tool ${toolName}`, given: told }, run)
    },
    close() {
      endAll()
      leave()
      counted.stop()
    },
  }
}

/** The metrics of one client. */
type Counted = {
  calls(): CallSums
  /** @param address the address of the target, if this event has it */
  target(event: Parameters<Measures['targetSums']>[0], address?: Address): TargetSums
  stop(): void
}

/** Instruments are created at the first event, when the application has set its provider. */
function createCounted(api: Api, meterProvider: MeterProvider | undefined, health: TelemetryClient['health']): Counted {
  const targets: TargetSums[] = []
  let made: { readonly measures: Measures; readonly calls: CallSums; readonly unwatch: () => void } | undefined
  const make = (): NonNullable<typeof made> => {
    const measures = measuresOf(meterProvider ?? api.metrics.getMeterProvider())
    const calls = measures.callSums()
    made = { measures, calls, unwatch: measures.watch({ health, sums: () => [calls, ...Object.values(targets)] }) }
    return made
  }
  return {
    calls: () => (made ?? make()).calls,
    target(event, address) {
      const target = (targets[event.targetIndex] ??= (made ?? make()).measures.targetSums(event, address))
      if (address !== undefined) target.isAt(address)
      return target
    },
    stop: () => made?.unwatch(),
  }
}

function listenerOf({ spans, counted }: State): NonNullable<TelemetryHooks['onEvent']> {
  return event => {
    switch (event.type) {
      case 'call-start':
        return spans.callStarted(event)
      case 'attempt-start':
        // the end event does not contain the address
        counted.target(event, event)
        return spans.attemptStarted(event)
      case 'attempt-end':
        counted.target(event.record).attemptEnded(event.record)
        return spans.attemptEnded(event)
      case 'target-skip':
        counted.target(event).of('skips', event.reason).value += 1
        return spans.noted(event)
      case 'wait':
        return spans.noted(event)
      case 'commit':
        return spans.committed(event.callId)
      case 'call-end':
        counted.calls().ended(event)
        return spans.callEnded(event)
      case 'keep-warm':
        counted.target(event).of('keepWarm', event.ok ? 'ok' : 'failed').value += 1
        return undefined
      default:
        return undefined
    }
  }
}

type Named = { readonly name: string; readonly given: Attributes }

/** Wraps a step or a tool of `runTools()` in a span, which is the parent of all spans created inside it. */
function inSpan({ api, tracer, open }: State, { name, given }: Named, run: () => Promise<TelemetryEnd>): Promise<void> {
  const { SpanKind, SpanStatusCode, trace, context } = api
  const span = tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes: given })
  open.add(span)
  return context.with(trace.setSpan(context.active(), span), run).then(({ errorType, result }) => {
    if (!open.delete(span)) return
    if (result !== undefined) span.setAttribute(attributes.toolCallResult, textOf(result))
    if (errorType !== undefined) span.setAttribute(attributes.errorType, errorType).setStatus({ code: SpanStatusCode.ERROR })
    span.end()
  })
}

/** Serialises what a tool takes and returns; a text stays as it is. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : jsonOf(value)
}

function injected(api: Api, context: Context | undefined): Readonly<Record<string, string>> | undefined {
  if (context === undefined) return undefined
  const headers: Record<string, string> = {}
  api.propagation.inject(context, headers)
  return headers
}

const open = new Set<() => void>()

function endEverything(): void {
  for (const end of open) end()
}

/** Calls `end` when the process exits, with one listener for all clients. Returns a function that cancels it. */
function onExit(end: () => void): () => void {
  if (open.size === 0) process.on('exit', endEverything)
  open.add(end)
  return () => {
    open.delete(end)
    if (open.size === 0) process.off('exit', endEverything)
  }
}
