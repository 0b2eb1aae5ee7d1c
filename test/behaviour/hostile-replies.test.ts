import fc from 'fast-check'
import { createClient, deepseek, ollama, type ProviderError, textGeneration, vllm } from 'unbusy'
import { fakeTarget, raw, type Reply } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { anyText } from '../helpers/any-text.ts'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }

const targets = {
  deepseek: (baseURL: string) => deepseek({ baseURL, ...key, retry: 0 }),
  vllm: (baseURL: string) => vllm('r1', { baseURL, retry: 0, stream: false }),
  ollama: (baseURL: string) => ollama('r1', { baseURL, retry: 0 }),
  textGeneration: (baseURL: string) => textGeneration({ baseURL, retry: 0 }),
}

const names = Object.keys(targets) as (keyof typeof targets)[]

type Tree = { child?: Tree | undefined }
const tree: z.ZodType<Tree> = z.object({ child: z.lazy(() => tree).optional() })

const event = (data: string) => `data: ${data}\n\n`
const delta = (fields: string) => event(`{"choices":[{"index":0,"delta":${fields}}]}`)
const stop = event(
  '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}',
)
const nested = (depth: number, open: string, close: string, inner = '1') => open.repeat(depth) + inner + close.repeat(depth)
const quoted = (text: string) => JSON.stringify(text)

const hostile: Readonly<Record<string, string>> = {
  'F70: tool arguments nested deep': `${delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":${quoted(nested(4_000, '{"a":', '}'))}}}]}`)}${stop}`,
  'F70: content parts nested deep': `${delta(`{"content":[{"type":"thinking","thinking":${nested(4_000, '[{"thinking":', '}]', '"x"')}}]}`)}${stop}`,
  'F70: reasoning details nested deep': `${delta(`{"reasoning_details":${nested(4_000, '[{"summary":', '}]', '"x"')}}`)}${stop}`,
  'F70: a document nested deep': nested(4_000, '{"choices":[', ']}'),
  'F70: a document with a field nested deep': `{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"x":${nested(4_000, '[', ']')},"y":"\\u005f"}`,
  'F70: an event nested a million deep': event(nested(1_000_000, '[', ']')),
  "F70: Ollama's line nested deep": `{"message":{"content":"Hi","tool_calls":${nested(4_000, '[', ']')}},"done":true}\n`,
  'F71: a number of tool calls': `${delta(`{"tool_calls":[${Array.from({ length: 10_000 }, (_, index) => `{"index":${index},"id":"c${index}","function":{"name":"f","arguments":"{}"}}`).join()}]}`)}${stop}`,
  'F72: a page of brackets': '<'.repeat(120_000),
  'F72: a page of titles': '<title'.repeat(100_000),
  'a wide document': `{"choices":[${'{},'.repeat(500_000)}{}]}`,
  'a document of ever new keys': `{"choices":[],"x":[${Array.from({ length: 100_000 }, (_, index) => `{"k${index}":1}`).join()}]}`,
  'a number without end': `{"response":${'9'.repeat(1_000_000)}}`,
  'an answer in NUL bytes': '\0'.repeat(100_000),
  'a stream of lone CRs': `data: {\r${'\r'.repeat(100_000)}`,
  'a stream of events without data': 'event: x\n\n'.repeat(50_000),
  'a finish that is an object': event('{"choices":[{"delta":null,"finish_reason":{"a":[]},"logprobs":"x"}],"usage":7}'),
  'choices of everything but choices': event('{"choices":[null,1,"x",[],{"index":0,"delta":"x"}],"id":{},"model":[]}'),
}

test.for(Object.keys(hostile).flatMap(what => names.map(name => [what, name] as const)))(
  "%s, at %s: it is that target's failure, soon, and the next one answers",
  async ([what, name], { server }) => {
    const { url } = await server(raw(hostile[what]!))
    await using client = createClient({ chain: [targets[name](url), fakeTarget('Hi.')] })
    const before = process.cpuUsage()
    const result = await client.generate({
      prompt: 'Hi',
      ...(name === 'deepseek' ? { tools: { f: { inputSchema: z.any() } } } : {}),
    })
    const { user } = process.cpuUsage(before)
    expect(result.text).toBe('Hi.')
    expect(result.attempts[0]?.outcome).toBe('failed')
    expect(result.attempts[0]?.reason).toMatch(/^(?:malformed-response|invalid-output|empty|truncated|overloaded|server-error)$/)
    // the server of the test lives in this process too
    expect(user / 1000).toBeLessThan(1_500)
  },
)

test.for([
  ['F70: nested deep, for a recursive schema', nested(4_000, '{"child":', '}', '{}')],
  ['F73: objects that are none', '{a}'.repeat(300_000)],
  ['F73: brackets that do not match', '[}'.repeat(450_000)],
  ['F73: objects that only begin like one', '{""}'.repeat(220_000)],
  ['F73: strings without end', '{"'.repeat(450_000)],
  ['F73: backslashes', `{"${'\\'.repeat(900_000)}`],
] as const)('typed answers, %s: invalid-output, soon', async ([, text], { server }) => {
  const { url } = await server(raw(`${delta(`{"content":${quoted(text)}}`)}${stop}`))
  await using client = createClient({ chain: [vllm('r1', { baseURL: url, retry: 0 })] })
  for (const ask of [
    async () => client.generate({ prompt: 'Hi', output: tree }),
    async () => (await client.stream({ prompt: 'Hi', output: tree })).result(),
  ]) {
    const before = process.cpuUsage()
    const error: unknown = await ask().catch((thrown: unknown) => thrown)
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1_500)
    const failures = (error as { failures?: ProviderError[]; failure?: ProviderError }).failures ?? [
      (error as { failure: ProviderError }).failure,
    ]
    expect(failures[0]?.reason).toBe('invalid-output')
  }
})

