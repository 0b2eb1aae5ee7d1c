import { test as base } from 'vitest'
import { fakeClock, recordEvents, startServer } from '../../src/testing/index.ts'
import type { TestServer } from '../../src/testing/index.ts'

/** `test` with what most tests need. Whatever it opened is closed when the test is over. */
export const test = base
  /** Starts a misbehaving server. What a reply function throws fails the test. */
  .extend('server', ({ onTestFinished }): typeof startServer => async (replies, options): Promise<TestServer> => {
    const server = await startServer(replies, options)
    onTestFinished(() => server.close())
    return server
  })
  /** Collects events. When the test is over, every start must have had its end. */
  .extend('events', ({ onTestFinished }) => {
    const events = recordEvents()
    onTestFinished(() => events.assertPaired())
    return events
  })
  /** Virtual time. */
  .extend('clock', () => fakeClock())
