import assert from 'node:assert/strict'
import type { Call, Target } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { ReplySource } from '../reply.ts'
import { runAttempt } from '../run-attempt.ts'
import type { AttemptOptions, AttemptRun } from '../run-attempt.ts'
import type { ServerOptions, TestServer } from '../start-server.ts'

/** What a case is given: servers and attempts that are cleaned up behind it. */
export type Stand = {
  /** A server of the target's wire format, and a target that speaks to it. */
  open(replies: ReplySource | readonly ReplySource[], options?: Pick<ServerOptions, 'closeIdleAfterMs'>): Promise<Opened>
}

export type Opened = {
  readonly server: TestServer
  readonly target: Target
  /** One attempt, which is aborted when the case is over. */
  ask(options?: AttemptOptions): AttemptRun
  /** One attempt that is over. */
  answer(call?: Partial<Call>): Promise<AttemptRun>
}

/** One promise that a provider makes. */
export type Promised = {
  /** A sentence about the provider. */
  readonly name: string
  /** Why this provider need not keep it, as it says itself. */
  excuse?(target: Target): string | undefined
  check(stand: Stand): Promise<void>
}

/** The key that targets are given: it must turn up nowhere but in the request. */
export const contractKey = 'sk-contract-7d3f9a51c2e84b06'

export function attemptOf(target: Target, runs: AttemptRun[], options?: AttemptOptions): AttemptRun {
  const run = runAttempt(target, options)
  runs.push(run)
  return run
}

/** The attempt is over, and nothing that it told can be taken for an answer. */
export function assertNoAnswer(run: AttemptRun): void {
  assert.deepEqual(
    run.events.filter(event => event.type === 'finish' || event.type === 'tool-call'),
    [],
    'It told a finish, or a whole tool call, although the answer was not whole.',
  )
  if (run.outcome === 'rejected') assertProviderError(run.error)
}

export function assertProviderError(error: unknown): asserts error is ProviderError {
  assert.ok(ProviderError.isInstance(error), `It must be rejected with a ProviderError, and was with: ${String(error)}`)
}

/** Exactly one finish, and nothing after it. */
export function assertWhole(run: AttemptRun, text: string): void {
  assert.equal(run.outcome, 'resolved', `It must resolve, and was rejected with: ${String(run.error)}`)
  assert.equal(run.text(), text)
  assert.deepEqual(
    run.events.flatMap((event, index) => (event.type === 'finish' ? [index] : [])),
    [run.events.length - 1],
    'There must be exactly one finish, and it must be the last event.',
  )
}
