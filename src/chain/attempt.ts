import type { Attempt, AttemptRecord, ClockName, ProviderEvent } from '../contract.ts'
import { ProviderError, UnbusyError } from '../errors.ts'
import {
  chunkCame,
  finishCame,
  headersCame,
  keepAliveCame,
  pauseClocks,
  startChunks,
  startClocks,
  startTransport,
  stopClocks,
} from './clocks.ts'
import { type Charge, chargeOf } from './decide.ts'
import { sign } from './sign.ts'
import type { AttemptKind, AttemptOptions, RunningAttempt } from './state.ts'
import { timeoutError } from './timeout-error.ts'

/** Why an attempt rejects that lost its race or whose caller left: neither an answer nor a failure. */
export const abandoned = new UnbusyError('This attempt was abandoned.')

/** Silence shorter than this says nothing about a target that is not known well. */
const fairMs = 2_000

type Ending = AttemptRecord['outcome'] & ('answered' | 'failed' | 'abandoned')
type AttemptEvent =
  | { readonly type: 'attempt-start'; readonly kind: AttemptKind }
  | { readonly type: 'attempt-queued' }
  | { readonly type: 'attempt-end'; readonly record: AttemptRecord }
type Transport = ProviderEvent & { type: 'connecting' | 'sent' | 'headers' | 'queued' }
type Content = ProviderEvent & { type: 'text-delta' | 'reasoning-delta' | 'tool-call-delta' | 'tool-call' }

/**
 * One request to one target under its clocks. Every event takes one synchronous road: provider, clocks, fold. However it ends, it
 * ends once: clocks stopped, permit given back, signal fired so that the provider closes what it opened, one `attempt-end` told.
 */
export function startAttempt<Answer>(options: AttemptOptions<Answer>): RunningAttempt<Answer> {
  const { clock, target, deadline, shareMs } = options
  const onTimeout = (name: ClockName, afterMs: number) => timedOut(run, name, afterMs)
  const run: RunningAttempt<Answer> = {
    options,
    startedAt: clock.now(),
    controller: new AbortController(),
    done: Promise.withResolvers<Answer>(),
    clocks: startClocks({ clock, timeout: target.timeout, deadline, shareMs, onTimeout }),
    over: false,
    finished: false,
    wasQueued: false,
    chunks: 0,
    firstChunkMs: undefined,
    status: undefined,
    requestId: undefined,
    usage: undefined,
    record: undefined,
    settling: undefined,
  }
  tell(run, { type: 'attempt-start', kind: options.kind })

  const context: Attempt = {
    signal: run.controller.signal,
    emit: event => emit(run, event),
    onDrain: listener => onDrain(run, listener),
  }
  start(options, context).then(
    () => settle(run),
    error => rejected(run, error),
  )
  return run
}

/** Ends it at once and charges nobody. */
export function abandonAttempt<Answer>(run: RunningAttempt<Answer>, reason: unknown): void {
  if (run.over) return
  end(run, 'abandoned')
  run.controller.abort(reason)
  run.done.reject(abandoned)
}

function onDrain<Answer>(run: RunningAttempt<Answer>, listener: () => void): void {
  run.options.fold.onDrain(() => {
    if (run.over) return
    startChunks(run.clocks)
    listener()
  })
}

/** What is whole wins against any clock (hugalafutro/model-hotel#60), also when the server forgets to end the body. */
function timedOut<Answer>(run: RunningAttempt<Answer>, name: ClockName, afterMs: number): void {
  if (run.finished) void settle(run).then(() => run.controller.abort(abandoned))
  else fail(run, timeoutError(name, afterMs))
}

/** Once, though the end of the body and a clock may both ask for it. */
function settle<Answer>(run: RunningAttempt<Answer>): Promise<void> {
  run.settling ??= whole(run).then(
    answer => answered(run, answer),
    error => rejected(run, error),
  )
  return run.settling
}

function answered<Answer>(run: RunningAttempt<Answer>, answer: Answer): void {
  if (run.over) return
  end(run, 'answered')
  run.done.resolve(answer)
}

function emit<Answer>(run: RunningAttempt<Answer>, event: ProviderEvent): boolean {
  if (run.over || run.finished) return true
  switch (event.type) {
    case 'connecting':
    case 'sent':
    case 'headers':
    case 'queued':
      transport(run, event)
      return true
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
      return content(run, event)
  }
}

function transport<Answer>(run: RunningAttempt<Answer>, event: Transport): void {
  const { clocks } = run
  if (event.type === 'queued') queued(run)
  else if (event.type === 'connecting') startTransport(clocks, 'connect')
  else if (event.type === 'sent') startTransport(clocks, 'headers')
  else {
    run.status = event.status
    run.requestId = event.requestId
    headersCame(clocks)
  }
}

