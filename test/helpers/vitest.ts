import { test as base } from 'vitest'
import { fakeClock, recordEvents, startServer } from '../../src/testing/index.ts'
import type { EventRecorder, FakeClock, TestServer } from '../../src/testing/index.ts'

type Fixtures = {
  /** Starts a misbehaving server; all of them are closed when the test is over, and what their reply functions threw fails it. */
  server: typeof startServer
  /** Collects events. When the test is over, every start must have had its end. */
  events: EventRecorder
  /** Virtual time. */
  clock: FakeClock
}

/** `test` with what most tests need; whatever it opened is closed after the test. */
export const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const servers: TestServer[] = []
    await use(async (replies, options) => {
      const server = await startServer(replies, options)
      servers.push(server)
      return server
    })
    await Promise.all(servers.map(server => server.close()))
  },
  events: async ({}, use) => {
    const events = recordEvents()
    await use(events)
    events.assertPaired()
  },
  clock: async ({}, use) => {
    await use(fakeClock())
  },
})
