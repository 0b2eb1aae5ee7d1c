import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { readAnswer } from '../../../../src/providers/chat-answer/read-answer.ts'
import { anyText } from '../../../helpers/any-text.ts'
import { delta, replay, replayText, stream, summaryOf } from './replay.ts'

const answer = (content: unknown, finishReason: unknown = 'stop') =>
  JSON.stringify({
    id: 'x',
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finishReason }],
  })

test('metadata is told once, with the id, the model and the request id', () => {
  const body = stream(
    delta({ role: 'assistant', content: '' }),
    delta({ content: 'a' }),
    delta({ content: 'b' }, 'stop'),
    '[DONE]',
  )
  const { events } = replayText(body, { headers: { 'x-ds-trace-id': 't-1' } })
  expect(events).toEqual([
    { type: 'response-metadata', id: 'x', model: 'm', requestId: 't-1' },
    { type: 'text-delta', text: 'a' },
    { type: 'text-delta', text: 'b' },
    { type: 'finish', finishReason: 'stop', usage: undefined, providerMetadata: undefined },
  ])
})

test('without id and model the request id is told before the finish', () => {
  const body = stream({ choices: [{ delta: { content: 'a' }, finish_reason: 'stop' }] }, '[DONE]')
  const { events } = replayText(body, { headers: { 'x-request-id': 'r' } })
  expect(events.map(event => event.type)).toEqual(['text-delta', 'response-metadata', 'finish'])
})

test('every failure has the request id and the status', () => {
  const { error } = replayText(stream(delta({ content: 'a' })), { headers: { 'x-request-id': 'r' } })
  expect(error).toMatchObject({ reason: 'truncated', status: 200, requestId: 'r' })
})

test('write answers what the reader of the events said last', () => {
  const answers = [true, false, false, true]
  const reader = readAnswer({ status: 200, headers: {}, emit: () => answers.shift() ?? true })
  expect(reader.write(stream(delta({ content: 'a' })))).toBe(false)
  expect(reader.write(': comment\n\n')).toBe(true)
  expect(reader.write(stream(delta({ content: 'b' }), delta({ content: 'c' })))).toBe(true)
})

test('what emit throws comes through untouched', () => {
  const abort = new Error('left')
  const reader = readAnswer({
    status: 200,
    headers: {},
    emit: () => {
      throw abort
    },
  })
  expect(() => reader.write(stream(delta({ content: 'a' })))).toThrow(abort)
})

test('keep-alives count until something of an answer has come', () => {
  const body = `\n\n: keep-alive\n\n${stream(delta({ role: 'assistant' }))}: still\n\n${stream(delta({ reasoning: 'a' }))}: late\n\n`
  expect(summaryOf(replayText(body))).toMatchObject({ queued: 4 })
})

test('an empty event is a sign of life (R45)', () => {
  const body = `data:\n\n${stream(delta({ content: 'a' }, 'stop'), '[DONE]')}`
  expect(summaryOf(replayText(body))).toEqual({ queued: 1, text: 'a', finish: 'stop' })
})

test('blanks before the text belong to the text, and are no content of their own (R44, R47)', () => {
  const body = stream(delta({ content: '\n' }), delta({ content: ' ' }), delta({ content: 'a' }), delta({ content: ' ' }, 'stop'))
  const texts = replayText(body).events.flatMap(event => (event.type === 'text-delta' ? [event.text] : []))
  expect(texts).toEqual(['\n a', ' '])
})

test('what comes after [DONE] is not read', () => {
  const body = stream(delta({ content: 'a' }, 'stop'), '[DONE]', delta({ content: 'b' }), 'no json')
  expect(summaryOf(replayText(body))).toEqual({ text: 'a', finish: 'stop' })
})

test('the answer to a request for a stream may be one JSON document, whatever its content type', () => {
  const headers = { 'content-type': 'text/event-stream' }
  expect(summaryOf(replayText(answer('Hello'), { headers }))).toEqual({ text: 'Hello', finish: 'stop' })
})

test('a whole document without a finish reason is whole', () => {
  expect(summaryOf(replayText(answer('Hello', null)))).toEqual({ text: 'Hello', finish: 'other' })
})

test.for([null, '', '  \n', [], [{ type: 'text', text: ' ' }]])('a document with the content %j is empty (R44)', content => {
  expect(replayText(answer(content)).error?.reason).toBe('empty')
})

