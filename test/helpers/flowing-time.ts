import { setImmediate } from 'node:timers/promises'
import { fakeClock, type FakeClock } from '../../src/testing/index.ts'

/** How far time moves in one turn of the event loop. An exchange over a local socket takes about ten turns. */
const turnMs = 10

export type FlowingTime = FakeClock & {
  /** Resolves so much later. */
  after(delayMs: number): Promise<void>
}

/**
 * Virtual time that moves by itself, a little in each turn of the event loop, until the test is over. Sockets of this process keep up with it,
 * however busy the machine is: so a minute of a real server takes about a second, and bounds in seconds can be held.
 */
export function flowingTime(onTestFinished: (end: () => void) => void): FlowingTime {
  const clock = fakeClock()
  let isOver = false
  const flow = async () => {
    while (!isOver) {
      await clock.advance(turnMs)
      await setImmediate()
    }
  }
  void flow()
  onTestFinished(() => {
    isOver = true
  })
  return {
    ...clock,
    after: async delayMs =>
      new Promise(resolve => {
        clock.setTimeout(resolve, delayMs)
      }),
  }
}
