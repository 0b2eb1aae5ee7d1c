import assert from 'node:assert/strict'
import type { Call } from '../../contract.ts'
import type { Target } from '../../contract-targets.ts'
import { ProviderError } from '../../errors.ts'
import type { ReplySource } from '../reply.ts'
import { runAttempt } from '../run-attempt.ts'
import type { AttemptOptions, AttemptRun } from '../run-attempt.ts'
import type { ServerOptions, TestServer } from '../start-server.ts'
import type { WireFormat } from '../wire/wire-format.ts'

/** What a case receives: functions that start servers and attempts, all of which are cleaned up after the case. */
export type Stand = {
  /** The wire format of the provider's service. */
  readonly format: WireFormat
  /** Starts a server with the target's wire format, and makes a target that is connected to it. */
  open(replies: ReplySource | readonly ReplySource[], options?: Pick<ServerOptions, 'closeIdleAfterMs'>): Promise<Opened>
}

export type Opened = {
  readonly server: TestServer
  readonly target: Target
  /** Starts one attempt, which is aborted when the case ends. */
  ask(options?: AttemptOptions): AttemptRun
  /** Makes one attempt and waits for its end. */
  answer(call?: Partial<Call>): Promise<AttemptRun>
}

/** One promise that a provider makes. */
export type Promised = {
  /** The promise, as a sentence about the provider. */
  readonly name: string
  /** Returns why this provider is exempt, judged by what it declares; undefined if it is not. */
  excuse?(target: Target): string | undefined
  check(stand: Stand): Promise<void>
}

/** The key for all targets. It must not appear anywhere but in the request. */
export const contractKey = 'sk-contract-7d3f9a51c2e84b06'

export function attemptOf(target: Target, runs: AttemptRun[], options?: AttemptOptions): AttemptRun {
  const run = runAttempt(target, options)
  runs.push(run)
  return run
}

/** Asserts that the attempt has ended and that none of its events can be mistaken for an answer. */
export function assertNoAnswer(run: AttemptRun): void {
  assert.deepEqual(
    run.events.filter(event => event.type === 'finish' || event.type === 'tool-call'),
    [],
    'It emitted a finish or a tool call although the answer was not complete.',
  )
  if (run.outcome === 'rejected') assertProviderError(run.error)
}

export function assertProviderError(error: unknown): asserts error is ProviderError {
  assert.ok(ProviderError.isInstance(error), `It must reject with a ProviderError, but rejected with: ${String(error)}`)
}

/** Asserts that there is exactly one `finish`, and no event after it. */
export function assertWhole(run: AttemptRun, text: string): void {
  assert.equal(run.outcome, 'resolved', `It must resolve, but rejected with: ${String(run.error)}`)
  assert.equal(run.text(), text)
  assert.deepEqual(
    run.events.flatMap((event, index) => (event.type === 'finish' ? [index] : [])),
    [run.events.length - 1],
    'There must be exactly one finish, and it must be the last event.',
  )
}
