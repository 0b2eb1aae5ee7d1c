import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { createToolCalls } from '../../../../src/providers/chat-completions/tool-calls.ts'
import { delta, replayText, stream, summaryOf } from './replay.ts'

function collect(...deltas: readonly unknown[]) {
  const events: ProviderEvent[] = []
  const calls = createToolCalls({ emit: event => events.push(event), createId: position => `made-${position}` })
  for (const fragments of deltas) calls.add(fragments)
  const streamed = events.length
  const fault = calls.close()
  return { deltas: events.slice(0, streamed), calls: events.slice(streamed), fault }
}

const named = (fields: object, name: string, input: unknown) => ({ ...fields, function: { name, arguments: input } })
const more = (fields: object, text: string) => ({ ...fields, function: { arguments: text } })
const call = (toolCallId: string, toolName: string, input: unknown) => ({ type: 'tool-call', toolCallId, toolName, input })

test('pieces of two calls may come interleaved, told apart by index (R125)', () => {
  const { calls } = collect(
    [named({ index: 0, id: 'a' }, 'x', '{"n"'), named({ index: 1, id: 'b' }, 'y', '')],
    [more({ index: 1 }, '{"m":2'), more({ index: 0 }, ':1}')],
    [more({ index: 1 }, '}')],
  )
  expect(calls).toEqual([call('a', 'x', { n: 1 }), call('b', 'y', { m: 2 })])
})

test('pieces may be told apart by id alone (R125)', () => {
  const { calls } = collect(
    [named({ id: 'a' }, 'x', '{"n"')],
    [named({ id: 'b' }, 'y', '{')],
    [more({ id: 'a' }, ':1}')],
    [more({ id: 'b' }, '}')],
  )
  expect(calls).toEqual([call('a', 'x', { n: 1 }), call('b', 'y', {})])
})

test('pieces without index and id belong to the last call', () => {
  const { calls } = collect([named({}, 'x', '{"n":')], [more({}, '1}')], [named({}, 'x', '{"n":2}')])
  expect(calls).toEqual([call('made-0', 'x', { n: 1 }), call('made-1', 'x', { n: 2 })])
})

test('calls that are all numbered 0 are told apart by id, or by being whole', () => {
  const byId = collect(
    [named({ index: 0, id: 'a' }, 'x', '{}')],
    [named({ index: 0, id: 'b' }, 'x', '{"n":')],
    [more({ index: 0 }, '2}')],
  )
  expect(byId.calls).toEqual([call('a', 'x', {}), call('b', 'x', { n: 2 })])
  const byWhole = collect([named({ index: 0 }, 'x', '{"n":1}')], [named({ index: 0 }, 'y', '{"n":2}')])
  expect(byWhole.calls).toEqual([call('made-0', 'x', { n: 1 }), call('made-1', 'y', { n: 2 })])
})

test('a call that is sent again, whole, at the end is the same call', () => {
  const { calls } = collect(
    [named({ index: 0, id: 'a' }, 'x', '{"n"')],
    [more({ index: 0 }, ':1}')],
    [named({ index: 0, id: 'a' }, 'x', '{"n":1}')],
  )
  expect(calls).toEqual([call('a', 'x', { n: 1 })])
})

test('a server that repeats the name with every piece sends one call', () => {
  const { calls, deltas } = collect([named({ index: 0, id: 'a' }, 'x', '{"n"')], [named({ index: 0, id: 'a' }, 'x', ':1}')])
  expect(calls).toEqual([call('a', 'x', { n: 1 })])
  expect(deltas.map(event => 'inputText' in event && event.inputText)).toEqual(['{"n"', ':1}'])
})

test('a name that comes late holds the pieces back until then', () => {
  const { deltas, calls } = collect(
    [more({ index: 0, id: 'a' }, '{"n"')],
    [named({ index: 0 }, 'x', ':1')],
    [more({ index: 0 }, '}')],
  )
  expect(deltas).toEqual([
    { type: 'tool-call-delta', toolCallId: 'a', toolName: 'x', inputText: '{"n":1' },
    { type: 'tool-call-delta', toolCallId: 'a', toolName: 'x', inputText: '}' },
  ])
  expect(calls).toEqual([call('a', 'x', { n: 1 })])
})

test.each(['', ' ', 'null', '{}'])('the input %j is none', input => {
  expect(collect([named({ index: 0, id: 'a' }, 'x', input)]).calls).toEqual([call('a', 'x', {})])
})

test.each(['{', '{"city":"Par', '{"a":1}}', '[1]', '"{}"', '5', 'undefined', '{"a":1} {"b":2}'])(
  'the input %j is no input, and never becomes {} (R126)',
  input => {
    const { calls, fault } = collect([named({ index: 0, id: 'a' }, 'good', '{}'), named({ index: 1, id: 'b' }, 'bad', input)])
    expect(calls).toEqual([])
    expect(fault).toContain("'bad'")
    expect(fault).not.toContain('city')
  },
)

test('a call without a name is no call', () => {
  expect(collect([more({ index: 0, id: 'a' }, '{}')])).toMatchObject({ calls: [], fault: 'a tool call has no name' })
})

test('an input may come as an object', () => {
  expect(collect([named({ index: 0, id: 'a' }, 'x', { n: [1] })]).calls).toEqual([call('a', 'x', { n: [1] })])
})

test.each([null, 5, 'x', {}, [null], [5], [[]], ['x']])('fragments that are none are passed over: %j', fragments => {
  expect(collect(fragments)).toEqual({ deltas: [], calls: [], fault: undefined })
})

test('keys that reach a prototype do not get through', () => {
  const text =
    '{"__proto__":{"bad":1},"\\u005f_proto__":{"bad":1},"constructor":{"prototype":{"bad":1}},"in":{"__proto__":{"bad":1},"n":1}}'
  const [made] = collect([named({ index: 0, id: 'a' }, 'x', text)]).calls
  const { input } = made as { input: object }
  expect(JSON.stringify(input)).toBe('{"in":{"n":1}}')
  expect(Object.getPrototypeOf(input)).toBe(Object.prototype)
})

test('a constructor that is only a word stays', () => {
  expect(collect([named({ index: 0, id: 'a' }, 'x', '{"constructor":"Ford"}')]).calls).toEqual([
    call('a', 'x', { constructor: 'Ford' }),
  ])
})

test('while it streams there are only deltas; the calls come whole, before the finish, after the text (R126)', () => {
  const body = stream(
    delta({ content: 'Let me see.' }),
    delta({ tool_calls: [named({ index: 0, id: 'a' }, 'x', '{"n"')] }),
    delta({ tool_calls: [more({ index: 0 }, ':1}')] }),
    delta({}, 'stop'),
    '[DONE]',
  )
  const { events } = replayText(body)
  expect(events.map(event => event.type)).toEqual([
    'response-metadata',
    'text-delta',
    'tool-call-delta',
    'tool-call-delta',
    'tool-call',
    'finish',
  ])
  expect(events.at(-1)).toMatchObject({ finishReason: 'tool-calls' })
})

test('calls that are whole when the limit cuts the answer are handed out, with the reason', () => {
  const body = stream(delta({ tool_calls: [named({ index: 0, id: 'a' }, 'x', '{}')] }, 'length'), '[DONE]')
  expect(summaryOf(replayText(body))).toEqual({ toolCalls: [{ toolCallId: 'a', toolName: 'x', input: {} }], finish: 'length' })
})
