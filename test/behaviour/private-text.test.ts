import { inspect } from 'node:util'
import { pino } from 'pino'
import {
  createClient,
  deepseek,
  type GenerateInput,
  llama,
  ollama,
  openai,
  type ProviderError,
  textGeneration,
  UnbusyError,
  vllm,
} from 'unbusy'
import { answer, raw, type Reply, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }

/** Everything that a caller may write. None of it stands in anything that is logged. */
const texts = {
  prompt: 'The Patient\'s name is "Älva <Qvist>", born 1961 in Kiruna & treated for arrhythmia since March.',
  system: 'Answer as doctor_mortensen_of_the_northern_ward would, {"never": "mention"} the pending lawsuit of Olsson.',
  tool: 'Looks up the salary of a member of the board in the internal register of compensation 2026.',
  result: 'salary_of_the_chairman_is_4711000_kronor, to be approved in the autumn by the committee',
}

const input: GenerateInput = {
  messages: [
    { role: 'system', content: texts.system },
    { role: 'user', content: texts.prompt },
    { role: 'assistant', content: '', toolCalls: [{ toolCallId: 'call_1', toolName: 'salary', input: { of: texts.prompt } }] },
    { role: 'tool', toolCallId: 'call_1', toolName: 'salary', content: texts.result },
  ],
  tools: { salary: { description: texts.tool, inputSchema: z.object({ of: z.string() }) } },
}

