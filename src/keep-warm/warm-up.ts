import type { Clock } from '../contract.ts'
import type { FailureReason } from '../contract-failures.ts'
import { type Ping, ping, type WarmTarget } from './ping.ts'

/** Options of `warmUp()`. */
export type WarmUpOptions = {
  /** Ends `warmUp()` at once, which rejects with the signal's reason. Nothing else makes it reject. */
  readonly signal?: AbortSignal | undefined
  /** How long a server may take, in milliseconds, including the time in which it loads its model. @default 600_000 */
  readonly timeoutMs?: number | undefined
}

/** The result of `warmUp()` for one target. */
export type WarmUpResult = {
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** Whether the target is warm. */
  readonly ok: boolean
  /** How long it took, in milliseconds. */
  readonly ms: number
  /** Why the target is not warm; undefined if it is warm, or if the client was closed meanwhile. */
  readonly reason?: FailureReason | undefined
}

type Context = WarmUpOptions & {
  readonly clock: Clock
  /** Fires when the client is closed. */
  readonly ending: AbortSignal
  readonly onPing: (target: WarmTarget, end: Ping) => void
}

const usualMs = 600_000
/** How often a server that is loading its model is asked again, in milliseconds. */
const loadingEveryMs = 2_000

/** Warms all targets at the same time. Rejects only when the signal fires. */
export async function warmUp(targets: readonly WarmTarget[], context: Context): Promise<readonly WarmUpResult[]> {
  const { signal, ending } = context
  signal?.throwIfAborted()
  const stop = signal === undefined ? ending : AbortSignal.any([signal, ending])
  const results = await Promise.all(targets.map(async target => warmOne(target, context, stop)))
  signal?.throwIfAborted()
  return results
}

async function warmOne(
  target: WarmTarget,
  { clock, timeoutMs = usualMs, onPing }: Context,
  signal: AbortSignal,
): Promise<WarmUpResult> {
  const startedAt = clock.now()
  const deadline = startedAt + timeoutMs
  let end: Ping
  do {
    end = await ping(target, { clock, deadline, signal })
    if (!signal.aborted) onPing(target, end)
  } while (end.reason === 'loading' && (await waited(clock, { until: deadline, signal })))
  const { provider, model, name } = target
  const result = { provider: provider.name, model, name, ok: end.ok, ms: clock.now() - startedAt }
  return end.reason === undefined ? result : { ...result, reason: end.reason }
}

/** Waits before the next ping. Resolves to false if no time is left, or when the signal fires. */
function waited(clock: Clock, { until, signal }: { until: number; signal: AbortSignal }): Promise<boolean> {
  if (signal.aborted || clock.now() + loadingEveryMs > until) return Promise.resolve(false)
  return new Promise(resolve => {
    const done = (isOver: boolean) => {
      clock.clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve(isOver)
    }
    const stop = () => done(false)
    const timer = clock.setTimeout(() => done(true), loadingEveryMs)
    signal.addEventListener('abort', stop, { once: true })
  })
}
