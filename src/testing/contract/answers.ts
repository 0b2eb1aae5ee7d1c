import assert from 'node:assert/strict'
import type { Call, ProviderEvent, ToolCall } from '../../contract.ts'
import type { ReceivedRequest } from '../received-request.ts'
import { answer } from '../reply.ts'
import type { Conduct } from '../reply.ts'
import { assertWhole } from './contract-case.ts'
import type { Promised } from './contract-case.ts'

const text = 'Blue light is scattered more: 空は青い 😀.'
const weather = {
  call: { tools: { weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } } },
  toolCalls: [{ toolName: 'weather', input: { city: 'Köln' } }],
} as const

const signature = 'c2lnbmF0dXJlLW9mLXRoZS1jb250cmFjdA=='

function wasSent(request: ReceivedRequest | undefined): boolean {
  return request?.body.includes(signature) === true
}

/** Promises about complete answers: what a provider reads from them. */
export const answers = {
  finish: {
    name: 'emits the whole text and then exactly one finish, which is its last event',
    async check({ open }) {
      const run = await (await open(answer(text))).answer()
      assertWhole(run, text)
      assert.deepEqual(
        run.events.flatMap(event => (event.type === 'headers' ? [event.status] : [])),
        [200],
        'It must emit the status of the response exactly once.',
      )
      const finish = run.events.at(-1)
      assert.equal(finish?.type === 'finish' ? finish.finishReason : undefined, 'stop')
    },
  },
  length: {
    name: 'reports that an answer was cut off by the token limit',
    async check({ open }) {
      const run = await (await open(answer(text, { finishReason: 'length' }))).answer()
      const finish = run.events.at(-1)
      assert.equal(finish?.type === 'finish' ? finish.finishReason : undefined, 'length')
    },
  },
  usage: {
    name: 'emits the usage that the service reported',
    async check({ open }) {
      const run = await (await open(answer(text, { usage: { inputTokens: 17, outputTokens: 9, totalTokens: 26 } }))).answer()
      const finish = run.events.at(-1)
      const { inputTokens, outputTokens } = (finish?.type === 'finish' ? finish.usage : undefined) ?? {}
      assert.deepEqual({ inputTokens, outputTokens }, { inputTokens: 17, outputTokens: 9 })
    },
  },
  unreported: {
    name: 'emits no usage when the service reported none',
    async check({ open }) {
      const run = await (await open(answer(text, { usage: null }))).answer()
      assertWhole(run, text)
      const finish = run.events.at(-1)
      const figures = Object.values((finish?.type === 'finish' ? finish.usage : undefined) ?? {})
      assert.deepEqual(
        figures.filter(figure => figure !== undefined),
        [],
        'A figure that was not reported must be undefined, never 0.',
      )
    },
  },
  'tool calls': {
    name: 'emits every tool call complete, with its input parsed, before the finish',
    excuse: ({ provider }) => (provider.capabilities?.tools === false ? 'It declares that it has no tools.' : undefined),
    async check({ open }) {
      const run = await (await open(answer('', { toolCalls: weather.toolCalls }))).answer(weather.call)
      assertWhole(run, '')
      const calls = run.events.flatMap(event =>
        event.type === 'tool-call' ? [{ toolName: event.toolName, input: event.input }] : [],
      )
      assert.deepEqual(calls, weather.toolCalls)
    },
  },
  state: {
    name: 'sends the providerMetadata of a tool call back with that call, and nothing else',
    excuse: ({ provider }) => (provider.capabilities?.tools === false ? 'It declares that it has no tools.' : undefined),
    async check({ open }) {
      const toolCalls = [{ ...weather.toolCalls[0], extra: { extra_content: { service: { thought_signature: signature } } } }]
      const { server, answer: ask } = await open([answer('', { toolCalls }), answer(text), answer(text)])
      const { events } = await ask(weather.call)
      const call = events.find(event => event.type === 'tool-call')
      assert.ok(call !== undefined, 'It must emit the tool call.')
      const { type: _, providerMetadata, ...plain } = call
      const called = (calls: readonly ToolCall[]): Partial<Call> => ({
        ...weather.call,
        messages: [
          { role: 'user', content: 'Is it raining in Köln?' },
          { role: 'assistant', content: '', toolCalls: calls },
          { role: 'tool', toolCallId: call.toolCallId, toolName: call.toolName, content: 'No.' },
        ],
      })
      assertWhole(await ask(called([plain])), text)
      assert.ok(!wasSent(server.requests[1]), 'It must not send providerMetadata that the call does not contain.')
      // the service expects nothing back, so there is no metadata to check
      if (providerMetadata === undefined) return
      assert.deepEqual(JSON.parse(JSON.stringify(providerMetadata)), providerMetadata, 'The providerMetadata must be plain JSON.')
      assertWhole(await ask(called([{ ...plain, providerMetadata }])), text)
      assert.ok(wasSent(server.requests[2]), 'It must send the providerMetadata of the tool call back.')
    },
  },
  split: {
    name: 'emits the same events however the bytes are split',
    async check({ open }) {
      const said = { toolCalls: [], usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 } }
      const ways: readonly Conduct['split'][] = ['event', 'whole', 'byte', 2, 5, 61, 400]
      const { answer: ask } = await open(ways.map(split => answer(['空は', '青い 😀'], { ...said, reasoning: ['λ⁻⁴.'], split })))
      const [first, ...others] = [...ways.keys()].map(() => ask())
      const expected = merged((await first)?.events ?? [])
      for (const other of others) assert.deepEqual(merged((await other).events), expected)
    },
  },
  compressed: {
    name: 'reads a compressed answer although it did not ask for one',
    async check({ open }) {
      const { answer: ask } = await open([answer(text, { contentEncoding: 'gzip' }), answer(text, { contentEncoding: 'br' })])
      assertWhole(await ask(), text)
      assertWhole(await ask(), text)
    },
  },
  'content type': {
    name: 'reads an answer by its content, whatever the content type says',
    async check({ open }) {
      const { answer: ask } = await open([answer(text, { contentType: 'text/plain' }), answer(text, { contentType: '' })])
      assertWhole(await ask(), text)
      assertWhole(await ask(), text)
    },
  },
  queue: {
    name: 'emits queued while only keep-alives arrive, and reads the answer after them',
    async check({ open }) {
      const { ask } = await open(answer(text, { keepAlives: 3, keepAliveEveryMs: 1 }))
      const run = ask()
      await run.over
      assertWhole(run, text)
      const queued = run.events.findIndex(event => event.type === 'queued')
      const content = run.events.findIndex(event => event.type === 'text-delta')
      assert.ok(queued >= 0 && queued < content, 'A keep-alive before the first content must be emitted as `queued`.')
    },
  },
} as const satisfies Record<string, Promised>

/** Joins neighbouring deltas of one kind, because providers may cut the same text into different deltas. */
function merged(events: readonly ProviderEvent[]): readonly ProviderEvent[] {
  const whole: ProviderEvent[] = []
  for (const event of events) {
    const last = whole.at(-1)
    if (event.type === 'text-delta' && last?.type === 'text-delta')
      whole[whole.length - 1] = { ...last, text: last.text + event.text }
    else if (event.type === 'reasoning-delta' && last?.type === 'reasoning-delta')
      whole[whole.length - 1] = { ...last, text: last.text + event.text }
    else if (isSaid(event)) whole.push(event)
  }
  return whole
}

/** Excludes events with ids and headers, which differ from answer to answer. */
function isSaid(event: ProviderEvent): boolean {
  return event.type === 'text-delta' || event.type === 'reasoning-delta' || event.type === 'finish'
}
