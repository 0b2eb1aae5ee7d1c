import type { TelemetryEnd, TelemetryTool } from './part.ts'
import type { Telemetry } from './telemetry.ts'

/** Runs one step of `runTools()`, wrapped by telemetry. */
export function watchStep<Result>(telemetry: Telemetry | undefined, step: number, work: () => Promise<Result>): Promise<Result> {
  return telemetry === undefined ? work() : watched(work, run => telemetry.aroundStep({ step }, run))
}

type WatchedTool = { readonly telemetry: Telemetry | undefined; readonly tool: TelemetryTool; readonly signal: AbortSignal }

/** Executes one tool, wrapped by telemetry. For telemetry the tool ends when the signal fires, because it may never return. */
export function watchTool<Result>({ telemetry, tool, signal }: WatchedTool, work: () => Promise<Result>): Promise<Result> {
  if (telemetry === undefined) return work()
  return watched(work, run => telemetry.aroundTool(tool, () => endOr(run(), signal)))
}

type Around = (run: () => Promise<TelemetryEnd>) => Promise<TelemetryEnd>

/** Reports to telemetry how the work ends, and returns its result to the caller. */
function watched<Result>(work: () => Promise<Result>, around: Around): Promise<Result> {
  const { promise, resolve } = Promise.withResolvers<Result>()
  void around(() => {
    const running = work()
    resolve(running)
    return running.then(
      result => ({ errorType: undefined, result }),
      (error: unknown) => ({ errorType: nameOf(error) }),
    )
  })
  return promise
}

function endOr(end: Promise<TelemetryEnd>, signal: AbortSignal): Promise<TelemetryEnd> {
  const { promise, resolve } = Promise.withResolvers<TelemetryEnd>()
  const stop = () => resolve({ errorType: nameOf(signal.reason) })
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  return Promise.race([end, promise]).finally(() => signal.removeEventListener('abort', stop))
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