test('to go on from a text that was whole, nothing is an answer too', () => {
  expect(summaryOf(replayText(answer(''), { allowEmpty: true }))).toEqual({ finish: 'stop' })
  const thought = stream(delta({ reasoning: 'a' }, 'stop'))
  expect(replayText(thought, { allowEmpty: true }).error?.reason).toBe('empty')
})

test.each(['[]', '[1]', '"text"', '{"ok":true}', 'true', '12', '<html>', 'hello', 'data', 'error code: 524'])(
  'a 200 with %s is malformed (R115)',
  body => {
    expect(replayText(body).error?.reason).toBe('malformed-response')
  },
)

test.each(['[1]', '1', '"text"', 'text'])('an event %s in the stream is malformed (R115)', event => {
  expect(replayText(stream(delta({ content: 'a' }), event, delta({}, 'stop'))).error?.reason).toBe('malformed-response')
})

test('plain text that names a cause is taken at its word', () => {
  expect(replayText('Service is too busy').error?.reason).toBe('overloaded')
})

test('a refusal after text is a finish by the filter, and can be read', () => {
  const { events } = replayText(stream(delta({ content: 'Well,' }), delta({ refusal: 'no.' }), delta({}, 'stop'), '[DONE]'))
  expect(events.at(-1)).toMatchObject({ finishReason: 'content-filter', providerMetadata: { refusal: 'no.' } })
})

test('an error in the last frame beats the finish in it (R21)', () => {
  const body = stream(delta({ content: 'a' }), {
    error: { message: 'x', code: 429 },
    choices: [{ delta: {}, finish_reason: 'stop' }],
  })
  expect(summaryOf(replayText(body))).toEqual({ text: 'a', failure: 'rate-limit' })
})

test.each([null, '', {}, false])('`error: %j` is no error', error => {
  const body = stream({ ...delta({ content: 'a' }, 'stop'), error }, '[DONE]')
  expect(summaryOf(replayText(body))).toEqual({ text: 'a', finish: 'stop' })
})

test('extra fields reach the caller without keys that reach a prototype', () => {
  const raw = `data: {"id":"x","choices":[{"delta":{"content":"a","annotations":[{"__proto__":{"bad":1},"url":"u"}]},"finish_reason":"stop"}],"__proto__":{"bad":1},"tier":"é"}\n\n`
  const { events } = replayText(raw)
  const { providerMetadata } = events.at(-1) as { providerMetadata: object }
  expect(providerMetadata).toEqual({ tier: 'é', annotations: [{ url: 'u' }] })
  expect(JSON.stringify(providerMetadata)).not.toContain('bad')
})

test('log probabilities of all chunks are put together', () => {
  const chunk = (token: string, finish: string | null) => ({
    choices: [{ delta: { content: token }, logprobs: { content: [{ token }] }, finish_reason: finish }],
  })
  const { events } = replayText(stream(chunk('a', null), chunk('b', 'stop'), '[DONE]'))
  expect(events.at(-1)).toMatchObject({ providerMetadata: { logprobs: { content: [{ token: 'a' }, { token: 'b' }] } } })
})

test('a stream of reasoning in each dialect gives the same events', () => {
  const details = [{ type: 'reasoning.text', text: 'why' }]
  const dialects = [{ reasoning_content: 'why' }, { reasoning: 'why' }, { thinking: 'why' }, { reasoning_details: details }]
  const same = [
    ...dialects,
    { reasoning: 'why', reasoning_content: 'why' },
    { reasoning_content: '', reasoning: 'why' },
    { reasoning: null, reasoning_content: null, reasoning_details: details },
    { content: [{ type: 'thinking', thinking: 'why' }] },
  ]
  for (const fields of same) {
    const body = stream(delta(fields), delta({ content: 'so' }, 'stop'), '[DONE]')
    expect(summaryOf(replayText(body))).toEqual({ reasoning: 'why', text: 'so', finish: 'stop' })
  }
})

