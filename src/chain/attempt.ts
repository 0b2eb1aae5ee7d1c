import type { Answer } from '../answer/answer.ts'
import type { Attempt, ProviderEvent } from '../contract.ts'
import type { ClockName } from '../contract-failures.ts'
import { ProviderError, UnbusyError } from '../errors.ts'
import { settleHold } from './account.ts'
import { blockedAgain, failureOf, mayBeAtWork, timeoutError, uncheckedError, verdictOf } from './attempt-failure.ts'
import { type Failed, recordOf, tell } from './attempt-record.ts'
import { describe, observed, restart, startEvent } from './attempt-start.ts'
import {
  awaitDeadline,
  chunkCame,
  finishCame,
  headersCame,
  keepAliveCame,
  lingerFor,
  morePatience,
  pauseClocks,
  startChunks,
  startClocks,
  startTransport,
  stopClocks,
  waitForFirstChunk,
} from './clocks.ts'
import { withServiceName } from './provider-state.ts'
import type { AttemptOptions, RunningAttempt } from './state.ts'

/** Neither an answer nor a failure: another attempt won, the call is over, or the request was not made after all. */
export const abandoned = new UnbusyError('This attempt was abandoned.')

type Ending = 'answered' | 'failed' | 'abandoned'
type Transport = ProviderEvent & { type: 'connecting' | 'sent' | 'headers' | 'queued' | 'patience' | 'asked-again' }
type Content = ProviderEvent & { type: 'text-delta' | 'reasoning-delta' | 'tool-call-delta' | 'tool-call' }

/**
 * Makes one request to one target under its clocks. Each event passes synchronously from the provider through the clocks to the fold. An
 * attempt ends exactly once: it stops the clocks, returns the permit, aborts the provider and reports one `attempt-end`.
 */
export function startAttempt(options: AttemptOptions): RunningAttempt {
  const { clock } = options
  const run: RunningAttempt = {
    options,
    attempt: options.attempt,
    kind: options.kind,
    startedAt: clock.now(),
    controller: new AbortController(),
    done: Promise.withResolvers<Answer>(),
    clocks: startClocks(options, (name, afterMs) => timedOut(run, name, afterMs)),
    over: false,
    isUnsent: undefined,
    finished: false,
    wasQueued: false,
    chunks: 0,
    earlierChunks: 0,
    firstChunkMs: undefined,
    status: undefined,
    requestId: undefined,
    responseId: undefined,
    responseModel: undefined,
    finishReason: undefined,
    usage: undefined,
    record: undefined,
    conclude: undefined,
    checking: undefined,
  }
  options.tell?.(startEvent(run))

  const context: Attempt = {
    signal: run.controller.signal,
    emit: event => emit(run, event),
    onDrain: listener => onDrain(run, listener),
    clock,
    linger: (listener, forMs) => linger(run, listener, forMs),
  }
  const { usage } = options.permit
  request(run, context).then(
    () => {
      usage?.finished(run.over)
      void checkAnswer(run)
    },
    error => {
      usage?.finished(mayBeAtWork(run, error))
      rejected(run, error)
    },
  )
  return run
}

/** The only place that makes requests. */
function request(run: RunningAttempt, context: Attempt): Promise<void> {
  const { telemetry } = run.options.target.observers
  if (telemetry === undefined) return send(run, context)
  return observed(run, telemetry, { context, send: given => send(run, given) })
}

