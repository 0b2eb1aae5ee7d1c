import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { createClient, type HealthFact, host, type HealthStore, openaiCompatible, textGeneration, vllm } from 'unbusy'
import { httpServer } from '../helpers/http-servers.ts'

type Answers = (request: IncomingMessage) => { readonly status: number; readonly text: string }

/** One origin in front of several services. */
async function ingress(answers: Answers) {
  const requests: IncomingMessage[] = []
  const { origin } = await httpServer((request, response) => {
    requests.push(request)
    request.resume().on('end', () => {
      const { status, text } = answers(request)
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }]
      response.end(JSON.stringify(status === 200 ? { choices, response: text } : { error: { message: text } }))
    })
  })
  return { url: origin, requests }
}

async function askTimes(client: ReturnType<typeof createClient>, times: number): Promise<number> {
  const calls = await Promise.all(Array.from({ length: times }, async () => client.generate('Hi').catch(() => undefined)))
  return calls.filter(call => call !== undefined).length
}

for (const status of [429, 503, 404, 402]) {
  test(`F90: a ${status} of one service says nothing of another one behind the same host`, async () => {
    const gate = await ingress(({ url }) =>
      url?.startsWith('/gpu1') === true ? { status, text: 'it is busy' } : { status: 200, text: 'Hello.' },
    )
    const at = (path: string) => openaiCompatible('r1', { baseURL: `${gate.url}/${path}/v1`, stream: false, retry: 0 })
    const client = createClient({ chain: [at('gpu1'), at('gpu2')], hedge: false })
    for (let round = 0; round < 4; round++) expect(await askTimes(client, 2)).toBe(2)
    const [first, second] = client.health()
    expect([first?.state === 'closed', second?.state]).toEqual([false, 'closed'])
    await client.close()
  })
}

test('F90: text generation is told apart by its path too', async () => {
  const gate = await ingress(({ url }) => (url === '/a' ? { status: 429, text: 'no' } : { status: 200, text: 'Hello.' }))
  const at = (path: string) => textGeneration({ baseURL: gate.url, path, retry: 0 })
  const client = createClient({ chain: [at('/a'), at('/b')], hedge: false })
  expect(await askTimes(client, 4)).toBe(4)
  await client.close()
})

const headersOf: readonly (readonly [string, object, object])[] = [
  ['x-api-key', { headers: { 'x-api-key': 'one' } }, { headers: { 'X-Api-Key': 'two' } }],
  ['api-key over apiKey', { apiKey: 'same', headers: { 'api-key': 'one' } }, { apiKey: 'same', headers: { 'api-key': 'two' } }],
  [
    'authorization over apiKey',
    { apiKey: 'same', headers: { Authorization: 'Bearer one' } },
    { apiKey: 'same', headers: { authorization: 'Bearer two' } },
  ],
  [
    'openai-project',
    { apiKey: 'k', headers: { 'openai-project': 'one' } },
    { apiKey: 'k', headers: { 'openai-project': 'two' } },
  ],
  ['a route of a gateway', { headers: { 'x-route': 'one' } }, { headers: { 'x-route': 'two' } }],
]

for (const [what, one, two] of headersOf) {
  for (const status of [401, 403, 429, 402]) {
    test(`F91: two accounts told apart by ${what} have two fates (${status})`, async () => {
      const gate = await ingress(({ headers }) =>
        JSON.stringify(headers).includes('one') ? { status, text: 'no' } : { status: 200, text: 'Hello.' },
      )
      const as = (options: object) => openaiCompatible('m', { baseURL: `${gate.url}/v1`, stream: false, retry: 0, ...options })
      const client = createClient({ chain: [as(one), as(two)], hedge: false })
      for (let round = 0; round < 2; round++) expect(await askTimes(client, 2)).toBe(2)
      await client.close()
    })
  }
}

test('F91: one account written in two ways is one, whatever the case of names and the slash at the end', () => {
  const ways = [
    vllm('m', { baseURL: 'http://h/v1', apiKey: 'k', headers: { 'X-Team': 'a', 'x-b': 'c' } }),
    vllm('m', { baseURL: 'http://h/v1/', headers: { 'x-b': 'c', 'x-team': 'a', Authorization: 'Bearer k' } }),
  ].map(({ provider }) => provider.identity)
  expect(ways[0]).toEqual(ways[1])
  expect(JSON.stringify(ways)).not.toMatch(/Bearer|team/)
  const keys = [
    host('azure', 'd', { baseURL: 'http://h/openai', apiKey: 'k' }),
    host('azure', 'd', { baseURL: 'http://h/openai', headers: { 'api-key': 'k' } }),
  ]
  expect(keys[0]?.provider.identity).toEqual(keys[1]?.provider.identity)
})

test('F91: a key by function is nobody else’s in a fleet, whose processes cannot know that they mean the same', async () => {
  const gate = await ingress(() => ({ status: 401, text: 'no' }))
  const facts: HealthFact[] = []
  const health: HealthStore = { publish: fact => void facts.push(fact), subscribe: () => () => {}, lease: async () => true }
  const as = (apiKey: string | (() => string)) =>
    openaiCompatible('m', { baseURL: `${gate.url}/v1`, apiKey, stream: false, retry: 0 })
  const client = createClient({ chain: [as(() => 'one'), as('fixed')], health, hedge: false, breaker: false })
  await client.generate('Hi').catch(() => {})
  const keys = new Set(facts.map(({ key }) => key))
  expect(keys.size).toBe(1)
  expect([...keys].join(' ')).not.toMatch(/function|fixed|one/)
  await client.close()
})
