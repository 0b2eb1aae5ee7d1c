import { type Client, createClient, deepseek } from 'unbusy'
import { statusFetch, statusHandler, type StatusSource } from 'unbusy/status'
import { answer, fakeTarget, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { html } from '../../src/status/html.ts'
import { page } from '../../src/status/page.ts'
import { dollars, verdictOf } from '../../src/status/words.ts'
import { httpServer } from '../helpers/http-servers.ts'
import { test } from '../helpers/vitest.ts'

async function mounted(source: StatusSource): Promise<string> {
  const { origin } = await httpServer(statusHandler(source))
  return `${origin}/status`
}

const asJson = { headers: { accept: 'application/json' } }
const asPage = { headers: { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' } }

test('JSON has what on-call asks for, of every target and of five minutes', async ({ server }) => {
  const { baseURL } = await server([status(503, undefined, { 'x-request-id': 'req-7' }), answer(['Hello.'])])
  const client = createClient({
    chain: [{ ...deepseek({ baseURL, apiKey: 'sk-test', retry: 0 }), name: 'main' }, fakeTarget('Hi.')],
  })
  onTestFinished(async () => client.close())
  for (let each = 0; each < 3; each += 1) await client.generate('Hi')
  const url = await mounted(client)
  const response = await fetch(url, asJson)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('vary')).toBe('Accept')
  expect(await response.json()).toMatchObject({
    closed: false,
    verdict: { level: 'good', title: 'Every call gets an answer' },
    recent: { seconds: 300, answered: 3, fallback: 1, degraded: 0, failed: 0, aborted: 0, steps: expect.any(Array) },
    targets: [
      {
        ...{
          provider: 'deepseek',
          model: 'deepseek-flash',
          name: 'main',
          targetIndex: 0,
          step: 0,
          state: 'closed',
          inFlight: 0,
          waiting: 0,
        },
        ...{
          answered: 2,
          failed: 1,
          cost: expect.any(Number),
          firstChunkMs: { p50: expect.any(Number), p98: expect.any(Number) },
        },
        lastFailures: [
          { reason: 'overloaded', status: 503, requestId: expect.any(String), at: expect.stringMatching(/^\d{4}-.*Z$/) },
        ],
      },
      { provider: 'fake', targetIndex: 1, step: 1, answered: 1, failed: 0, lastFailures: [] },
    ],
  })
})

test('a browser gets one page that needs nothing else; curl, and who asks for nothing, gets JSON', async () => {
  const client = createClient({ chain: [fakeTarget('Hi.')] })
  const url = await mounted(client)
  const response = await fetch(url, asPage)
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = response.headers.get('content-security-policy') ?? ''
  expect(policy).toMatch(
    /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  )
  const text = await response.text()
  expect(text).toMatch(/^<!doctype html><html lang="en">/)
  expect(text).not.toMatch(/ style="| on\w+="|src=|href=|https?:\/\//)
  expect(text).toContain('No calls in the last minute')
  for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/html'])
    expect((await fetch(url, accept === undefined ? {} : { headers: { accept } })).headers.get('content-type')).toContain('json')
})

test('looking is all that can be done: GET and HEAD', async () => {
  const url = await mounted(createClient({ chain: [fakeTarget('Hi.')] }))
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const response = await fetch(url, { method, ...asJson })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  }
  const head = await fetch(url, { method: 'HEAD', ...asPage })
  expect([head.status, await head.text()]).toEqual([200, ''])
  expect(Number(head.headers.get('content-length'))).toBeGreaterThan(5_000)
})

test('pings that keep a server warm are in the JSON and in a table of the page, which other clients do not have', async ({
  clock,
}) => {
  const warm = { ...fakeTarget(['Hi.', { error: 'quota' }], { clock, name: 'warm' }), keepWarm: { prompt: 'You are kind.' } }
  const cold = fakeTarget('Hi.', { clock, name: 'cold' })
  const client = createClient({ chain: [warm, cold], clock })
  onTestFinished(async () => client.close())
  const look = async (of: typeof asJson) => (await fetch(await mounted(client), of)).text()
  const targets = async () => (JSON.parse(await look(asJson)) as ReturnType<Client['status']>).targets
  const [, table] = /<caption>\s*Pings that keep servers warm([^]*?)<\/table>/.exec(await look(asPage)) ?? []
  expect(table).toMatch(/1\. warm[^]*none yet/)
  expect(table).not.toContain('cold')
  await clock.until(client.warmUp())
  expect(await look(asPage)).toMatch(/ago <small>ok, took \d+ ms/)
  await clock.until(client.warmUp())
  const [first, second] = await targets()
  expect(first?.keepWarm).toMatchObject({ sent: 2, failed: 1, lastAt: expect.any(String) as string, lastReason: 'quota' })
  expect(second?.keepWarm).toBeUndefined()
  expect(await look(asPage)).toContain('failed: quota')
  const other = createClient({ chain: [cold], clock })
  onTestFinished(async () => other.close())
  expect(page([['', other.status()]])).not.toContain('Pings')
})

test('a closed client is 503 and says so; no look is a request to a provider', async ({ server }) => {
  const { baseURL, requests } = await server(answer(['Hello.']))
  const client = createClient({ chain: [deepseek({ baseURL, apiKey: 'sk-test' })] })
  const url = await mounted(client)
  for (const accept of [asJson, asPage, asPage]) await (await fetch(url, accept)).text()
  expect(requests).toHaveLength(0)
  await client.close()
  const response = await fetch(url, asPage)
  expect(response.status).toBe(503)
  expect(await response.text()).toContain('This client is closed')
})

test('several clients are shown below each other, by their names', async () => {
  const clients = {
    chat: createClient({ chain: [fakeTarget('Hi.')] }),
    'search <1>': createClient({ chain: [fakeTarget('Hi.')] }),
  }
  await clients.chat.generate('Hi')
  const url = await mounted(clients)
  expect(await (await fetch(url, asJson)).json()).toMatchObject({
    clients: { chat: { recent: { answered: 1 } }, 'search <1>': { recent: { answered: 0 } } },
  })
  const text = await (await fetch(url, asPage)).text()
  expect(text).toContain('chat: Every call gets an answer')
  expect(text).toContain('search &lt;1&gt;: No calls in the last minute')
})

test('what servers and names say is text, never markup', async ({ clock }) => {
  const name = `<script>alert(1)</script>"'&`
  const chain = [{ ...fakeTarget({ error: 'overloaded' }, { clock, name, model: name, retry: 0 }), name }]
  const client = createClient({ chain, clock })
  await clock.until(client.generate('Hi').catch(() => {}))
  const calm = client.status()
  const hostile = {
    ...calm,
    targets: calm.targets.map(target => ({
      ...target,
      lastFailures: [{ at: calm.at, reason: 'overloaded' as const, status: 503, requestId: `<img src=x onerror=alert(1)>\0` }],
    })),
  }
  const text = page([[name, hostile]])
  expect(text.match(/<script>/g)).toHaveLength(1)
  expect(text).not.toMatch(/<img|\0/)
  expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;')
  // an id that turns the direction of writing would be read from its end
  expect(html`${'id-\u202e123\u2066'}`.html).toBe('id-\ufffd123\ufffd')
  expect(html`<p class="${'a" onclick="b'}">${'<b>'}${html`<i>${'&'}</i>`}</p>`.html).toBe(
    '<p class="a&quot; onclick=&quot;b">&lt;b&gt;<i>&amp;</i></p>',
  )
})

test('no prompt, no answer and no key, however a server quotes them', async ({ server }) => {
  const { baseURL } = await server([
    status(401, { error: { message: 'PROMPT-7 with sk-secret-0123456789abcdef' } }),
    status(500, 'PROMPT-7'),
    answer(['ANSWER-7']),
  ])
  const client = createClient({
    chain: [deepseek({ baseURL, apiKey: 'sk-secret-0123456789abcdef', retry: 0 }), fakeTarget('ANSWER-7')],
    breaker: false,
  })
  onTestFinished(async () => client.close())
  for (let each = 0; each < 3; each += 1) await client.generate('PROMPT-7')
  const url = await mounted(client)
  for (const accept of [asJson, asPage])
    expect(await (await fetch(url, accept)).text()).not.toMatch(/PROMPT-7|ANSWER-7|sk-secret/)
})

test('statusFetch answers Web requests, and what Hono hands out', async () => {
  const client = createClient({ chain: [fakeTarget('Hi.')] })
  const handler = statusFetch(client)
  const request = new Request('http://localhost/status', asJson)
  expect(await handler(request).json()).toMatchObject({ targets: [{ provider: 'fake' }] })
  expect(handler({ req: { raw: new Request('http://localhost/status', asPage) } }).headers.get('content-type')).toContain('html')
  expect(handler(new Request('http://localhost/status', { method: 'POST' })).status).toBe(405)
})

test('Fastify hands out objects of its own: the answer is written to the real ones', async () => {
  const handler = statusHandler(createClient({ chain: [fakeTarget('Hi.')] }))
  let hijacked = 0
  const { origin } = await httpServer((raw, rawResponse) => handler({ raw }, { raw: rawResponse, hijack: () => (hijacked += 1) }))
  const response = await fetch(origin, asJson)
  expect([response.status, hijacked]).toEqual([200, 1])
  await response.text()
})

test.for([[undefined], [{}], [{ chat: {} }], ['client']] as const)('%j is a TypeError that says what to give', ([source]) => {
  expect(() => statusHandler(source as never)).toThrow(
    /statusHandler: the argument must be a client, or clients by name like \{ chat, search \}/,
  )
})

test('a page that is asked for in a loop costs twenty renderings a second', () => {
  let asked = 0
  const real = createClient({ chain: [fakeTarget('Hi.')] })
  const rendered: string[] = []
  const handler = statusFetch({
    status: () => ({ ...real.status(), at: `2026-01-01T00:00:00.${String((asked += 1)).padStart(6, '0')}Z` }),
  })
  const before = Math.floor(performance.now() / 1_000)
  const work = Array.from({ length: 500 }, async () =>
    rendered.push(await handler(new Request('http://localhost', asJson)).text()),
  )
  return Promise.all(work).then(() => {
    // however long a busy machine needs for it: twenty for each second that has begun
    const seconds = Math.floor(performance.now() / 1_000) - before + 1
    expect(new Set(rendered).size).toBeLessThanOrEqual(20 * seconds)
  })
})

test.for([
  ['closed', 'bad', 'This client is closed'],
  ['down', 'bad', 'No target is up'],
  ['lost', 'bad', 'Calls get no answer'],
  ['some lost', 'fair', 'Some calls get no answer'],
  ['first down', 'fair', 'The first target is down, others answer'],
  ['others answer', 'fair', 'Most answers come from another target'],
  ['nobody calls', 'idle', 'No calls in the last minute'],
  ['one caller leaves', 'fair', 'Every caller left before the end of the answer'],
  ['every caller leaves', 'fair', 'Every caller left before the end of the answer'],
  ['well', 'good', 'Every call gets an answer'],
] as const)('the verdict when %s', ([scene, level, title]) => {
  const client: Client = createClient({ chain: [fakeTarget('Hi.'), fakeTarget('Hi.')] })
  const calm = client.status()
  const [first, second] = calm.targets
  const step = { answered: 100, fallback: 0, degraded: 0, failed: 0, aborted: 50, seconds: 15 }
  const scenes = {
    closed: { closed: true },
    down: {
      targets: [
        { ...first!, state: 'open' as const },
        { ...second!, state: 'gated' as const },
      ],
    },
    lost: { step: { degraded: 10 } },
    'some lost': { step: { failed: 1 } },
    'first down': { targets: [{ ...first!, state: 'open' as const }, second!] },
    'others answer': { step: { fallback: 60 } },
    'nobody calls': { step: { answered: 0, aborted: 0 } },
    'one caller leaves': { step: { answered: 0, aborted: 1 } },
    'every caller leaves': { step: { answered: 0 } },
    well: {},
  }
  const { step: changed, ...more } = { step: {}, ...scenes[scene] }
  const steps = [...calm.recent.steps.slice(0, -1), { ...step, ...changed }]
  const verdict = verdictOf({ ...calm, ...more, recent: { ...calm.recent, steps } })
  expect(verdict).toMatchObject({ level, title })
  // who is on call must see that callers leave, also beside answers
  if (scene === 'one caller leaves') expect(verdict.text).toBe('1 call was aborted by its caller.')
  if (scene === 'every caller leaves') expect(verdict.text).toBe('50 calls were aborted by their callers.')
  if (scene === 'well')
    expect(verdict.text).toBe('0 of 100 calls of the last minute got no answer. 50 more were aborted by their callers.')
})

test('what was five minutes ago is not in the verdict of the last minute', () => {
  const calm = createClient({ chain: [fakeTarget('Hi.')] }).status()
  const step = { answered: 0, fallback: 0, degraded: 0, failed: 100, aborted: 0, seconds: 15 }
  const steps = [step, ...calm.recent.steps.slice(1)]
  expect(verdictOf({ ...calm, recent: { ...calm.recent, steps } }).level).toBe('idle')
})

test('amounts of money that are not 0 are not shown as 0', () => {
  expect([0, 0.000_01, 0.012_34, 2].map(dollars)).toEqual(['$0', '< $0.0001', '$0.0123', '$2.00'])
})
