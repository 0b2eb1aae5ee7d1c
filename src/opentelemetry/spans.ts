import type * as openTelemetryApi from '@opentelemetry/api'
import type { Attributes, Context, HrTime, Span, Tracer } from '@opentelemetry/api'
import type { AttemptRecord, ClientEvent } from '../contract-events.ts'
import { tellOne } from '../telemetry/events.ts'
import { attributes, ours, providerName } from './names.ts'

type Api = typeof openTelemetryApi
type EventOf<Type extends ClientEvent['type']> = Extract<ClientEvent, { readonly type: Type }>

/** The operation name of every span and metric of a request. */
export const operation = 'chat'

type OpenCall = {
  readonly callId: number
  readonly span: Span
  readonly context: Context
  /** Added to the time of an event, it gives the time since 1970. */
  readonly epochOffsetMs: number
  /** Open requests. Requests of background probes outlive the call. */
  readonly attempts: OpenAttempt[]
  committed: boolean
  over: boolean
}

/** One open request. */
export type OpenAttempt = {
  readonly span: Span
  readonly context: Context
  readonly targetIndex: number
  readonly attempt: number
}

/**
 * The spans of one client: one per call, with a child span per request. They start and end with events, which are emitted even after an
 * abort and do not depend on the reader of a stream.
 */
export type Spans = {
  callStarted(event: EventOf<'call-start'>): void
  callEnded(event: EventOf<'call-end'>): void
  attemptStarted(event: EventOf<'attempt-start'>): void
  attemptEnded(event: EventOf<'attempt-end'>): void
  /** Adds an event for a wait or a skip. */
  noted(event: EventOf<'wait'> | EventOf<'target-skip'>): void
  committed(callId: number): void
  /** Returns the open request with this name. */
  find(attempt: Named): OpenAttempt | undefined
  /** Returns the context in which the span of an open call is active. */
  contextOf(callId: number): Context | undefined
  /** Ends all open spans. */
  close(): void
}

type Named = { readonly callId: number; readonly targetIndex: number; readonly attempt: number }

type State = {
  readonly api: Api
  readonly tracer: Tracer
  readonly calls: Map<number, OpenCall>
  /** By `targetIndex`. */
  readonly bases: Base[]
  /** The call that was removed last, because its probe may send a changed request at the same moment. */
  latest: OpenCall | undefined
}

export function createSpans(api: Api, tracer: Tracer): Spans {
  const state: State = { api, tracer, calls: new Map(), bases: [], latest: undefined }
  const { calls } = state
  return {
    callStarted: event => startCall(state, event),
    callEnded: event => endCall(state, event),
    attemptStarted: event => startAttempt(state, event),
    attemptEnded: event => endAttempt(state, event),
    noted: event => note(state, event),
    committed(callId) {
      const call = calls.get(callId)
      if (call !== undefined) call.committed = true
    },
    find: named => openIn(callOf(state, named.callId), named),
    contextOf: callId => calls.get(callId)?.context,
    close() {
      for (const call of calls.values()) {
        for (const { span } of call.attempts.splice(0)) endAs('abandoned', span)
        if (!call.over) endAs('aborted', call.span)
      }
      calls.clear()
      state.latest = undefined
    },
  }
}

/** Throws nothing: a processor that throws for one span must not keep the others open. */
function endAs(outcome: string, span: Span): void {
  tellOne(() => span.setAttribute(ours.outcome, outcome).end(), undefined)
}

function startCall({ api, tracer, calls }: State, { callId, at, targets, stream, epochOffsetMs }: EventOf<'call-start'>): void {
  const { SpanKind, context, trace } = api
  // the event is emitted synchronously in the caller's context, so the active span there is the parent
  const parent = context.active()
  const name = stream ? 'unbusy.stream' : 'unbusy.generate'
  const span = tracer.startSpan(name, { kind: SpanKind.INTERNAL, startTime: timeOf(at + epochOffsetMs) }, parent)
  span.setAttribute(ours.targets, targets)
  calls.set(callId, {
    callId,
    span,
    context: trace.setSpan(parent, span),
    epochOffsetMs,
    attempts: [],
    committed: false,
    over: false,
  })
}

