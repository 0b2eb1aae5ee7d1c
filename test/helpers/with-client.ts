import { type Client, type ClientOptions, createClient, type Target } from 'unbusy'
import { test as base } from './vitest.ts'

/** `test` with clients that are closed when the test is over. */
export const test = base.extend(
  'client',
  ({ onTestFinished }) =>
    (chain: readonly Target[], options: Partial<ClientOptions> = {}): Client => {
      const client = createClient({ chain, ...options })
      onTestFinished(() => client.close())
      return client
    },
)
