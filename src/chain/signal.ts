import type { AttemptRecord } from '../contract-events.ts'

/**
 * Reports to a call its own end, and news for its walk. It works like an `AbortController` for one listener, without an `EventTarget` for
 * each call.
 */
export type CallSignal = {
  aborted: boolean
  reason: unknown
  /** The attempts of a call that has ended without an answer. */
  attempts: readonly AttemptRecord[] | undefined
  onAbort: (() => void) | undefined
  /** News came that no listener has received yet. */
  hasNews: boolean
  onNews: (() => void) | undefined
}

export function createSignal(): CallSignal {
  return { aborted: false, reason: undefined, attempts: undefined, onAbort: undefined, hasNews: false, onNews: undefined }
}

/** Ends the call early. Only the first reason counts. */
export function abort(signal: CallSignal, reason: unknown): void {
  if (signal.aborted) return
  signal.aborted = true
  signal.reason = reason
  signal.onAbort?.()
}

/** Aborts the call with the caller's own reason; returns a function that stops listening. */
export function follow(from: AbortSignal | undefined, signal: CallSignal): () => void {
  if (from === undefined) return nobodyToFollow
  if (from.aborted) abort(signal, from.reason)
  const onAbort = () => abort(signal, from.reason)
  from.addEventListener('abort', onAbort, { once: true })
  return () => from.removeEventListener('abort', onAbort)
}

function nobodyToFollow(): void {}

/** Wakes the walk, because something has happened that it must handle. */
export function notify(signal: CallSignal): void {
  signal.hasNews = true
  signal.onNews?.()
}

/** Resolves at the next news, or at once if there is unread news. */
export function news(signal: CallSignal): Promise<void> {
  if (signal.hasNews) return Promise.resolve(seen(signal))
  return new Promise(resolve => {
    signal.onNews = () => resolve(seen(signal))
  })
}

/** Calls the listener at the next news, or at once if there is unread news. Returns a function that stops listening. */
export function listen(signal: CallSignal, listener: () => void): () => void {
  signal.onNews = listener
  if (signal.hasNews) listener()
  return () => seen(signal)
}

function seen(signal: CallSignal): void {
  signal.onNews = undefined
  signal.hasNews = false
}