const html = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
const forms: Readonly<Record<string, (text: string) => string>> = {
  'as it is': text => text,
  'cut at both ends': text => text.slice(7, 50),
  'in small letters': text => text.toLowerCase(),
  'as JSON': text => JSON.stringify(text),
  'as JSON in JSON': text => JSON.stringify(JSON.stringify(text)),
  'with escapes': text => text.replaceAll(/[^a-z]/gi, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'as HTML': html,
  'in one word': text => text.replaceAll(/\W+/g, '_'),
}

/** Every way in which a server can say something. */
const places: Readonly<Record<string, (said: string) => Reply>> = {
  'a message': said => status(400, { error: { message: `Cannot parse ${said}`, type: 'invalid_request_error' } }),
  'every field': said => status(500, { error: { message: said, type: said, code: said, param: said, request_id: said } }),
  'words before an id': said => status(429, { error: { message: `request id: ${said}` } }),
  headers: said => status(503, { detail: said }, { 'x-request-id': said.replaceAll(/[^\x20-\x7e]/g, '?'), 'cf-ray': 'ray-1' }),
  'a page': said => status(502, `<html><title>${said}</title><body>${said}</body></html>`, { 'content-type': 'text/html' }),
  'plain text': said => status(422, said),
  'a body that is no answer': said => raw(said),
  'an answer without choices': said => raw(JSON.stringify({ [said]: said, text: { [said]: 1 } })),
  'an error in a 200': said => raw(JSON.stringify({ error: { message: said, code: said } })),
  'an error in a stream': said =>
    raw([
      `data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n`,
      `event: error\ndata: ${JSON.stringify({ message: said })}\n\n`,
    ]),
  'an event that is no JSON': said => raw([`data: {"choices":[{"delta":{"content":"${said}\n\n`]),
  'a finish reason': said => raw([`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: said }] })}\n\n`]),
  'a tool that there is not': said => answer('', { toolCalls: [{ toolName: said, input: { of: said } }] }),
  'the input of a tool': said => answer('', { toolCalls: [{ toolName: 'salary', input: { [said]: said } }] }),
  'the content of an event, cut': said => answer(['Half ', said, ' more'], { cutAfterChunks: 2, cutBy: 'rst' }),
}

const run = 24

const runs = new Set(
  Object.values(texts).flatMap(text =>
    Object.values(forms).flatMap(form => {
      const needle = form(text).toLowerCase()
      return Array.from({ length: Math.max(0, needle.length - run) }, (_, at) => needle.slice(at, at + run))
    }),
  ),
)

/** What is shown has no run of 24 characters in common with a text, nor with a form of one. */
function quotedIn(shown: string): string[] {
  const haystack = shown.toLowerCase()
  const found = Array.from({ length: haystack.length }, (_, at) => haystack.slice(at, at + run)).filter(part => runs.has(part))
  return [...new Set(found)].slice(0, 3)
}

const targets = {
  deepseek: (baseURL: string) => deepseek({ baseURL, ...key, retry: 0 }),
  openai: (baseURL: string) => openai('gpt-6-luna', { baseURL, ...key, retry: 0 }),
  llama: (baseURL: string) => llama({ baseURL, retry: 0 }),
  vllm: (baseURL: string) => vllm('r1', { baseURL, retry: 0 }),
  ollama: (baseURL: string) => ollama('r1', { baseURL, retry: 0 }),
  textGeneration: (baseURL: string) => textGeneration({ baseURL, retry: 0 }),
}

test.for(Object.keys(targets) as (keyof typeof targets)[])(
  'F74: whatever a server quotes, no message, event, log line or inspection of %s holds it',
  { timeout: 30_000 },
  async (service, { server }) => {
    const { url, replyWith } = await server(status(500))
    const few = service === 'deepseek' ? Object.entries(forms) : Object.entries(forms).slice(0, 1)
    for (const [form, quote] of few) {
      for (const [place, reply] of Object.entries(places)) {
        for (const text of form === 'as it is' ? Object.values(texts) : [texts.prompt]) {
          replyWith(reply(quote(text)))
          const shown: string[] = []
          const logger = pino({ level: 'trace' }, { write: line => void shown.push(line) })
          const client = createClient({
            ...{ chain: [targets[service](url)], logger, breaker: false },
            onEvent: event => void shown.push(JSON.stringify(event)),
          })
          const plain = service === 'textGeneration' || service === 'ollama' ? { prompt: texts.prompt } : input
          const error: unknown = await client.generate(plain).then(
            () => undefined,
            (thrown: unknown) => thrown,
          )
          await client.close()
          if (error !== undefined) {
            expect(UnbusyError.isInstance(error), `${place} ${form}: ${inspect(error)}`).toBe(true)
            logger.error({ err: error })
            shown.push(JSON.stringify(error), inspect(error, { showHidden: true, depth: 20, maxStringLength: null }))
          }
          expect(quotedIn(shown.join('\n')), `${place}, ${form}`).toEqual([])
        }
      }
    }
  },
)

test('F74: what the server said is there for those who ask, without the key, and no longer than 1,000 characters', async ({
  server,
}) => {
  const message = `Your key ${key.apiKey} may not ask: ${texts.prompt} ${'x'.repeat(5_000)}`
  const { baseURL } = await server(status(403, { error: { message, code: 'no_way' } }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  const error: unknown = await client.generate('Hi').catch((thrown: unknown) => thrown)
  const failure = (error as { failures: ProviderError[] }).failures[0]!
  expect(failure.said).toMatch(/^Your key \*\*\* may not ask: The Patient's name/)
  expect(failure.said).toMatch(/\(code: no_way\)$/)
  expect(failure.said).toHaveLength(1_000)
  expect(failure.message).toBe(
    'The key has no permission for this (403, code no_way). Check what the key, the account and the region are allowed to use.',
  )
  expect(Object.keys(failure)).not.toContain('said')
})

test('F74: a stream that broke, and a run of tools that ended early, show neither answer nor conversation', async ({
  server,
}) => {
  const { baseURL } = await server(answer([texts.prompt, ' more'], { cutAfterChunks: 1, cutBy: 'rst' }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key, retry: 0 })] })
  const error: unknown = await client
    .stream('Hi')
    .then(async stream => stream.text())
    .catch((thrown: unknown) => thrown)
  const lines: string[] = []
  pino({}, { write: line => void lines.push(line) }).error({ err: error })
  expect(lines.join()).toContain('StreamInterruptedError')
  expect(quotedIn(`${lines.join()} ${inspect(error, { showHidden: true, depth: 20 })}`)).toEqual([])
  expect((error as { text: string }).text).toBe(texts.prompt)
})