function endCall(state: State, event: EventOf<'call-end'>): void {
  const call = state.calls.get(event.callId)
  if (call === undefined) return
  const { span, epochOffsetMs } = call
  // first, because a span processor of the application may throw
  call.over = true
  forget(state, call)
  if (span.isRecording()) ended(span, event)
  if (event.outcome === 'failed') fail(state, span, errorTypeOf(event.error))
  span.end(timeOf(event.at + epochOffsetMs))
}

function startAttempt(state: State, event: EventOf<'attempt-start'>): void {
  const { api, tracer } = state
  const { SpanKind, trace } = api
  const call = callOf(state, event.callId)
  if (call === undefined) return
  const startTime = timeOf(event.at + call.epochOffsetMs)
  // a probe that outlived its call sends a changed request
  if (call.over) state.calls.set(call.callId, call)
  // the reader already has text, so this request restarts or continues the answer
  else if (call.committed && event.kind !== 'probe') call.span.addEvent('unbusy.restart', targetOf(event), startTime)
  const { name, attributes: given } = baseOf(state, event)
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime, attributes: given }, call.context)
  if (span.isRecording()) asked(span, event)
  const { targetIndex, attempt } = event
  call.attempts.push({ span, context: trace.setSpan(call.context, span), targetIndex, attempt })
}

function endAttempt(state: State, event: EventOf<'attempt-end'>): void {
  const call = callOf(state, event.callId)
  const attempt = openIn(call, event)
  if (call === undefined || attempt === undefined) return
  call.attempts.splice(call.attempts.indexOf(attempt), 1)
  forget(state, call)
  const { span } = attempt
  const { outcome, reason } = event.record
  if (span.isRecording()) answered(span, event.record)
  if (outcome === 'failed') fail(state, span, reason ?? '_OTHER')
  span.end(timeOf(event.at + call.epochOffsetMs))
}

function note(state: State, event: EventOf<'wait'> | EventOf<'target-skip'>): void {
  const call = callOf(state, event.callId)
  if (call === undefined || !call.span.isRecording()) return
  const { type, at, reason } = event
  const more = type === 'wait' ? { [ours.waitMs]: event.waitMs } : {}
  const told = { ...targetOf(event), ...more, ...(reason === undefined ? {} : { [ours.reason]: reason }) }
  call.span.addEvent(type === 'wait' ? 'unbusy.wait' : 'unbusy.skip', told, timeOf(at + call.epochOffsetMs))
}

/** As the SDK keeps a time: it would ask two clocks what a plain number means. */
function timeOf(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1_000)
  return [seconds, Math.trunc((epochMs - seconds * 1_000) * 1e6)]
}

function fail({ api: { SpanStatusCode } }: State, span: Span, errorType: string): void {
  span.setAttribute(attributes.errorType, errorType).setStatus({ code: SpanStatusCode.ERROR })
}

function callOf({ calls, latest }: State, callId: number): OpenCall | undefined {
  return calls.get(callId) ?? (latest?.callId === callId ? latest : undefined)
}

/** Removes a call once it and all of its requests have ended. */
function forget(state: State, call: OpenCall): void {
  if (!call.over || call.attempts.length > 0) return
  state.calls.delete(call.callId)
  state.latest = call
}

/** A linear search, because a call has only one or two open requests. */
function openIn(call: OpenCall | undefined, { targetIndex, attempt }: Named): OpenAttempt | undefined {
  return call?.attempts.find(each => each.targetIndex === targetIndex && each.attempt === attempt)
}

export type Target = Pick<AttemptRecord, 'provider' | 'model' | 'name' | 'targetIndex' | 'step'>

