/** Promises for "as soon as this is so": each is looked at whenever something happened. */
export type Milestones = {
  until(isSo: () => boolean): Promise<void>
  /** Something happened: look again. */
  reached(): void
  /** Nothing will happen any more: whoever still waits gets this error. */
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
