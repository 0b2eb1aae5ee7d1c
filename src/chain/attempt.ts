import type { Answer } from '../answer/answer.ts'
import type { Attempt, AttemptRecord, ClockName, ProviderEvent } from '../contract.ts'
import { ProviderError, UnbusyError } from '../errors.ts'
import { type Failed, namesOf, recordOf, signError } from './attempt-record.ts'
import {
  awaitDeadline,
  chunkCame,
  endOfSilence,
  finishCame,
  headersCame,
  keepAliveCame,
  lingerFor,
  morePatience,
  pauseClocks,
  restartClocks,
  saysMuch,
  startChunks,
  startClocks,
  startTransport,
  stopClocks,
  timeoutError,
  uncheckedError,
  waitForFirstChunk,
} from './clocks.ts'
import { type Charge, chargeOf } from './policy.ts'
import type { AttemptKind, AttemptOptions, RunningAttempt } from './state.ts'

/** Why an attempt rejects that lost its race or whose caller left: neither an answer nor a failure. */
export const abandoned = new UnbusyError('This attempt was abandoned.')

type Ending = AttemptRecord['outcome'] & ('answered' | 'failed' | 'abandoned')
type AttemptEvent =
  | { readonly type: 'attempt-start'; readonly kind: AttemptKind }
  | { readonly type: 'attempt-queued' }
  | { readonly type: 'attempt-end'; readonly record: AttemptRecord }
type Transport = ProviderEvent & { type: 'connecting' | 'sent' | 'headers' | 'queued' | 'patience' | 'asked-again' }
type Content = ProviderEvent & { type: 'text-delta' | 'reasoning-delta' | 'tool-call-delta' | 'tool-call' }

/**
 * One request to one target under its clocks. Every event takes one synchronous road: provider, clocks, fold. However it ends, it
 * ends once: clocks stopped, permit given back, signal fired so that the provider closes what it opened, one `attempt-end` told.
 */
export function startAttempt(options: AttemptOptions): RunningAttempt {
  const { clock } = options
  const run: RunningAttempt = {
    options,
    attempt: options.attempt,
    startedAt: clock.now(),
    controller: new AbortController(),
    done: Promise.withResolvers<Answer>(),
    clocks: startClocks(options, (name, afterMs) => timedOut(run, name, afterMs)),
    over: false,
    finished: false,
    wasQueued: false,
    chunks: 0,
    earlierChunks: 0,
    firstChunkMs: undefined,
    status: undefined,
    requestId: undefined,
    usage: undefined,
    record: undefined,
    conclude: undefined,
    settling: undefined,
  }
  tell(run, { type: 'attempt-start', kind: options.kind })

  const context: Attempt = {
    signal: run.controller.signal,
    emit: event => emit(run, event),
    onDrain: listener => onDrain(run, listener),
    clock,
    linger: (listener, forMs) => linger(run, listener, forMs),
  }
  start(options, context).then(
    () => settle(run),
    error => rejected(run, error),
  )
  return run
}

/** Ends it at once and charges nobody. */
export function abandonAttempt(run: RunningAttempt, reason: unknown): void {
  if (run.over) return
  end(run, 'abandoned')
  run.controller.abort(reason)
  run.done.reject(abandoned)
}

function onDrain(run: RunningAttempt, listener: () => void): void {
  run.options.fold.onDrain(() => {
    if (run.over) return
    if (!run.finished && run.conclude === undefined) startChunks(run.clocks)
    listener()
  })
}

/** The server has said that it is done: whatever clock rings next, what there is by then is the answer. */
function linger(run: RunningAttempt, listener: (() => void) | undefined, forMs: number): void {
  if (run.over || run.finished) return
  if (listener !== undefined) lingerFor(run.clocks, forMs)
  else if (run.conclude !== undefined) goOn(run)
  run.conclude = listener
}

/** It was not the end. */
function goOn(run: RunningAttempt): void {
  run.conclude = undefined
  if (run.chunks > 0) startChunks(run.clocks)
  else waitForFirstChunk(run.clocks)
}

/** What is whole wins against any clock (hugalafutro/model-hotel#60), also when the server forgets to end the body. */
function timedOut(run: RunningAttempt, name: ClockName, afterMs: number): void {
  const { conclude } = run
  run.conclude = undefined
  try {
    conclude?.()
  } catch (error) {
    rejected(run, error)
  }
  if (!run.finished) return fail(run, timeoutError(name, afterMs))
  const isChecking = run.settling !== undefined
  void settle(run).then(() => run.controller.abort(abandoned))
  if (name !== 'total') awaitDeadline(run.clocks)
  // F83: a schema of the caller's may not come to its end. One that needs no time of its own is done before the timer
  else if (isChecking) fail(run, uncheckedError(afterMs))
  else run.options.clock.setTimeout(() => fail(run, uncheckedError(afterMs)), 0)
}

/** Once, though the end of the body and a clock may both ask for it. */
function settle(run: RunningAttempt): Promise<void> {
  run.settling ??= whole(run).then(
    answer => answered(run, answer),
    error => rejected(run, error),
  )
  return run.settling
}

function answered(run: RunningAttempt, answer: Answer): void {
  if (run.over) return
  end(run, 'answered')
  run.done.resolve(answer)
}

