import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Call } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { outputSpec } from '../../../src/output/output-spec.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { host } from '../../../src/providers/host.ts'
import { llama } from '../../../src/providers/llama.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { openai } from '../../../src/providers/openai.ts'
import { sglang } from '../../../src/providers/sglang.ts'
import { tensorrtLlm } from '../../../src/providers/tensorrt-llm.ts'
import { textGeneration } from '../../../src/providers/text-generation.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { ask, startRecorder } from '../../helpers/recording-server.ts'
import { deepseekRefuses, llamaRefuses, openaiRefuses } from '../../helpers/strict-servers.ts'

const strict = z.object({ name: z.string().max(20), minutes: z.number() })
const loose = z.object({ name: z.string(), nick: z.string().optional() })

/** What zod writes with words that strict does not know. */
const difficult = z.object({
  kind: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('cat'), lives: z.int().optional() }),
    z.object({ kind: z.literal('dog'), tags: z.array(z.string().min(1)).max(3).default([]) }),
  ]),
  site: z.url().optional(),
  mail: z.email().nullish(),
  parent: z.lazy((): z.ZodType => loose).describe('Whose child it is.'),
})

const services: Record<string, (baseURL: string) => Target> = {
  deepseek: baseURL => deepseek({ baseURL, apiKey: 'test' }),
  openai: baseURL => openai({ baseURL, apiKey: 'test' }),
  llama: baseURL => llama({ baseURL }),
  vllm: baseURL => vllm('r1', { baseURL }),
  sglang: baseURL => sglang({ baseURL }),
  tensorrtLlm: baseURL => tensorrtLlm('r1', { baseURL }),
  ollama: baseURL => ollama('r1', { baseURL }),
  host: baseURL => host('siliconflow', 'r1', { baseURL, apiKey: 'test' }),
  openaiCompatible: baseURL => openaiCompatible('r1', { baseURL }),
  textGeneration: baseURL => textGeneration({ baseURL }),
}

/** What of the request holds the answer to the schema. */
async function requestOf(service: string, schema: z.ZodType, call: Partial<Call> = {}) {
  const server = await startRecorder(() => ({ status: 500, body: '' }))
  const target = services[service]!(server.origin)
  const output = outputSpec(schema).format
  await ask(target, { messages: [{ role: 'user', content: 'A recipe.' }], output, ...call }).catch(() => {})
  const { url, body } = server.requests[0]!
  const { response_format, format, tools, tool_choice, messages, prompt } = body
  const sent = Object.entries({ response_format, format, tools, tool_choice, messages, prompt })
  return { url, refusable: { url, body }, sent: Object.fromEntries(sent.filter(([, value]) => value !== undefined)) }
}

test.for(Object.keys(services))('%s is held to a schema as strongly as it can be', async service => {
  expect((await requestOf(service, strict)).sent).toMatchSnapshot()
})

test('deepseek without thinking is held to it by a strict tool, under /beta; with an optional field by words', async () => {
  const held = await requestOf('deepseek', strict, { reasoning: 'off' })
  expect(held.url).toContain('/beta/')
  expect(held.sent).toMatchSnapshot()
  const told = await requestOf('deepseek', loose, { reasoning: 'off' })
  expect(told.url).not.toContain('/beta/')
  expect(told.sent['response_format']).toEqual({ type: 'json_object' })
  expect(JSON.stringify(told.sent['messages'])).toMatch(/JSON Schema.*nick/)
})

test('openai is strict where a property is optional too: it may be null there', async () => {
  expect((await requestOf('openai', strict)).sent['response_format']).toMatchObject({ json_schema: { strict: true } })
  const { json_schema: sent } = (await requestOf('openai', loose)).sent['response_format'] as { json_schema: unknown }
  expect(sent).toMatchObject({
    strict: true,
    schema: { properties: { nick: { type: ['string', 'null'] } }, required: ['name', 'nick'] },
  })
})

test('a server of which nothing is known gets the schema as it is, strict only where that says the same', async () => {
  const sent = async (schema: z.ZodType) => (await requestOf('openaiCompatible', schema)).sent['response_format']
  expect(await sent(strict)).toMatchObject({ json_schema: { strict: true } })
  expect(await sent(loose)).toMatchObject({ json_schema: { strict: false, schema: { required: ['name'] } } })
})

test('servers that refuse what their service refuses take these requests', async () => {
  const schemas = [strict, loose, difficult, z.array(loose), z.enum(['a', 'b']), z.tuple([z.boolean(), z.string()]), z.url()]
  for (const schema of schemas) {
    for (const reasoning of ['off', 'high'] as const) {
      expect(deepseekRefuses((await requestOf('deepseek', schema, { reasoning })).refusable)).toBeUndefined()
      expect(openaiRefuses((await requestOf('openai', schema, { reasoning })).refusable)).toBeUndefined()
      expect(llamaRefuses((await requestOf('llama', schema, { reasoning })).refusable)).toBeUndefined()
    }
  }
})