/** A provider that throws synchronously counts as one that rejects. */
function send({ options: { target, call } }: RunningAttempt, context: Attempt): Promise<void> {
  try {
    return Promise.resolve(target.provider.stream(call, context))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Takes an event of the provider. Returns false when the reader is behind, and the provider must pause. */
function emit(run: RunningAttempt, event: ProviderEvent): boolean {
  if (run.over || run.finished) return true
  switch (event.type) {
    case 'text-delta':
    case 'tool-call-delta':
      return content(run, event)
    case 'reasoning-delta':
    case 'tool-call':
      return content(run, event.providerMetadata === undefined ? event : withServiceName(event, run.options.target.provider))
    case 'finish':
      run.finished = true
      finishCame(run.clocks)
      run.usage = event.usage
      run.finishReason = event.finishReason
      return run.options.fold.emit(event)
    case 'response-metadata':
      named(run, event)
      return run.options.fold.emit(event)
    case 'warning':
      return run.options.fold.emit(event)
    default:
      transport(run, event)
      return true
  }
}

function content(run: RunningAttempt, event: Content): boolean {
  // an empty delta is not content, but may carry what the service requires back
  if ('text' in event && event.text === '') return !('providerMetadata' in event) || run.options.fold.emit(event)
  const now = run.options.clock.now()
  if (run.conclude !== undefined) goOn(run)
  if (run.chunks++ === 0 && !firstContent(run, now)) return true
  run.firstChunkMs ??= now - run.startedAt
  chunkCame(run.clocks, now, event.type === 'tool-call-delta')
  if (run.options.fold.emit(event)) return true
  pauseClocks(run.clocks)
  return false
}

/** The first content decides the race. It also decides a probe, whichever attempt wins. */
function firstContent(run: RunningAttempt, now: number): boolean {
  run.firstChunkMs = now - run.startedAt
  startChunks(run.clocks)
  run.options.permit.firstChunk(run.firstChunkMs)
  if (run.options.claim()) return true
  abandonAttempt(run, abandoned)
  return false
}

function named(run: RunningAttempt, { id, model, requestId }: ProviderEvent & { type: 'response-metadata' }): void {
  run.responseId = id ?? run.responseId
  run.responseModel = model ?? run.responseModel
  run.requestId = requestId ?? run.requestId
}

function transport(run: RunningAttempt, event: Transport): void {
  const { clocks } = run
  if (event.type === 'connecting') run.isUnsent ??= true
  else if (event.type !== 'patience') run.isUnsent = false
  if (event.type === 'queued') queued(run)
  else if (event.type === 'connecting') startTransport(clocks, 'connect')
  else if (event.type === 'sent') startTransport(clocks, 'headers')
  else if (event.type === 'patience') morePatience(clocks, event.timeout)
  else if (event.type === 'asked-again') askedAgain(run, event.failure)
  else {
    run.status = event.status
    run.requestId = event.requestId
    headersCame(clocks)
  }
}

function queued(run: RunningAttempt): void {
  keepAliveCame(run.clocks)
  if (!run.wasQueued && run.chunks === 0) tell(run, { type: 'attempt-queued' })
  run.wasQueued = true
}

/** A request failed and its provider sends a changed one: each has its own record, times and cost. */
function askedAgain(run: RunningAttempt, failure: Failed): void {
  const blocked = blockedAgain(run)
  if (blocked !== undefined) return fail(run, blocked)
  const record = recordOf(run, 'failed', failure)
  const next = run.options.admitRepeat(run, record)
  if (next === undefined) return fail(run, new ProviderError(failure.message, failure))
  run.options.target.observers.activity.attempted(record)
  tell(run, { type: 'attempt-end', record })
  restart(run, next)
  run.options.tell?.(startEvent(run))
}

function onDrain(run: RunningAttempt, listener: () => void): void {
  run.options.fold.onDrain(() => {
    if (run.over) return
    if (!run.finished && run.conclude === undefined) startChunks(run.clocks)
    listener()
  })
}

/** The server has reported its end: when the next clock runs out, what was received by then is the answer. */
function linger(run: RunningAttempt, listener: (() => void) | undefined, forMs: number): void {
  if (run.over || run.finished) return
  if (listener !== undefined) lingerFor(run.clocks, forMs)
  else if (run.conclude !== undefined) goOn(run)
  run.conclude = listener
}

/** More came after what looked like the end: the attempt waits as before. */
function goOn(run: RunningAttempt): void {
  run.conclude = undefined
  if (run.chunks > 0) startChunks(run.clocks)
  else waitForFirstChunk(run.clocks)
}

/** A complete answer wins against any clock (hugalafutro/model-hotel#60), also when the server never ends the body. */
function timedOut(run: RunningAttempt, name: ClockName, afterMs: number): void {
  const { conclude } = run
  run.conclude = undefined
  try {
    conclude?.()
  } catch (error) {
    rejected(run, error)
  }
  if (!run.finished) return fail(run, timeoutError(name, afterMs))
  const isChecking = run.checking !== undefined
  void checkAnswer(run).then(() => run.controller.abort(abandoned))
  if (name !== 'total') awaitDeadline(run.clocks)
  // F83: the caller's own schema may never settle. One that waits for nothing has settled before this timer of 0 ms fires
  else if (isChecking) fail(run, uncheckedError(afterMs))
  else run.options.clock.setTimeout(() => fail(run, uncheckedError(afterMs)), 0)
}

/** Runs once, although both the end of the body and a clock may start it. */
function checkAnswer(run: RunningAttempt): Promise<void> {
  run.checking ??= wholeAnswer(run).then(
    answer => answered(run, answer),
    error => rejected(run, error),
  )
  return run.checking
}

async function wholeAnswer(run: RunningAttempt): Promise<Answer> {
  if (run.finished || run.over) return run.options.fold.finish()
  const message = 'The stream ended before the answer was complete (no finish was sent).'
  throw new ProviderError(message, { reason: 'truncated', status: run.status, requestId: run.requestId })
}

function answered(run: RunningAttempt, answer: Answer): void {
  if (run.over) return
  run.options.target.observers.telemetry?.onAnswer?.(describe(run), answer)
  end(run, 'answered')
  run.done.resolve(answer)
}

function rejected(run: RunningAttempt, error: unknown): void {
  if (run.over) return
  // after `finish` only the end of the body is missing: a connection lost there does not make the answer incomplete
  if (run.finished && run.checking === undefined) return void checkAnswer(run)
  if (ProviderError.isInstance(error)) return fail(run, error)
  end(run, 'failed')
  run.done.reject(error)
}

function fail(run: RunningAttempt, cause: ProviderError): void {
  if (run.over) return
  const error = failureOf(run, cause)
  end(run, 'failed', error)
  run.controller.abort(error)
  run.done.reject(error)
}

/** Ends an attempt at once. Nothing is charged. */
export function abandonAttempt(run: RunningAttempt, reason: unknown): void {
  if (run.over) return
  end(run, 'abandoned')
  run.controller.abort(reason)
  run.done.reject(abandoned)
}

function end(run: RunningAttempt, outcome: Ending, error?: ProviderError): void {
  run.over = true
  stopClocks(run.clocks)
  if (outcome !== 'answered') run.options.fold.drop()
  const verdict = error === undefined ? (outcome === 'answered' ? 'answered' : 'abandoned') : verdictOf(run, error)
  run.record = recordOf(run, outcome, error)
  if (run.options.hold !== undefined) settleHold(run.options.hold, run.record)
  const { permit } = run.options
  permit.usage?.used(run.record.usage)
  permit.end(verdict)
  run.options.target.observers.activity.attempted(run.record)
  tell(run, { type: 'attempt-end', record: run.record })
}
