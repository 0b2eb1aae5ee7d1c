/**
 * What a call listens to: its own end, and news that its walk must look at. It does what an `AbortController` does for one listener,
 * without a target of events for each call.
 */
export type CallSignal = {
  aborted: boolean
  reason: unknown
  onAbort: (() => void) | undefined
  /** News is never lost, also when nobody listens yet. */
  hasNews: boolean
  onNews: (() => void) | undefined
}

export function createSignal(): CallSignal {
  return { aborted: false, reason: undefined, onAbort: undefined, hasNews: false, onNews: undefined }
}

/** Ends the call early. Only the first reason counts. */
export function abort(signal: CallSignal, reason: unknown): void {
  if (signal.aborted) return
  signal.aborted = true
  signal.reason = reason
  signal.onAbort?.()
}

/** Something happened that the walk must look at. */
export function notify(signal: CallSignal): void {
  signal.hasNews = true
  signal.onNews?.()
}

/** Resolves at the next news, or at once where there is some. */
export function news(signal: CallSignal): Promise<void> {
  if (signal.hasNews) return Promise.resolve(seen(signal))
  return new Promise(resolve => {
    signal.onNews = () => resolve(seen(signal))
  })
}

/** Calls back at the next news, or at once where there is some. Returns a function that stops listening. */
export function listen(signal: CallSignal, listener: () => void): () => void {
  signal.onNews = listener
  if (signal.hasNews) listener()
  return () => seen(signal)
}

function seen(signal: CallSignal): void {
  signal.onNews = undefined
  signal.hasNews = false
}