/** The attributes that name a target in spans and metrics. */
export function targetOf({ provider, model, name, targetIndex, step }: Target): Attributes {
  return {
    [attributes.provider]: providerName(provider),
    [attributes.requestModel]: model,
    [ours.targetIndex]: targetIndex,
    [ours.targetStep]: step,
    ...(name === undefined ? {} : { [ours.targetName]: name }),
  }
}

/** What all spans of a target begin with. Samplers see these attributes only, because the SDK checks each of them twice. */
type Base = { readonly name: string; readonly attributes: Attributes }

function baseOf({ bases }: State, event: EventOf<'attempt-start'>): Base {
  const { targetIndex, provider, model, address, port } = event
  return (bases[targetIndex] ??= {
    name: `${operation} ${model}`,
    attributes: {
      ...{ [attributes.operation]: operation, [attributes.provider]: providerName(provider), [attributes.requestModel]: model },
      ...(address === undefined ? {} : { [attributes.serverAddress]: address }),
      ...(port === undefined ? {} : { [attributes.serverPort]: port }),
    },
  })
}

function asked(span: Span, event: EventOf<'attempt-start'>): void {
  const { targetIndex, step, name, attempt, kind, stream, settings } = event
  span.setAttribute(ours.targetIndex, targetIndex)
  span.setAttribute(ours.targetStep, step)
  put(span, ours.targetName, name)
  if (stream) span.setAttribute(attributes.stream, true)
  span.setAttribute(ours.attempt, attempt)
  span.setAttribute(ours.kind, kind)
  const { temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, outputType } = settings
  put(span, attributes.temperature, temperature)
  put(span, attributes.topP, topP)
  put(span, attributes.maxTokens, maxOutputTokens)
  if (stopSequences !== undefined) span.setAttribute(attributes.stopSequences, [...stopSequences])
  put(span, attributes.seed, seed)
  put(span, attributes.reasoningLevel, reasoning)
  if (outputType === 'json') span.setAttribute(attributes.outputType, 'json')
}

/** Sets an attribute only if it has a value, because the SDK spends time on empty attributes too. */
function put(span: Span, name: string, value: string | number | undefined): void {
  if (value !== undefined) span.setAttribute(name, value)
}

function answered(span: Span, record: AttemptRecord): void {
  const { outcome, status, responseId, responseModel, finishReason, firstChunkMs, usage, cost, chunks } = record
  span.setAttribute(ours.outcome, outcome)
  put(span, ours.cost, cost)
  put(span, attributes.httpStatus, status)
  put(span, attributes.responseId, responseId)
  put(span, attributes.responseModel, responseModel)
  if (finishReason !== undefined) span.setAttribute(attributes.finishReasons, [finishReason])
  // content without a finish reason: an abort or a broken stream
  else if (chunks > 0) span.setAttribute(attributes.finishReasons, ['error'])
  if (firstChunkMs !== undefined) span.setAttribute(attributes.timeToFirstChunk, firstChunkMs / 1_000)
  put(span, attributes.inputTokens, usage?.inputTokens)
  put(span, attributes.outputTokens, usage?.outputTokens)
  put(span, attributes.cachedTokens, usage?.cachedInputTokens)
  put(span, attributes.reasoningTokens, usage?.reasoningTokens)
}

function ended(span: Span, { outcome, attempts, cost, targetIndex, step }: EventOf<'call-end'>): void {
  span.setAttribute(ours.outcome, outcome)
  span.setAttribute(ours.attempts, attempts.length)
  put(span, ours.cost, cost)
  put(span, ours.targetIndex, targetIndex)
  put(span, ours.targetStep, step)
}

/** Returns the reason for which the chain failed, which is one of a few words; otherwise the name of the error. */
function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  // any other error may have a reason of its own, which is any text
  const isOurs = error.name === 'ChainExhaustedError' && 'reason' in error && typeof error.reason === 'string'
  return isOurs ? String(error.reason) : error.name
}
