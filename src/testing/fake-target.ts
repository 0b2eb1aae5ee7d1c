import type { Attempt, Call, Capabilities, Clock, Provider, ProviderEvent, Target } from '../contract.ts'
import { stepsOf } from './fake-answer.ts'
import type { FakeAnswer, FakeStep } from './fake-answer.ts'
import { waitFor } from './wait-for.ts'

/** One attempt's part of a script. A string is short for `{ text }`. */
export type FakeReply = FakeAnswer | string

/** One reply for every attempt; a list, one each, of which the last stays; or a function of the call and the attempt, from 1. */
export type FakeScript = FakeReply | readonly FakeReply[] | ((call: Call, attempt: number) => FakeReply)

export type FakeTargetOptions = Pick<Target, 'retry' | 'timeout' | 'price' | 'when'> & {
  /** The provider's name. @default 'fake' */
  readonly name?: string | undefined
  /** @default 'fake-1' */
  readonly model?: string | undefined
  /** @default the clock of the client that asks it; that of the machine where there is no client */
  readonly clock?: Clock | undefined
  readonly capabilities?: Capabilities | undefined
  readonly identity?: Provider['identity']
  readonly refuse?: Provider['refuse']
}

/** One attempt as the fake target saw it. */
export type FakeCall = {
  readonly call: Call
  /** From 1, over all calls. */
  readonly attempt: number
  readonly signal: AbortSignal
  /** On the clock that the target keeps. */
  readonly at: number
  /** Undefined while it is under way. */
  readonly endedAt: number | undefined
  /** `cut`: resolved without `finish`. `aborted`: the signal fired. */
  readonly outcome: 'open' | 'answered' | 'cut' | 'failed' | 'aborted'
  /** Deltas that were emitted. */
  readonly chunks: number
}

export type FakeProvider = Provider & {
  /** Every attempt so far, in order. */
  readonly calls: readonly FakeCall[]
  /** How many attempts are under way. */
  active(): number
}

export type FakeTarget = Target & { readonly provider: FakeProvider }

/**
 * A target without a network: it does what the script says and remembers what it was asked. Without times in the script every
 * event is emitted in one go; on a client with a {@link fakeClock} hours take no time.
 *
 * @example
 * const target = fakeTarget([{ error: 'overloaded' }, 'Hello.'])
 * const { text } = await createClient({ chain: [target] }).generate('Hi')   //=> 'Hello.'
 * target.provider.calls.length   //=> 2
 */
export function fakeTarget(script: FakeScript, options: FakeTargetOptions = {}): FakeTarget {
  const { name = 'fake', model = 'fake-1', capabilities, identity, refuse, clock: _, ...limits } = options
  const calls: Mutable<FakeCall>[] = []
  const provider: FakeProvider = {
    name,
    capabilities,
    identity,
    ...(refuse === undefined ? {} : { refuse }),
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
    throw new TypeError('fakeTarget: the script is empty. Give at least one reply; the last one is repeated.')
  return typeof reply === 'string' ? { text: reply } : reply
}

function isList(script: FakeScript): script is readonly FakeReply[] {
  return Array.isArray(script)
}

type Performance = { readonly clock: Clock; readonly record: Mutable<FakeCall>; readonly attempt: Attempt }

/** True when it finished, false when it was cut. */
async function perform(steps: readonly FakeStep[], { clock, record, attempt }: Performance): Promise<boolean> {
  // No real provider has an answer before `stream()` has returned.
  await Promise.resolve()
  for (const step of steps) {
    attempt.signal.throwIfAborted()
    if (step.type === 'fail') throw step.error
    if (step.type === 'cut') return false
    if (step.type === 'wait') await waitFor(step.delayMs, { clock, signal: attempt.signal })
    else {
      if (isContent(step.event)) record.chunks += 1
      // Without a wait in the script nothing is awaited here: events come as fast as from bytes that arrived together.
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