test.for([
  ['signs that begin nothing', '<'.repeat(900_000)],
  ['beginnings in code marks', '`<tool_call>'.repeat(100_000)],
  ['parameters', `<function=f>${'<parameter=a>1</parameter>'.repeat(60_000)}</function>`],
  ['parameters that never close', `<function=f>${'<parameter=a>'.repeat(100_000)}`],
  ['keys that are no JSON', `<tool_call>f${'<arg_key>k</arg_key><arg_value>nul</arg_value>'.repeat(30_000)}</tool_call>`],
  ['blanks before an end that is none', `<tool_call>x${' '.repeat(900_000)}x</tool_call>`],
  ['blanks in a fence', `<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n\`\`\`json${' '.repeat(900_000)}x<｜tool▁call▁end｜>`],
] as const)('F54, F71: markup of tool calls, %s: read soon, and the call ends', async ([, text], { server }) => {
  const { baseURL } = await server(raw(`${delta(`{"content":${quoted(text)}}`)}${stop}`))
  await using client = createClient({ chain: [vllm('r1', { baseURL, retry: 0 }), fakeTarget('Hi.')] })
  const before = process.cpuUsage()
  const { attempts } = await client.generate({ prompt: 'Hi', tools: { f: { inputSchema: z.any() } } })
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(1_500)
  expect(attempts.at(-1)?.outcome).toBe('answered')
})

test('F71: fragments that name their call each are put together in linear time', async ({ server }) => {
  const fragment = delta('{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":" "}}]}')
  const begin = delta('{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"a\\":1"}}]}')
  const end = delta('{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}')
  const { baseURL } = await server(raw(`${begin}${fragment.repeat(30_000)}${end}${stop}`))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  const before = process.cpuUsage()
  const { toolCalls } = await client.generate({ prompt: 'Hi', tools: { f: { inputSchema: z.object({ a: z.number() }) } } })
  expect(toolCalls.map(({ input }) => input)).toEqual([{ a: 1 }])
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(2_500)
})

test("whatever a reply is made of, the call ends with an answer of the next target, or with this one's (R115)", async ({
  server,
}) => {
  const piece = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...Object.values(hostile).map(text => text.slice(0, 300))) },
    anyText(200),
    fc.jsonValue().map(value => event(JSON.stringify(value))),
    fc.jsonValue().map(value => delta(JSON.stringify(value))),
    fc.jsonValue().map(value => `${JSON.stringify({ message: value, response: value, done: true })}\n`),
    fc
      .tuple(fc.constantFrom('[', '{"a":', '{"choices":[', '{"delta":'), fc.integer({ min: 1, max: 5_000 }))
      .map(([open, depth]) => open.repeat(depth)),
    fc.constantFrom(stop, event('[DONE]'), '\r', '\n\n', '\0', ': \n\n', '<html>', '\uFEFF'),
  )
  const reply = fc.array(piece, { minLength: 1, maxLength: 6 }).map(pieces => pieces.join(''))
  const { url, replyWith } = await server(raw(''))
  for (const name of names) {
    await using client = createClient({ chain: [targets[name](url), fakeTarget('Hi.')], breaker: false })
    await fc.assert(
      fc.asyncProperty(reply, fc.boolean(), async (body, isBinary) => {
        const made: Reply = raw(isBinary ? Buffer.from(body, 'latin1') : body)
        replyWith(made)
        const { attempts } = await client.generate('Hi')
        expect(attempts.at(-1)?.outcome).toBe('answered')
      }),
      { numRuns: 25 },
    )
  }
})

test('F71: a long id of an answer is not repeated in each of its calls', async ({ server }) => {
  const calls = Array.from({ length: 900 }, (_, index) => `{"index":${index},"function":{"name":"f","arguments":"{}"}}`)
  const { url } = await server(
    raw([delta('{}').replace('{', `{"id":"${'x'.repeat(100_000)}",`), delta(`{"tool_calls":[${calls.join()}]}`), stop]),
  )
  await using client = createClient({ chain: [targets.deepseek(url)] })
  const { toolCalls } = await client.generate({ prompt: 'Hi', tools: { f: { inputSchema: z.any() } } })
  expect(new Set(toolCalls.map(({ toolCallId }) => toolCallId)).size).toBe(900)
  expect(Math.max(...toolCalls.map(({ toolCallId }) => toolCallId.length))).toBeLessThan(200)
})
