import type { Attempt, Call, Capabilities, Clock, Provider, ProviderEvent } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { type FakeAnswer, type FakeStep, stepsOf } from './fake-answer.ts'

/** The script of one attempt. A string is short for `{ text }`. */
export type FakeReply = FakeAnswer | string

/**
 * One reply for every attempt; or a list with one reply per attempt, whose last reply repeats; or a function of the call and the
 * number of the attempt, counted from 1.
 */
export type FakeScript = FakeReply | readonly FakeReply[] | ((call: Call, attempt: number) => FakeReply)

/** Options of `fakeTarget()`. */
export type FakeTargetOptions = Pick<
  Target,
  'retry' | 'timeout' | 'price' | 'budget' | 'when' | 'prepare' | 'keepWarm' | 'limits'
> & {
  /** The provider's name. @default 'fake' */
  readonly name?: string | undefined
  /** @default 'fake-1' */
  readonly model?: string | undefined
  /** @default the clock of the client that calls the target; without a client, the system clock */
  readonly clock?: Clock | undefined
  /** The capabilities that the target declares. @default none declared: every call is attempted */
  readonly capabilities?: Capabilities | undefined
  /** Targets with equal identities share their health. @default none: the target has its own health */
  readonly identity?: Provider['identity']
  /** Rejects a call before it is sent. @default none */
  readonly refuse?: Provider['refuse']
  /** Keeps a model loaded, for `keepWarm`. @default none */
  readonly keepLoaded?: Provider['keepLoaded']
}

/** One attempt as the fake target saw it. */
export type FakeCall = {
  readonly call: Call
  /** Counted from 1, over all calls. */
  readonly attempt: number
  readonly signal: AbortSignal
  /** When the attempt began, on the target's clock. */
  readonly at: number
  /** When the attempt ended; undefined while it is in progress. */
  readonly endedAt: number | undefined
  /** `cut`: the attempt resolved without `finish`. `aborted`: the signal fired. */
  readonly outcome: 'open' | 'answered' | 'cut' | 'failed' | 'aborted'
  /** The number of deltas that were emitted. */
  readonly chunks: number
}

/** The provider of a fake target. It records every attempt. */
export type FakeProvider = Provider & {
  /** Every attempt so far, in order. */
  readonly calls: readonly FakeCall[]
  /** The number of attempts in progress. */
  active(): number
}

/** A target that needs no network. */
export type FakeTarget = Target & { readonly provider: FakeProvider }

/**
 * Makes a target that needs no network: it follows the script and records every attempt. If the script has no times, all events are
 * emitted at once. On a client with a {@link fakeClock}, hours take no time.
 *
 * @example
 * const target = fakeTarget([{ error: 'overloaded' }, 'Hello.'])
 * const { text } = await createClient({ chain: [target] }).generate('Hi')   //=> 'Hello.'
 * target.provider.calls.length   //=> 2
 */
export function fakeTarget(script: FakeScript, options: FakeTargetOptions = {}): FakeTarget {
  const { name = 'fake', model = 'fake-1', capabilities, identity, refuse, keepLoaded, clock: _, ...limits } = options
  const calls: Mutable<FakeCall>[] = []
  const provider: FakeProvider = {
    name,
    capabilities,
    identity,
    ...(refuse === undefined ? {} : { refuse }),
    ...(keepLoaded === undefined ? {} : { keepLoaded }),
    calls,
    active: () => calls.filter(call => call.outcome === 'open').length,
    async stream(call, attempt) {
      const clock = options.clock ?? attempt.clock ?? systemClock
      const record: Mutable<FakeCall> = {
        call,
        attempt: calls.length + 1,
        signal: attempt.signal,
        at: clock.now(),
        endedAt: undefined,
        outcome: 'open',
        chunks: 0,
      }
      calls.push(record)
      try {
        const steps = stepsOf(answerOf(script, record), { provider: name, model: call.model })
        const finished = await perform(steps, { clock, record, attempt })
        record.outcome = finished ? 'answered' : 'cut'
      } catch (error) {
        record.outcome = attempt.signal.aborted ? 'aborted' : 'failed'
        throw error
      } finally {
        record.endedAt = clock.now()
      }
    },
  }
  return { ...limits, provider, model }
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (listener, delayMs) => setTimeout(listener, delayMs),
  clearTimeout: handle => {
    if (isTimer(handle)) clearTimeout(handle)
  },
}

function isTimer(handle: unknown): handle is NodeJS.Timeout {
  return typeof handle === 'object' && handle !== null && 'hasRef' in handle
}

function answerOf(script: FakeScript, { attempt, call }: FakeCall): FakeAnswer {
  const reply =
    typeof script === 'function' ? script(call, attempt) : isList(script) ? script[Math.min(attempt, script.length) - 1] : script
  if (reply === undefined)
    throw new TypeError('fakeTarget: the script is empty. Write at least one reply; the last one is repeated.')
  return typeof reply === 'string' ? { text: reply } : reply
}

function isList(script: FakeScript): script is readonly FakeReply[] {
  return Array.isArray(script)
}

type Performance = { readonly clock: Clock; readonly record: Mutable<FakeCall>; readonly attempt: Attempt }

/** Returns true if the attempt finished, false if it was cut. */
async function perform(steps: readonly FakeStep[], { clock, record, attempt }: Performance): Promise<boolean> {
  // A real provider never has an answer before `stream()` has returned.
  await Promise.resolve()
  for (const step of steps) {
    attempt.signal.throwIfAborted()
    if (step.type === 'fail') throw step.error
    if (step.type === 'cut') return false
    if (step.type === 'wait') await waitFor(step.delayMs, { clock, signal: attempt.signal })
    else {
      if (isContent(step.event)) record.chunks += 1
      // If the script has no waits, nothing is awaited here: events come as fast as from bytes that arrived together.
      if (!attempt.emit(step.event)) await untilDrained(attempt)
    }
  }
  return true
}

function isContent(event: ProviderEvent): boolean {
  return event.type === 'text-delta' || event.type === 'reasoning-delta' || event.type === 'tool-call-delta'
}

async function untilDrained(attempt: Attempt): Promise<void> {
  const { signal } = attempt
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = (): void => reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  attempt.onDrain(resolve)
  await promise.finally(() => signal.removeEventListener('abort', leave))
}

/** Node fires a timer with a longer delay at once. */
const longestTimerMs = 2 ** 31 - 1

/** Waits on a clock. Rejects with the signal's reason as soon as the signal fires. A wait of more than 24.8 days never ends. */
async function waitFor(delayMs: number, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = (): void => reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  const timer = delayMs > longestTimerMs ? undefined : clock.setTimeout(resolve, delayMs)
  try {
    await promise
  } finally {
    if (timer !== undefined) clock.clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}
