export type Bell = { ring(): void; rung(): Promise<void>; onRing(listener: () => void): () => void }

/** Something happened that the walk must look at. A ring is never lost, also one before anybody listens. */
export function createBell(): Bell {
  let ringing = false
  let listener: (() => void) | undefined
  return {
    ring() {
      ringing = true
      listener?.()
    },
    rung() {
      const done = () => {
        listener = undefined
        ringing = false
      }
      if (ringing) return Promise.resolve(done())
      return new Promise(resolve => (listener = () => resolve(done())))
    },
    onRing(given) {
      listener = given
      if (ringing) given()
      return () => {
        listener = undefined
        ringing = false
      }
    },
  }
}