function emit(run: RunningAttempt, event: ProviderEvent): boolean {
  if (run.over || run.finished) return true
  switch (event.type) {
    case 'text-delta':
    case 'reasoning-delta':
    case 'tool-call-delta':
    case 'tool-call':
      return content(run, event)
    case 'finish':
      run.finished = true
      finishCame(run.clocks)
      run.usage = event.usage
      return run.options.fold.emit(event)
    case 'response-metadata':
    case 'warning':
      if (event.type === 'response-metadata') run.requestId = event.requestId ?? run.requestId
      return run.options.fold.emit(event)
    default:
      transport(run, event)
      return true
  }
}

function transport(run: RunningAttempt, event: Transport): void {
  const { clocks } = run
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

function content(run: RunningAttempt, event: Content): boolean {
  if ('text' in event && event.text === '') return true
  const now = run.options.clock.now()
  if (run.conclude !== undefined) goOn(run)
  if (run.chunks++ === 0 && !firstContent(run, now)) return true
  run.firstChunkMs ??= now - run.startedAt
  chunkCame(run.clocks, now, event.type === 'tool-call-delta')
  if (run.options.fold.emit(event)) return true
  pauseClocks(run.clocks)
  return false
}

/** The first content decides the race. A probe has its verdict then, whoever wins. */
function firstContent(run: RunningAttempt, now: number): boolean {
  run.firstChunkMs = now - run.startedAt
  startChunks(run.clocks)
  run.options.permit.firstChunk(run.firstChunkMs)
  if (run.options.claim()) return true
  abandonAttempt(run, abandoned)
  return false
}

/** One request has failed and the provider sends the next: each has its own entry, its own times and its own cost. */
function askedAgain(run: RunningAttempt, failure: Failed): void {
  const record = recordOf(run, 'failed', failure)
  tell(run, { type: 'attempt-end', record })
  run.attempt = run.options.askedAgain(record)
  run.startedAt = run.options.clock.now()
  run.earlierChunks = run.chunks
  run.firstChunkMs = undefined
  run.status = undefined
  run.requestId = undefined
  run.wasQueued = false
  restartClocks(run.clocks)
  tell(run, { type: 'attempt-start', kind: 'retry' })
}

function queued(run: RunningAttempt): void {
  keepAliveCame(run.clocks)
  if (!run.wasQueued && run.chunks === 0) tell(run, { type: 'attempt-queued' })
  run.wasQueued = true
}

async function whole(run: RunningAttempt): Promise<Answer> {
  if (run.finished || run.over) return run.options.fold.finish()
  const message = 'The stream ended before the answer was complete (no finish was sent).'
  throw new ProviderError(message, { reason: 'truncated', status: run.status, requestId: run.requestId })
}

function rejected(run: RunningAttempt, error: unknown): void {
  if (run.over) return
  // what comes after `finish` is only the end of a body: a connection lost there takes nothing from an answer that is whole
  if (run.finished && run.settling === undefined) return void settle(run)
  if (ProviderError.isInstance(error)) return fail(run, error)
  end(run, 'failed')
  run.done.reject(error)
}

function fail(run: RunningAttempt, cause: ProviderError): void {
  if (run.over) return
  const error = run.finished ? cause : (endOfSilence(run.clocks, cause) ?? cause)
  signError(error, run.options.target, run.requestId)
  end(run, 'failed', error)
  run.controller.abort(error)
  run.done.reject(error)
}

function end(run: RunningAttempt, outcome: Ending, error?: ProviderError): void {
  run.over = true
  stopClocks(run.clocks)
  if (outcome !== 'answered') run.options.fold.drop()
  if (error !== undefined && hadFairTime(run, error)) run.options.permit.end({ failure: error, charged: chargedFor(run, error) })
  else run.options.permit.end(outcome === 'answered' ? 'answered' : 'abandoned')
  run.record = recordOf(run, outcome, error)
  tell(run, { type: 'attempt-end', record: run.record })
}

/** A server without a prefix endpoint answers 404; the model itself is fine, so it is not charged. */
function chargedFor(run: RunningAttempt, error: ProviderError): Charge {
  const charged = chargeOf(error)
  return charged === 'model' && run.options.fold.overrides?.prefix !== undefined ? 'nobody' : charged
}

function hadFairTime(run: RunningAttempt, { clock }: ProviderError): boolean {
  if (run.chunks > 0) return true
  const { clock: time, target, thinks, firstChunkMs } = run.options
  const usualMs = target.health.firstChunk()?.p98 ?? 0
  const isThinking = thinks && run.status !== undefined
  return saysMuch({ clock, silentMs: time.now() - run.startedAt, usualMs, firstChunkMs, isThinking })
}

function tell({ options, attempt }: RunningAttempt, event: AttemptEvent): void {
  if (options.tell === undefined) return
  const { clock, callId, target } = options
  options.tell({ ...event, at: clock.now(), callId, ...namesOf(target), attempt })
}

/** A provider that throws before it returns a promise has failed like one that rejects. */
function start({ target, call }: AttemptOptions, context: Attempt): Promise<void> {
  try {
    return Promise.resolve(target.provider.stream(call, context))
  } catch (error) {
    return Promise.reject(error)
  }
}
