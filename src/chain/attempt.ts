import type { AttemptRecord, Attempt, Call, ClientEvent, Clock, ClockName, Fold, ProviderEvent, Usage } from '../contract.ts'
import { ProviderError, UnbusyError } from '../errors.ts'
import type { Permit } from '../health/health.ts'
import { type Clocks, startClocks } from './clocks.ts'
import { type Charge, chargeOf } from './decide.ts'
import type { AttemptKind, ChainTarget, RunningAttempt } from './state.ts'

export type AttemptOptions<Answer> = {
  readonly clock: Clock
  readonly target: ChainTarget
  readonly call: Call
  readonly callId: number
  readonly attempt: number
  readonly kind: AttemptKind
  readonly waitMs: number
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  /** The longest that may pass without any content. */
  readonly shareMs: number
  readonly permit: Permit
  readonly fold: Fold<Answer>
  /** The first content is here: does this attempt win the race? A loser is abandoned. */
  claim(): boolean
  tell(event: ClientEvent): void
}

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

/** Everything that changes while an attempt runs. Made anew for each, so that nothing of one reaches another (maximhq/bifrost#4911). */
type Run<Answer> = AttemptOptions<Answer> & {
  readonly startedAt: number
  readonly controller: AbortController
  readonly reject: (error: unknown) => void
  readonly clocks: Clocks
  over: boolean
  finished: boolean
  wasQueued: boolean
  chunks: number
  firstChunkMs: number | undefined
  status: number | undefined
  requestId: string | undefined
  usage: Usage | undefined
  record: AttemptRecord | undefined
}

/**
 * One request to one target under its clocks. Every event takes one synchronous road: provider, clocks, fold. However it ends, it
 * ends once: clocks stopped, permit given back, signal fired so that the provider closes what it opened, one `attempt-end` told.
 */
export function startAttempt<Answer>(options: AttemptOptions<Answer>): RunningAttempt<Answer> {
  const { clock, target, fold } = options
  const { promise: done, resolve, reject } = Promise.withResolvers<Answer>()
  const controller = new AbortController()
  const { deadline, shareMs } = options
  const onTimeout = (name: ClockName, afterMs: number) => {
    // what is whole wins against any clock (hugalafutro/model-hotel#60), also when the server forgets to end the body
    if (run.finished) void settle().then(() => controller.abort(abandoned))
    else fail(run, timeoutError(name, afterMs))
  }
  const run: Run<Answer> = {
    ...options,
    startedAt: clock.now(),
    controller,
    reject,
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
  }
  tell(run, { type: 'attempt-start', kind: options.kind })

  const context: Attempt = {
    signal: controller.signal,
    emit: event => emit(run, event),
    onDrain: listener =>
      fold.onDrain(() => {
        if (run.over) return
        run.clocks.resume()
        listener()
      }),
  }
  const answered = (answer: Answer) => {
    if (run.over) return
    end(run, 'answered')
    resolve(answer)
  }
  let settling: Promise<void> | undefined
  const settle = () => (settling ??= whole(run).then(answered, error => rejected(run, error)))
  start(() => target.provider.stream(options.call, context)).then(settle, error => rejected(run, error))
  return {
    done,
    record: () => run.record,
    isQueued: () => run.wasQueued && run.chunks === 0,
    late: () => run.permit.late(),
    abandon: reason => abandon(run, reason),
  }
}

function emit<Answer>(run: Run<Answer>, event: ProviderEvent): boolean {
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
      run.clocks.finish()
      run.usage = event.usage
      return run.fold.emit(event)
    case 'response-metadata':
    case 'warning':
      if (event.type === 'response-metadata') run.requestId = event.requestId ?? run.requestId
      return run.fold.emit(event)
    default:
      return content(run, event)
  }
}

function transport<Answer>(run: Run<Answer>, event: Transport): void {
  const { clocks } = run
  if (event.type === 'queued') queued(run)
  else if (event.type === 'connecting') clocks.connecting()
  else if (event.type === 'sent') clocks.sent()
  else {
    run.status = event.status
    clocks.headers()
  }
}

function content<Answer>(run: Run<Answer>, event: Content): boolean {
  if ('text' in event && event.text === '') return true
  const now = run.clock.now()
  if (run.chunks++ === 0 && !firstContent(run, now)) return true
  if (event.type === 'tool-call-delta') run.clocks.toolCall(now)
  else run.clocks.chunk(now)
  if (run.fold.emit(event)) return true
  run.clocks.pause()
  return false
}

/** The first content decides the race. A probe has its verdict then, whoever wins. */
function firstContent<Answer>(run: Run<Answer>, now: number): boolean {
  run.firstChunkMs = now - run.startedAt
  run.clocks.firstChunk()
  run.permit.firstChunk(run.firstChunkMs)
  if (run.claim()) return true
  abandon(run, abandoned)
  return false
}