function content<Answer>(run: RunningAttempt<Answer>, event: Content): boolean {
  if ('text' in event && event.text === '') return true
  const now = run.options.clock.now()
  if (run.chunks++ === 0 && !firstContent(run, now)) return true
  chunkCame(run.clocks, now, event.type === 'tool-call-delta')
  if (run.options.fold.emit(event)) return true
  pauseClocks(run.clocks)
  return false
}

/** The first content decides the race. A probe has its verdict then, whoever wins. */
function firstContent<Answer>(run: RunningAttempt<Answer>, now: number): boolean {
  run.firstChunkMs = now - run.startedAt
  startChunks(run.clocks)
  run.options.permit.firstChunk(run.firstChunkMs)
  if (run.options.claim()) return true
  abandonAttempt(run, abandoned)
  return false
}

function queued<Answer>(run: RunningAttempt<Answer>): void {
  keepAliveCame(run.clocks)
  if (!run.wasQueued && run.chunks === 0) tell(run, { type: 'attempt-queued' })
  run.wasQueued = true
}

async function whole<Answer>(run: RunningAttempt<Answer>): Promise<Answer> {
  if (run.finished || run.over) return run.options.fold.finish()
  const message = 'The stream ended before the answer was complete (no finish was sent).'
  throw new ProviderError(message, { reason: 'truncated', status: run.status, requestId: run.requestId })
}

function rejected<Answer>(run: RunningAttempt<Answer>, error: unknown): void {
  if (run.over) return
  // what comes after `finish` is only the end of a body: a connection lost there takes nothing from an answer that is whole
  if (run.finished && run.settling === undefined) return void settle(run)
  if (ProviderError.isInstance(error)) return fail(run, error)
  end(run, 'failed')
  run.done.reject(error)
}

function fail<Answer>(run: RunningAttempt<Answer>, error: ProviderError): void {
  if (run.over) return
  sign(error, run.options.target, run.requestId)
  end(run, 'failed', error)
  run.controller.abort(error)
  run.done.reject(error)
}

function end<Answer>(run: RunningAttempt<Answer>, outcome: Ending, error?: ProviderError): void {
  run.over = true
  stopClocks(run.clocks)
  if (outcome !== 'answered') run.options.fold.drop?.()
  if (error !== undefined && hadFairTime(run, error)) run.options.permit.end({ failure: error, charged: chargedFor(run, error) })
  else run.options.permit.end(outcome === 'answered' ? 'answered' : 'abandoned')
  run.record = recordOf(run, outcome, error)
  tell(run, { type: 'attempt-end', record: run.record })
}

/** A server without a door for prefixes says that the model is not there; without a prefix it is. */
function chargedFor<Answer>(run: RunningAttempt<Answer>, error: ProviderError): Charge {
  const charged = chargeOf(error)
  return charged === 'model' && run.options.fold.resume?.prefix !== undefined ? 'nobody' : charged
}

/**
 * A call that comes with its last second must not have a target counted as silent. Where many wait for one target, each of them would
 * close it again for all the others.
 */
function hadFairTime<Answer>(run: RunningAttempt<Answer>, { clock }: ProviderError): boolean {
  if (run.chunks > 0 || (clock !== 'total' && clock !== 'firstChunk' && clock !== 'queued')) return true
  const usual = run.options.target.health.firstChunk()?.p98 ?? 0
  return (
    run.options.clock.now() - run.startedAt >= Math.min(run.options.target.timeout.firstChunkMs, Math.max(fairMs, usual * 1.3))
  )
}

function recordOf<Answer>(run: RunningAttempt<Answer>, outcome: Ending, error: ProviderError | undefined): AttemptRecord {
  return {
    provider: run.options.target.provider.name,
    model: run.options.target.model,
    targetIndex: run.options.target.targetIndex,
    attempt: run.options.attempt,
    outcome,
    reason: error?.reason,
    message: error?.message,
    status: error?.status ?? run.status,
    clock: error?.clock,
    requestId: error?.requestId ?? run.requestId,
    waitMs: run.options.waitMs,
    durationMs: run.options.clock.now() - run.startedAt,
    firstChunkMs: run.firstChunkMs,
    chunks: run.chunks,
    continuedFrom: run.options.fold.resume?.prefix?.text.length,
    usage: run.usage ?? error?.usage,
  }
}

function tell<Answer>({ options }: RunningAttempt<Answer>, event: AttemptEvent): void {
  if (options.tell === undefined) return
  const { clock, callId, attempt, target } = options
  const { provider, model, targetIndex } = target
  options.tell({ ...event, at: clock.now(), callId, provider: provider.name, model, targetIndex, attempt })
}

/** A provider that throws before it returns a promise has failed like one that rejects. */
function start<Answer>({ target, call }: AttemptOptions<Answer>, context: Attempt): Promise<void> {
  try {
    return Promise.resolve(target.provider.stream(call, context))
  } catch (error) {
    return Promise.reject(error)
  }
}
