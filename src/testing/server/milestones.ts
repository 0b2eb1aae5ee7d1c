/** Promises that resolve as soon as a condition holds. Conditions are checked again after every change. */
export type Milestones = {
  until(isSo: () => boolean): Promise<void>
  /** Checks all conditions again after a change. */
  reached(): void
  /** Rejects all pending promises with this error, because no further change will come. */
  close(error: Error): void
}

type Waiter = { readonly isSo: () => boolean; readonly resolve: () => void; readonly reject: (error: Error) => void }

export function createMilestones(): Milestones {
  let waiters: readonly Waiter[] = []
  let closedWith: Error | undefined
  const reached = (): void => {
    const due = waiters.filter(waiter => waiter.isSo())
    waiters = waiters.filter(waiter => !due.includes(waiter))
    for (const waiter of due) waiter.resolve()
  }
  return {
    reached,
    async until(isSo) {
      if (isSo()) return
      if (closedWith !== undefined) throw closedWith
      await new Promise<void>((resolve, reject) => (waiters = [...waiters, { isSo, resolve, reject }]))
    },
    close(error) {
      reached()
      closedWith = error
      for (const waiter of waiters) waiter.reject(error)
      waiters = []
    },
  }
}
