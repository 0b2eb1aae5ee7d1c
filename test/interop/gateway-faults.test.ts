/**
 * The sixteen faults of FailoverBench (failoverbench/failoverbench, methodology v0.1) through the gateway, as a client of OpenAI's API sees
 * them. JSON requests all pass; streams pass, or end in an error that says why, and never as a success.
 */
import { createClient, openaiCompatible } from 'unbusy'
import { serve } from 'unbusy/gateway'
import { status, type TestServer } from 'unbusy/testing'
import { expect } from 'vitest'
import { failoverFaults, type Script, text, whole } from '../helpers/failover-faults.ts'
import { flowingTime } from '../helpers/flowing-time.ts'
import { test as base } from '../helpers/vitest.ts'

const doors = ['JSON', 'stream'] as const
const rows = doors.flatMap(door => Object.entries(failoverFaults).map(([number, fault]) => ({ door, number, ...fault })))

const test = base.extend('setUp', ({ server, onTestFinished }) => async (primary: Script, fallback: Script = () => whole()) => {
  const time = flowingTime(onTestFinished)
  const open = (script: Script): Promise<TestServer> => {
    let number = 0
    return server(({ body }: { readonly body: string }) => script((number += 1), time, body), { format: 'openai' })
  }
  const servers = [await open(primary), await open(fallback)]
  const chain = servers.map(({ baseURL }, index) =>
    openaiCompatible(index === 0 ? 'primary-model' : 'fallback-model', { baseURL, apiKey: 'sk-test-0123456789abcdef' }),
  )
  const client = createClient({ chain, clock: time })
  const gateway = await serve({ routes: { chat: client }, port: 0 })
  onTestFinished(async () => {
    await gateway.close()
    await client.close()
  })
  return { time, url: `${gateway.url}/v1/chat/completions`, servers }
})

type Told = {
  readonly status: number
  readonly text: string
  readonly model: string | undefined
  readonly error: { readonly code: string; readonly message: string } | undefined
  /** The answer says that it is whole. */
  readonly isWhole: boolean
}
type Chunk = {
  readonly error?: Told['error']
  readonly model?: string
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string }
    readonly message?: { readonly content: string }
  }[]
}

async function ask(url: string, door: (typeof doors)[number]): Promise<Told> {
  const body = { model: 'chat', messages: [{ role: 'user', content: 'Hi' }], stream: door === 'stream' }
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  const said = await response.text()
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const data = isStream ? [...said.matchAll(/^data: (\{.*)$/gm)].map(([, line = '']) => line) : [said]
  const chunks = data.map(line => JSON.parse(line) as Chunk)
  const choices = chunks.flatMap(chunk => chunk.choices ?? [])
  return {
    status: response.status,
    text: choices.map(({ delta, message }) => delta?.content ?? message?.content ?? '').join(''),
    model: chunks.findLast(chunk => chunk.model !== undefined)?.model,
    error: chunks.find(chunk => chunk.error !== undefined)?.error,
    isWhole: isStream ? said.includes('data: [DONE]') : response.status === 200,
  }
}

test.for(rows)('FailoverBench $number through the gateway, $door: $what', async ({ door, ...fault }, { setUp }) => {
  const { time, url, servers } = await setUp(fault.primary, fault.fallback)
  const [primary, spare] = servers
  const startedAt = time.now()
  const told = await ask(url, door)
  expect(time.now() - startedAt).toBeLessThan(fault.withinMs)
  if (fault.refusedFor !== undefined) {
    expect([told.status, told.error?.code, told.isWhole]).toEqual([400, fault.refusedFor, false])
    expect(spare?.requests).toHaveLength(0)
  } else if (door === 'stream' && fault.breaksLate === true) {
    // safe: what came is a part of the answer, the end says why, and nothing says that it is whole
    expect([told.status, told.isWhole]).toEqual([200, false])
    expect(told.error?.code).toMatch(/^(truncated|timeout|malformed-response|network)$/)
    expect(text.startsWith(told.text)).toBe(true)
    expect(JSON.stringify(told.error)).not.toContain('400')
  } else expect(told).toMatchObject({ status: 200, text, error: undefined, isWhole: true })
  if (fault.primaryRequests !== undefined) expect(primary?.requests.length).toBeLessThanOrEqual(fault.primaryRequests)
  if (fault.what.includes('the fallback answers')) expect(told.model).toBe('fallback-model')
  // it is well afterwards
  primary?.replyWith(whole())
  expect(await ask(url, 'JSON')).toMatchObject({ status: 200, text })
})

test.for(doors)(
  'FailoverBench S15 through the gateway, %s: the first is down for 60 s, then healthy',
  async (door, { setUp }) => {
    const recoversAt = 60_000
    let during = 0
    const { time, url } = await setUp((_, clock) => {
      if (clock.now() >= recoversAt) return whole()
      during += 1
      return status(503)
    })
    const calls = Array.from({ length: 20 }, async (_, index) => {
      await time.after(index * 4_000)
      const told = await ask(url, door)
      expect(told).toMatchObject({ status: 200, text, isWhole: true })
      return { model: told.model, at: time.now() }
    })
    const answers = await Promise.all(calls)
    expect(answers.find(({ model }) => model === 'primary-model')?.at).toBeLessThan(recoversAt + 30_000)
    expect(during).toBeLessThanOrEqual(15)
  },
)
