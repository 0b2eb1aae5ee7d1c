/** Something happened that the walk must look at. */
export type Bell = {
  /** A ring is never lost, also one before anybody listens. */
  ringing: boolean
  listener: (() => void) | undefined
}

export function createBell(): Bell {
  return { ringing: false, listener: undefined }
}

export function ring(bell: Bell): void {
  bell.ringing = true
  bell.listener?.()
}

/** Resolves at the next ring, or at once where it has rung; then it is silent again. */
export function rung(bell: Bell): Promise<void> {
  if (bell.ringing) return Promise.resolve(silence(bell))
  return new Promise(resolve => {
    bell.listener = () => resolve(silence(bell))
  })
}

/** Calls back when it rings, or at once where it has rung. Answers how to stop listening. */
export function onRing(bell: Bell, listener: () => void): () => void {
  bell.listener = listener
  if (bell.ringing) listener()
  return () => silence(bell)
}

function silence(bell: Bell): void {
  bell.listener = undefined
  bell.ringing = false
}
