import { AsyncLocalStorage } from 'node:async_hooks'
import { context, type Context, type ContextManager, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { createClient, type Provider } from 'unbusy'
import { serve } from 'unbusy/gateway'
import { fakeTarget } from 'unbusy/testing'
import { expect, test, vi } from 'vitest'

/** Whether the package is there, as the gateway sees it. */
const missing = new Set<string>()
type Loader = { loadPackage(name: string, entry: string): unknown }
vi.mock('../../src/telemetry/optional-package.ts', async original => {
  const module = await original<Loader>()
  return {
    loadPackage(name: string, entry: string) {
      if (missing.has(name)) throw new Error(`${entry} needs the package ${name}, which cannot be loaded.`)
      return module.loadPackage(name, entry)
    },
  }
})

test('without prom-client /metrics is a 501 that says what to install, and everything else works', async ({ onTestFinished }) => {
  missing.add('prom-client')
  onTestFinished(() => missing.clear())
  const gateway = await serve({ chain: [fakeTarget(['Hi.'])], port: 0 })
  onTestFinished(() => gateway.close())
  const metrics = await fetch(`${gateway.url}/metrics`)
  expect([metrics.status, ((await metrics.json()) as { error: { message: string } }).error.message]).toEqual([
    501,
    'Metrics need the package prom-client: npm install prom-client',
  ])
  expect((await fetch(`${gateway.url}/v1/models`)).status).toBe(200)
})

/** As little of OpenTelemetry's SDK as keeps a context. */
function keepContexts(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  return {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (given, run, self, ...args) => storage.run(given, () => run.apply(self, args)),
    bind: (_, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  }
}

test('an incoming traceparent is the parent of what is asked upstream; one that is none is not', async ({ onTestFinished }) => {
  context.setGlobalContextManager(keepContexts())
  onTestFinished(() => context.disable())
  const parents: (string | undefined)[] = []
  const provider: Provider = {
    name: 'test',
    async stream(_, { emit }) {
      const { traceId, spanId } = trace.getSpanContext(context.active()) ?? {}
      parents.push(traceId === undefined ? undefined : `${traceId}-${spanId}`)
      emit({ type: 'text-delta', text: 'Hi.' })
      emit({ type: 'finish', finishReason: 'stop' })
    },
  }
  const client = createClient({ chain: [{ provider, model: 'm' }] })
  const gateway = await serve({ routes: { chat: client }, port: 0 })
  onTestFinished(async () => {
    await gateway.close()
    await client.close()
  })
  const ids = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'
  for (const traceparent of [`00-${ids}-01`, '00-nonsense', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, '']) {
    const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }] })
    const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body, headers: { traceparent } })
    expect(response.status).toBe(200)
    await response.text()
  }
  expect(parents).toEqual([ids, undefined, undefined, undefined])
})
