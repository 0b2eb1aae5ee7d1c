import assert from 'node:assert/strict'
import type { ProviderEvent } from '../../contract.ts'
import { answer } from '../reply.ts'
import type { Conduct } from '../reply.ts'
import { assertWhole } from './contract-case.ts'
import type { Promised } from './contract-case.ts'

const text = 'Blue light is scattered more: 空は青い 😀.'
const weather = {
  call: { tools: { weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } } },
  toolCalls: [{ toolName: 'weather', input: { city: 'Köln' } }],
} as const

/** What a provider makes of answers that are whole. */
export const answers = {
  finish: {
    name: 'tells the whole text and then exactly one finish, which is its last event',
    async check({ open }) {
      const run = await (await open(answer(text))).answer()
      assertWhole(run, text)
      assert.deepEqual(
        run.events.flatMap(event => (event.type === 'headers' ? [event.status] : [])),
        [200],
        'It must tell the status of the response once.',
      )
      const finish = run.events.at(-1)
      assert.equal(finish?.type === 'finish' ? finish.finishReason : undefined, 'stop')
    },
  },
  length: {
    name: 'tells that an answer was cut off by the token limit',
    async check({ open }) {
      const run = await (await open(answer(text, { finishReason: 'length' }))).answer()
      const finish = run.events.at(-1)
      assert.equal(finish?.type === 'finish' ? finish.finishReason : undefined, 'length')
    },
  },
  usage: {
    name: 'tells the usage that the service reported',
    async check({ open }) {
      const run = await (await open(answer(text, { usage: { inputTokens: 17, outputTokens: 9, totalTokens: 26 } }))).answer()
      const finish = run.events.at(-1)
      const { inputTokens, outputTokens } = (finish?.type === 'finish' ? finish.usage : undefined) ?? {}
      assert.deepEqual({ inputTokens, outputTokens }, { inputTokens: 17, outputTokens: 9 })
    },
  },
  unreported: {
    name: 'tells no figures when the service reported none',
    async check({ open }) {
      const run = await (await open(answer(text, { usage: null }))).answer()
      assertWhole(run, text)
      const finish = run.events.at(-1)
      const figures = Object.values((finish?.type === 'finish' ? finish.usage : undefined) ?? {})
      assert.deepEqual(
        figures.filter(figure => figure !== undefined),
        [],
        'What was not reported is undefined, never 0.',
      )
    },
  },
  'tool calls': {
    name: 'tells every tool call whole, with its input parsed, before the finish',
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
  split: {
    name: 'tells the same however the bytes are split',
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
    name: 'tells that it is queued while only keep-alives come, and reads the answer behind them',
    async check({ open }) {
      const { ask } = await open(answer(text, { keepAlives: 3, keepAliveEveryMs: 1 }))
      const run = ask()
      await run.over
      assertWhole(run, text)
      const queued = run.events.findIndex(event => event.type === 'queued')
      const content = run.events.findIndex(event => event.type === 'text-delta')
      assert.ok(
        queued >= 0 && queued < content,
        'A keep-alive while the request waits must be told as `queued`, before the first content.',
      )
    },
  },
} as const satisfies Record<string, Promised>

/** Neighbouring deltas of one kind as one: how text is cut into deltas may differ. */
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

/** Ids and headers differ from answer to answer. */
function isSaid(event: ProviderEvent): boolean {
  return event.type === 'text-delta' || event.type === 'reasoning-delta' || event.type === 'finish'
}