test('whatever an answer holds, it gives events or one ProviderError (R115)', () => {
  const odd = fc.jsonValue({ maxDepth: 3 })
  const field = fc.constantFrom(
    'delta',
    'message',
    'content',
    'reasoning',
    'reasoning_details',
    'tool_calls',
    'finish_reason',
    'index',
    'refusal',
    'text',
    'function_call',
    'logprobs',
    'usage',
    'error',
    'id',
    'arguments',
    'function',
    'name',
  )
  const part = fc.dictionary(field, odd)
  const chunk = fc.oneof(
    odd,
    fc.record(
      {
        choices: fc.oneof(odd, fc.array(fc.oneof(part, fc.record({ delta: part, finish_reason: odd }), odd))),
        usage: odd,
        error: odd,
      },
      { requiredKeys: [] },
    ),
  )
  const body = fc.oneof(
    fc.array(chunk, { maxLength: 4 }).map(chunks => stream(...chunks.map(one => JSON.stringify(one)), '[DONE]')),
    chunk.map(one => JSON.stringify(one)),
    anyText(),
    fc
      .array(fc.constantFrom('data:', ' ', '\n', '\r', ':', '{', '}', '"', '[DONE]', 'event: error', 'a'))
      .map(parts => parts.join('')),
  )
  fc.assert(
    // replay throws anything that is no ProviderError
    fc.property(body, fc.constantFrom(true, 'opened' as const, undefined), (text, thinkTags) => {
      const { events, error } = replayText(text, { thinkTags })
      expect(error === undefined ? events.at(-1)?.type : error.name).toMatch(/^(?:finish|ProviderError)$/)
    }),
    { numRuns: 500 },
  )
})

test('however its events are written and cut, an answer is whole or a failure, never a part of itself (F2)', () => {
  const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
  const piece = fc.constantFrom(
    'Hello',
    ' there',
    '{"a":1}\n',
    ' data: x\n\n',
    '😀',
    ' [DONE]',
    '</think>',
    ' {',
    '}',
    '\nerror: {}\n',
  )
  const ways: readonly ((json: string) => string)[] = [
    json => `data: ${json}\n\n`,
    json => `data:${json}\n\n`,
    json => `data: ${json}\n`,
    json => `${json}\n\n`,
    json => `${json}\n`,
    json => json,
    json => `${JSON.stringify(JSON.parse(json), null, 1)}\n`,
    json => `${JSON.stringify(JSON.parse(json), null, 1).replace(/^/gm, 'data: ')}\n\n`,
    json => `event: chunk\nid: 7\ndata: ${json}\nretry: 5\n\n`,
    json => `: alive\n\ndata: ${json}\n: still\n\n`,
    json => `data: data: ${json}\n\n`,
    json => `data: [${json}]\n\n`,
    json => `data: ${JSON.stringify(json)}\n\n`,
  ]
  const written = fc.tuple(piece, fc.constantFrom(...ways))
  const end = fc.constantFrom('', 'data: [DONE]', 'data: [DONE]\n\n')
  const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 8 })
  fc.assert(
    fc.property(fc.array(written, { minLength: 1, maxLength: 6 }), lineEnd, end, cuts, (pieces, eol, last, places) => {
      const texts = pieces.map(([text]) => text)
      const events = pieces.map(([text, write]) => write(JSON.stringify(delta({ content: text }))))
      const body = Buffer.from([...events, ways[0]!(JSON.stringify(delta({}, 'stop'))), last].join('').replaceAll('\n', eol))
      const ends = [...places.map(place => place % body.length).toSorted((a, b) => a - b), body.length]
      const { events: got, error } = replay(ends.map((to, at) => body.subarray(ends[at - 1] ?? 0, to)))
      if (error === undefined) expect(summaryOf({ events: got, error }).text).toBe(texts.join(''))
    }),
    { numRuns: 1_000 },
  )
})

test('a token costs one event and no more', () => {
  const events: ProviderEvent[] = []
  const reader = readAnswer({ status: 200, headers: {}, emit: event => events.push(event) > 0 })
  reader.write(stream(delta({ role: 'assistant', content: '' })))
  const before = events.length
  for (let at = 0; at < 100; at += 1) reader.write(stream(delta({ content: 'a' })))
  expect(events.length - before).toBe(100)
})

test('of an endless error page 65,536 characters are kept, and the rest is not even looked at', () => {
  const reader = readAnswer({ status: 503, headers: {}, emit: () => true })
  let looked = 0
  /** A text that counts when somebody joins it to another one. */
  const part = (text: string) => ({ [Symbol.toPrimitive]: () => ((looked += 1), text) }) as unknown as string
  expect(reader.write(part('x'.repeat(65_535)))).toBe(true)
  reader.write(part('y'))
  expect(looked).toBe(2)
  for (let count = 0; count < 10; count += 1) expect(reader.write(part('z'.repeat(65_536)))).toBe(true)
  expect(looked).toBe(2)
  expect(() => reader.end()).toThrow(expect.objectContaining({ reason: 'overloaded', status: 503 }))
})
