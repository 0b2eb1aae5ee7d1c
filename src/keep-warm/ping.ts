import type { Answer, Fold } from '../answer/answer.ts'
import { type Hold, renewHold } from '../chain/account.ts'
import { abandonAttempt, startAttempt } from '../chain/attempt.ts'
import { takeAside } from '../chain/money.ts'
import type { ChainTarget, RunningAttempt } from '../chain/state.ts'
import type { Call, Clock, Provider } from '../contract.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { KeepWarm } from '../contract-targets.ts'
import { ProviderError } from '../errors.ts'
import type { Permit } from '../health/health.ts'

/** A target that is kept warm. */
export type WarmTarget = ChainTarget & { readonly keepWarm: KeepWarm }

/** What a ping keeps: the model in memory, or the beginning of the prompt in the cache. */
export type Job = 'model' | 'prompt'

/** How one ping ended. */
export type Ping = { readonly job: Job; readonly ok: boolean; readonly ms: number; readonly reason: FailureReason | undefined }

export type PingOptions = {
  readonly clock: Clock
  /** When the ping must be over, on the clock. */
  readonly deadline: number
  readonly signal: AbortSignal
}

/** After its start a server compiles kernels for each size that arrives, and is slow once. So this ping is as large as a call. */
const realLength = { prompt: 'Read this, then say that you are ready. '.repeat(80), maxOutputTokens: 16 }

/**
 * Sends one request and discards the answer. Like a call, a ping needs a permit of the target's health, its failure is charged like a
 * call's, and its own clocks end it. It is not an attempt of any call, and its latency is not counted as that of a call. Never rejects.
 */
export async function ping(target: WarmTarget, options: PingOptions): Promise<Ping> {
  const { clock, signal } = options
  const startedAt = clock.now()
  const job: Job = target.keepWarm.prompt === undefined ? 'model' : 'prompt'
  const end = (ok: boolean, reason?: FailureReason): Ping => ({ job, ok, reason, ms: clock.now() - startedAt })
  const call = callFor(target)
  if (call === undefined) return end(false, 'invalid-request')
  const refusal = target.provider.refuse?.(call)
  if (refusal !== undefined) return end(false, refusal.reason)
  const permit = target.health.enter('call', call)
  if (permit === undefined) return end(false, reasonOf(target))
  const hold = takeAside(target, call, clock)
  if (hold === null) {
    permit.end('unused')
    return end(false, 'budget')
  }
  const running = start(target, { ...options, call, permit, hold, job })
  const stop = () => abandonAttempt(running, signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    await running.done.promise
    return end(true)
  } catch (error) {
    if (!ProviderError.isInstance(error)) return end(false)
    // A single token may be blank. The model has worked, and a ping needs no more than that.
    return error.reason === 'empty' ? end(true) : end(false, error.reason)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Returns undefined if the target's `prepare` threw. */
function callFor({ model, keepWarm: { prompt }, provider, prepare }: WarmTarget): Call | undefined {
  const isLong = prompt === undefined && provider.keepLoaded === 'always'
  const text = isLong ? realLength.prompt : 'Hi'
  const messages: Call['messages'] = [
    ...(prompt === undefined ? [] : [{ role: 'system' as const, content: prompt }]),
    { role: 'user', content: text },
  ]
  const call: Call = { model, messages, metadata: {}, maxOutputTokens: isLong ? realLength.maxOutputTokens : 1 }
  try {
    const changes = prepare?.({ ...call, messages: [...messages] })
    return { ...call, ...changes, maxOutputTokens: call.maxOutputTokens }
  } catch {
    return undefined
  }
}

function reasonOf({ health }: WarmTarget): FailureReason | undefined {
  const availability = health.check()
  return availability.state === 'blocked' ? availability.reason : 'overloaded'
}

type Starting = PingOptions & { readonly call: Call; readonly permit: Permit; readonly hold: Hold | undefined; readonly job: Job }

function start(target: WarmTarget, { clock, deadline, call, permit, hold, job }: Starting): RunningAttempt {
  const now = clock.now()
  const { provider, timeout } = target
  let requests = 1
  return startAttempt({
    ...{ clock, call, callId: 0, attempt: 1, kind: 'first', waitMs: 0, tell: undefined },
    target: { ...target, provider: job === 'model' ? withoutGenerating(provider) : provider, observers: nobody },
    permit: { ...permit, firstChunk() {} },
    fold: thrownAway,
    hold,
    deadline: Math.min(deadline, now + timeout.totalMs),
    ...{ firstContentAt: Infinity, callStartedAt: now, timeout, shareMs: Infinity },
    ...{ firstChunkMs: timeout.firstChunkMs, thinks: false },
    admitRepeat: (_, record) => (hold !== undefined && !renewHold(hold, record) ? undefined : ++requests),
    claim: () => true,
  })
}

/** Keeps the model loaded without generating a token, if the server supports that. */
function withoutGenerating(provider: Provider): Provider {
  const { keepLoaded } = provider
  if (keepLoaded === undefined || keepLoaded === 'always') return provider
  return {
    ...provider,
    async stream(call, attempt) {
      if (!(await keepLoaded(call.model, attempt.signal))) return provider.stream(call, attempt)
      attempt.emit({ type: 'finish', finishReason: 'stop' })
    },
  }
}

const nobody: ChainTarget['observers'] = { activity: { attempted() {} }, telemetry: undefined }

const nothing: Answer = {
  ...{ text: '', reasoningText: '', toolCalls: [], output: undefined, finishReason: 'stop', usage: {}, warnings: [] },
  response: { id: undefined, model: undefined, requestId: undefined, providerMetadata: undefined },
}

const thrownAway: Fold = {
  overrides: undefined,
  emit: () => true,
  onDrain() {},
  finish: () => nothing,
  drop() {},
}