function queued<Answer>(run: Run<Answer>): void {
  run.clocks.queued()
  if (!run.wasQueued && run.chunks === 0) tell(run, { type: 'attempt-queued' })
  run.wasQueued = true
}

async function whole<Answer>(run: Run<Answer>): Promise<Answer> {
  if (run.finished || run.over) return run.fold.finish()
  const message = 'The stream ended before the answer was complete (no finish was sent).'
  throw new ProviderError(message, { reason: 'truncated', status: run.status, requestId: run.requestId })
}

function rejected<Answer>(run: Run<Answer>, error: unknown): void {
  if (run.over) return
  if (ProviderError.isInstance(error)) return fail(run, error)
  end(run, 'failed')
  run.reject(error)
}

function fail<Answer>(run: Run<Answer>, error: ProviderError): void {
  if (run.over) return
  sign(error, run.target)
  end(run, 'failed', error)
  run.controller.abort(error)
  run.reject(error)
}

function abandon<Answer>(run: Run<Answer>, reason: unknown): void {
  if (run.over) return
  end(run, 'abandoned')
  run.controller.abort(reason)
  run.reject(abandoned)
}

function end<Answer>(run: Run<Answer>, outcome: Ending, error?: ProviderError): void {
  run.over = true
  run.clocks.stop()
  if (outcome !== 'answered') run.fold.drop?.()
  if (error !== undefined && hadFairTime(run, error)) run.permit.end({ failure: error, charged: chargedFor(run, error) })
  else run.permit.end(outcome === 'answered' ? 'answered' : 'abandoned')
  run.record = recordOf(run, outcome, error)
  tell(run, { type: 'attempt-end', record: run.record })
}

/** A server without a door for prefixes says that the model is not there; without a prefix it is. */
function chargedFor<Answer>(run: Run<Answer>, error: ProviderError): Charge {
  const charged = chargeOf(error)
  return charged === 'model' && run.fold.resume?.prefix !== undefined ? 'nobody' : charged
}

/**
 * A call that comes with its last second must not have a target counted as silent. Where many wait for one target, each of them would
 * close it again for all the others.
 */
function hadFairTime<Answer>(run: Run<Answer>, { clock }: ProviderError): boolean {
  if (run.chunks > 0 || (clock !== 'total' && clock !== 'firstChunk' && clock !== 'queued')) return true
  const usual = run.target.health.firstChunk()?.p98 ?? 0
  return run.clock.now() - run.startedAt >= Math.min(run.target.timeout.firstChunkMs, Math.max(fairMs, usual * 1.3))
}

function recordOf<Answer>(run: Run<Answer>, outcome: Ending, error: ProviderError | undefined): AttemptRecord {
  return {
    provider: run.target.provider.name,
    model: run.target.model,
    targetIndex: run.target.targetIndex,
    attempt: run.attempt,
    outcome,
    reason: error?.reason,
    message: error?.message,
    status: error?.status ?? run.status,
    clock: error?.clock,
    requestId: error?.requestId ?? run.requestId,
    waitMs: run.waitMs,
    durationMs: run.clock.now() - run.startedAt,
    firstChunkMs: run.firstChunkMs,
    chunks: run.chunks,
    continuedFrom: run.fold.resume?.prefix?.text.length,
    usage: run.usage,
  }
}

function tell<Answer>(run: Run<Answer>, event: AttemptEvent): void {
  const { provider, model, targetIndex } = run.target
  run.tell({
    ...event,
    at: run.clock.now(),
    callId: run.callId,
    provider: provider.name,
    model,
    targetIndex,
    attempt: run.attempt,
  })
}

/** A provider that throws before it returns a promise has failed like one that rejects. */
async function start(stream: () => Promise<void>): Promise<void> {
  await stream()
}

function timeoutError(name: ClockName, afterMs: number): ProviderError {
  const waited = `${Math.round(afterMs)} ms`
  const what: Record<ClockName, string> = {
    connect: `No connection after ${waited} (connectMs).`,
    headers: `No response headers after ${waited} (headersMs).`,
    firstChunk: `No content after ${waited} (firstChunkMs).`,
    queued: `Still queued after ${waited}: only keep-alives came (queuedMs).`,
    chunk: `Silent for ${waited} in the middle of the answer (chunkMs).`,
    total: `The call's time was over after ${waited} (totalMs).`,
  }
  return new ProviderError(what[name], { reason: 'timeout', clock: name })
}

/** Providers need not know who they are in a chain: the attempt signs their errors. The one place that writes to an error. */
function sign(error: ProviderError, target: ChainTarget): void {
  const unsigned = error as { provider: string; model: string }
  if (unsigned.provider === '') unsigned.provider = target.provider.name
  if (unsigned.model === '') unsigned.model = target.model
}
