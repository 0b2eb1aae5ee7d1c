/** Ends a call early. It does what an `AbortController` does for one listener, without a target of events for each call. */
export type Stop = {
  aborted: boolean
  reason: unknown
  onAbort: (() => void) | undefined
}

export function createStop(): Stop {
  return { aborted: false, reason: undefined, onAbort: undefined }
}

/** Only the first reason counts. */
export function abort(stop: Stop, reason: unknown): void {
  if (stop.aborted) return
  stop.aborted = true
  stop.reason = reason
  stop.onAbort?.()
}
