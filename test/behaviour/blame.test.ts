import { createClient, openaiCompatible } from 'unbusy'
import { answer, fakeTarget, garbage, json, raw, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const error = (message: string, fields: object = {}) => ({ error: { message, ...fields } })

/** After this refusal of model `a`: who is asked by the next call, and whether another model of the same key is. */
test.for([
  // too little to ask again for: repairs.test.ts has what is worth it
  ['F12: what can be afforded in part', 402, error('You requested up to 65536 tokens, but can only afford 9.'), 'a', 'b'],
  ['F13: the free tier of one model', 403, error('Free tier exhausted', { code: 'AllocationQuota.FreeTierOnly' }), 'spare', 'b'],
  ['F14: the limit that was set for one model', 429, error('paused', { code: 'SetLimitExceeded' }), 'spare', 'b'],
  ['F19: larger than the limit per minute', 429, error('Limit 7000, Requested 12903. Please try again in 50s.'), 'a', 'b'],
  ['F30: a model that does not load', 400, error('Failed to load model'), 'spare', 'b'],
  ['F32: no endpoint for tools', 404, error('No endpoints found that support tool use'), 'a', 'b'],
  ['F33: a model that is gone', 400, error('gone', { code: 'model_decommissioned' }), 'spare', 'b'],
  ['F34: the week is used up', 429, error('you have reached your weekly usage limit'), 'spare', 'spare'],
  ['F15: a suspended account', 412, error('Account suspended, possibly due to its spending limit'), 'spare', 'spare'],
] as const)('%s: %i', async ([, refusedWith, said, again, other], { server }) => {
  let refusals = 0
  const first = await server(request => {
    const isFirst = (request.json as { model: string }).model === 'a' && refusals++ === 0
    return isFirst ? json(said, { status: refusedWith }) : answer('from the first')
  })
  const second = await server(answer('from the second'))
  const at = (model: string) => openaiCompatible(model, { baseURL: first.baseURL, apiKey: 'sk-1', name: 'first' })
  const spare = openaiCompatible('spare', { baseURL: second.baseURL, name: 'second' })
  await using client = createClient({ chain: [at('a'), spare], hedge: false })
  const asked: string[] = []
  expect((await client.generate('Hi.')).model).toBe('spare')
  asked.push((await client.generate('Hi.')).attempts.findLast(({ outcome }) => outcome === 'answered')!.model)
  expect(asked).toEqual([again])
  await using both = createClient({ chain: [at('a'), at('b'), spare], hedge: false })
  refusals = 0
  expect((await both.generate('Hi.')).model).toBe(other)
})

test('F24: a page of a firewall shuts neither the key nor another model of it', async ({ server }) => {
  const page = '<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>'
  const first = await server(request => {
    const { model } = request.json as { model: string }
    return model === 'a' ? raw(page, { status: 403, headers: { 'cf-mitigated': 'challenge' } }) : answer('from the first')
  })
  const at = (model: string) => openaiCompatible(model, { baseURL: first.baseURL, apiKey: 'sk-1', name: 'first' })
  await using client = createClient({ chain: [at('a'), at('b')], hedge: false })
  const { model, attempts } = await client.generate('Hi.')
  expect({ model, reason: attempts[0]!.reason }).toEqual({ model: 'b', reason: 'malformed-response' })
})

test('F25: an error after content is the server’s, whatever it calls it', async ({ server }) => {
  const first = await server(
    answer(['one', ' two', ' three'], {
      errorAfterChunks: 2,
      error: error('bad', { code: 'InvalidParameter', type: 'BadRequest' }),
    }),
  )
  await using client = createClient({ chain: [openaiCompatible('a', { baseURL: first.baseURL })], retry: 0 })
  await expect(client.generate('Hi.')).rejects.toMatchObject({ reason: 'server-error', status: 503 })
})

test('F17: MiniMax says in a 200 that the account is empty, and is not asked by the next call', async ({ server }) => {
  const first = await server(json({ choices: null, base_resp: { status_code: 1008, status_msg: 'insufficient balance' } }))
  const second = await server(answer('Hello.'))
  const chain = [openaiCompatible('a', { baseURL: first.baseURL }), openaiCompatible('b', { baseURL: second.baseURL })]
  await using client = createClient({ chain, hedge: false })
  const { attempts } = await client.generate('Hi.')
  await client.generate('Hi.')
  expect(attempts[0]).toMatchObject({ outcome: 'failed', reason: 'quota' })
  expect(first.requests).toHaveLength(1)
})

test('F26: a tool call that Groq could not read is asked for once more, with what the model wrote', async ({ server }) => {
  const refused = error("Failed to generate JSON. See 'failed_generation'.", {
    code: 'json_validate_failed',
    failed_generation: '{"n": "one"',
  })
  const first = await server([json(refused, { status: 400 }), answer('{"n":1}')])
  await using client = createClient({ chain: [openaiCompatible('a', { baseURL: first.baseURL })], retry: 0 })
  const { output } = await client.generate({ prompt: 'A number.', output: z.object({ n: z.number() }), repair: 1 })
  expect(output).toEqual({ n: 1 })
  expect(JSON.stringify(first.requests[1]!.json)).toContain('{\\"n\\": \\"one\\"')
})

test('F20: after one long prompt was refused for a day, short ones still go to the same deployment', async ({ server }) => {
  const isLong = (body: unknown) => JSON.stringify(body).length > 4_000
  const azure = await server(request =>
    isLong(request.json) ? status(429, error('Too many tokens'), { 'retry-after': '86400' }) : answer('from Azure'),
  )
  const second = await server(answer('from the second'))
  const chain = [openaiCompatible('a', { baseURL: azure.baseURL }), openaiCompatible('b', { baseURL: second.baseURL })]
  await using client = createClient({ chain, hedge: false })
  const texts: string[] = []
  for (const prompt of ['x'.repeat(8_000), 'Hi.', 'x'.repeat(7_000)]) texts.push((await client.generate(prompt)).text)
  expect(texts).toEqual(['from the second', 'from Azure', 'from the second'])
  expect(azure.requests).toHaveLength(2)
})

test('F35: a key that was refused once by mistake is used again in seconds', async ({ clock }) => {
  const identity = { origin: 'https://a.example', credential: 'k' }
  const first = fakeTarget(['one', { error: 'authentication' }, 'three', 'four'], { clock, name: 'first', identity })
  const client = createClient({ chain: [first, fakeTarget('spare', { clock, name: 'second' })], clock, hedge: false })
  const texts: string[] = []
  for (let call = 0; call < 5; call += 1) {
    texts.push((await clock.until(client.generate('Hi.'))).text)
    await clock.advance(2_000)
  }
  expect(texts.slice(0, 3)).toEqual(['one', 'spare', 'spare'])
  expect(texts.at(-1)).toBe('four')
})

test('F31: a body with two lengths is malformed, and the message tells what is wrong', async ({ server }) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n'
  const first = await server(garbage(`${head}5\r\nhello\r\n0\r\n\r\n`))
  await using client = createClient({ chain: [openaiCompatible('a', { baseURL: first.baseURL })], retry: 0 })
  await expect(client.generate('Hi.')).rejects.toMatchObject({
    reason: 'malformed-response',
    failures: [{ message: expect.stringContaining('content-length') as string }],
  })
})

test('F31: a proxy that wants a password is asked once, and charged to nobody', async ({ server }) => {
  const first = await server([status(407, '<html><title>407</title></html>'), answer('Hello.')])
  const chain = [openaiCompatible('a', { baseURL: first.baseURL }), openaiCompatible('b', { baseURL: first.baseURL })]
  await using client = createClient({ chain, hedge: false })
  const { attempts, model } = await client.generate('Hi.')
  expect([attempts[0]!.message, model]).toEqual([expect.stringMatching(/proxy/), 'b'])
  expect((await client.generate('Hi.').catch(() => undefined))?.model ?? 'a').toBe('a')
})
