import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { createToolCalls, type ToolCallsOptions } from '../../../../src/providers/chat-answer/tool-calls.ts'
import { delta, replayText, stream, summaryOf } from './replay.ts'
import { leastMs } from '../../../helpers/least-ms.ts'

function collect(...deltas: readonly unknown[]) {
  return collectFor({}, ...deltas)
}

function collectFor(options: Partial<ToolCallsOptions>, ...deltas: readonly unknown[]) {
  const events: ProviderEvent[] = []
  const calls = createToolCalls({ emit: event => events.push(event), createId: position => `made-${position}`, ...options })
  for (const fragments of deltas) calls.add(fragments)
  const fault = calls.close()
  return {
    deltas: events.filter(event => event.type === 'tool-call-delta'),
    calls: events.filter(event => event.type === 'tool-call'),
    fault,
  }
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

// ---- of the field (F50 to F53)

const textOf = (deltas: readonly ProviderEvent[]) => deltas.map(event => ('inputText' in event ? event.inputText : '')).join('')

test.each(['{}', ' { } ', 'null', '""', '[]'])('F50: %j before the real input is thrown away, and nobody is shown it', first => {
  const oslo = '{"city":"Oslo"}'
  const ways = [
    collect([named({ index: 0, id: 'a' }, 'x', first)], [more({ index: 0 }, '{"ci')], [more({ index: 0 }, 'ty":"Oslo"}')]),
    collect([named({ index: 0, id: 'a' }, 'x', first + oslo)]),
    collect([named({ index: 0, id: 'a' }, 'x', first)], [named({ index: 0, id: 'a' }, 'x', oslo)]),
    collect(
      ...`${first}${oslo}`
        .split('')
        .map((piece, at) => [at === 0 ? named({ index: 0, id: 'a' }, 'x', piece) : more({ index: 0 }, piece)]),
    ),
  ]
  for (const { calls, deltas } of ways) {
    expect(calls).toEqual([call('a', 'x', { city: 'Oslo' })])
    expect(textOf(deltas)).toBe(oslo)
  }
})

test('F50: an empty list of a gateway in PHP is an empty input', () => {
  expect(collect([named({ index: 0, id: 'a' }, 'x', '[]')]).calls).toEqual([call('a', 'x', {})])
  expect(collect([{ index: 0, id: 'a', function: { name: 'x', arguments: [] } }]).calls).toEqual([call('a', 'x', {})])
})

test('F50: an empty input behind the real one is none, and an input that is empty is told at the end', () => {
  const behind = collect([named({ index: 0, id: 'a' }, 'x', '{"n":1}')], [more({ index: 0 }, '{}')])
  expect(behind.calls).toEqual([call('a', 'x', { n: 1 })])
  const empty = collect([named({ index: 0, id: 'a' }, 'x', '{')], [more({ index: 0 }, '}')])
  expect([textOf(empty.deltas), empty.calls]).toEqual(['{}', [call('a', 'x', {})]])
})

test.each([
  ['whole', [[named({ index: 0, id: 'a' }, 'x', '{"n":1}')], [named({ index: 0, id: 'a' }, 'y', '{"m":2}')]]],
  [
    'in pieces',
    [
      [named({ index: 0, id: 'a' }, 'x', '{"n"')],
      [more({ index: 0 }, ':1}')],
      [named({ index: 0, id: 'a' }, 'y', '')],
      [more({ index: 0 }, '{"m":2}')],
    ],
  ],
  ['in one chunk', [[named({ id: 'a' }, 'x', '{"n":1}'), named({ id: 'a' }, 'y', '{"m":2}')]]],
])('F51: another name under the same index and id is another call, %s', (_, chunks) => {
  const { calls } = collectFor({ tools: ['x', 'y'] }, ...chunks)
  expect(calls).toEqual([call('a', 'x', { n: 1 }), call('made-1', 'y', { m: 2 })])
})

test('F52: two calls that share an id get ids of their own before they are handed out', () => {
  const { calls, deltas } = collect(
    [named({ index: 0, id: 'a' }, 'x', '{"n"'), named({ index: 1, id: 'a' }, 'x', '{"n"')],
    [more({ index: 1, id: 'a' }, ':2}'), more({ index: 0, id: 'a' }, ':1}')],
  )
  expect(calls).toEqual([call('a', 'x', { n: 1 }), call('made-1', 'x', { n: 2 })])
  expect(new Set(deltas.map(event => 'toolCallId' in event && event.toolCallId))).toEqual(new Set(['a', 'made-1']))
})

test('F52: whole calls that share an id and have no index are two, where their inputs differ', () => {
  const { calls } = collect(
    [named({ id: 'a' }, 'x', '{"n":1}')],
    [named({ id: 'a' }, 'x', { n: 2 })],
    [named({ id: 'a' }, 'x', '{ "n": 2 }')],
  )
  expect(calls).toEqual([call('a', 'x', { n: 1 }), call('made-1', 'x', { n: 2 })])
})

test('F51: a whole call that comes again at its index, without an id, is no second one', () => {
  const { calls } = collect(
    [named({ index: 0 }, 'x', '{"n"')],
    [more({ index: 0 }, ':1}')],
    [named({ index: 1 }, 'x', '{"n":1}')],
    [named({ index: 0 }, 'x', '{ "n": 1 }'), named({ index: 1 }, 'x', '{"n":1}')],
  )
  expect(calls).toEqual([call('made-0', 'x', { n: 1 }), call('made-1', 'x', { n: 1 })])
  const once = collect([named({ index: 0, id: 'a' }, 'x', '{"n":1}')], [named({ index: 0 }, 'x', '{"n":1}')])
  expect(once.calls).toEqual([call('a', 'x', { n: 1 })])
})

test('F52: an id of an earlier turn is not handed out again, nor is one that was made', () => {
  const { calls } = collectFor({ takenIds: new Set(['call_0', 'made-0', 'made-0_2']) }, [
    named({ index: 0, id: 'call_0' }, 'x', '{}'),
    named({ index: 1, id: 'b' }, 'x', '{}'),
  ])
  expect(calls).toEqual([call('made-0_3', 'x', {}), call('b', 'x', {})])
})

const pieces = (...names: readonly string[]) => [
  ...names.map((name, at) => [named(at === 0 ? { index: 0, id: 'a' } : { index: 0 }, name, '')]),
  [more({ index: 0 }, '{"n":1}')],
]

test.each([
  ['in two pieces', ['get_weather'], pieces('get_', 'weather')],
  ['in many', ['get_weather'], pieces('g', 'et', '_', 'weath', 'er')],
  ['where a piece is a tool too', ['get', 'get_weather'], pieces('get', '_weather')],
  ['that grows', ['get_weather'], pieces('get_', 'get_weather')],
  ['that grows in steps', ['get_weather'], pieces('get', 'get_wea', 'get_weather')],
  ['that is repeated', ['get_weather'], pieces('get_weather', 'get_weather')],
])('F53: a name %s is one name', (_, tools, chunks) => {
  const { calls, deltas } = collectFor({ tools }, ...chunks)
  expect(calls).toEqual([call('a', 'get_weather', { n: 1 })])
  expect(deltas.every(event => 'toolName' in event && event.toolName === 'get_weather')).toBe(true)
})

test('F53: names that lead to no offered tool are not joined', () => {
  const { calls } = collectFor({ tools: ['get', 'weather'] }, ...pieces('get', 'weather'))
  expect(calls).toEqual([call('a', 'get', {}), call('made-1', 'weather', { n: 1 })])
})

test('F71: the cost of many pieces that each name their call grows with their number alone', () => {
  const collectPieces = (count: number) => {
    const { calls } = collect(
      [named({ index: 0, id: 'a' }, 'x', '{"t":"')],
      ...Array.from({ length: count }, () => [named({ index: 0, id: 'a' }, 'x', 'y'.repeat(20))]),
      [more({ index: 0 }, '"}')],
    )
    expect(calls).toHaveLength(1)
  }
  collectPieces(2_000)
  expect(leastMs(() => collectPieces(20_000), 1_000)).toBeLessThan(1_000)
})

const inputs = fc.record({
  text: fc.string(),
  list: fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant({})), { maxLength: 4 }),
})

/** The text in pieces of these lengths. */
function split(text: string, lengths: readonly number[]): string[] {
  const parts: string[] = []
  let at = 0
  for (const length of lengths) {
    parts.push(text.slice(at, at + length))
    at += length
  }
  return [...parts, text.slice(at)].filter(part => part !== '')
}

test('however the pieces of several calls are cut and mixed, each input comes whole and once', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 })
  const anyCall = fc.record({ input: inputs, lengths, placeholder: fc.constantFrom('', '{}', 'null') })
  fc.assert(
    fc.property(
      fc.array(anyCall, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat(3)),
      (all, sameId, order) => {
        const queues = all.map(({ input, lengths: cuts, placeholder }, index) =>
          split(placeholder + JSON.stringify(input), cuts).map((text, at) => {
            const fields = { index, ...(at === 0 ? { id: sameId ? 'same' : `id-${index}` } : undefined) }
            return at === 0 ? named(fields, 'tool', text) : more(fields, text)
          }),
        )
        const chunks: unknown[][] = []
        // calls begin in their order; then whichever comes
        for (const queue of queues) chunks.push([queue.shift()])
        while (queues.some(queue => queue.length > 0)) {
          const open = queues.filter(queue => queue.length > 0)
          chunks.push([open[(order.next().value ?? 0) % open.length]?.shift()])
        }
        const { calls, deltas } = collectFor({ tools: ['tool'] }, ...chunks)
        expect(calls.map(event => 'input' in event && event.input)).toEqual(all.map(({ input }) => input))
        const ids = calls.map(event => ('toolCallId' in event ? event.toolCallId : ''))
        expect(new Set(ids).size).toBe(all.length)
        for (const [at, id] of ids.entries()) {
          const own = deltas.filter(event => 'toolCallId' in event && event.toolCallId === id)
          expect(textOf(own)).toBe(JSON.stringify(all[at]?.input))
        }
      },
    ),
  )
})

test('a thousand calls are read, one more is no answer', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => named({ index, id: `i${index}` }, 'x', '{}'))
  expect(collect(many(1000)).calls).toHaveLength(1000)
  expect(() => collect(many(1001))).toThrow('more than 1000 tool calls')
})

test('an id that comes late belongs to the call that was begun without', () => {
  const { calls } = collect([named({ index: 0 }, 'x', '')], [named({ index: 0, id: 'a' }, 'x', '{"n":1}')])
  expect(calls).toEqual([call('made-0', 'x', { n: 1 })])
})

test('another id begins another call, also where the first has no input', () => {
  const { calls } = collect([named({ index: 0, id: 'a' }, 'x', '')], [named({ index: 0, id: 'b' }, 'x', '{"n":1}')])
  expect(calls).toEqual([call('a', 'x', {}), call('b', 'x', { n: 1 })])
})

test('a whole call that comes twice without any id is two calls', () => {
  const twice = named({}, 'x', '{"n":1}')
  expect(collect([twice], [twice]).calls).toEqual([call('made-0', 'x', { n: 1 }), call('made-1', 'x', { n: 1 })])
  const late = collect([named({ index: 0 }, 'x', '{"n":1}')], [named({ index: 0, id: 'b' }, 'x', '{"n":1}')])
  expect(late.calls).toEqual([call('made-0', 'x', { n: 1 }), call('b', 'x', { n: 1 })])
})

test('what follows a whole input without a name is a fault, not lost', () => {
  expect(collect([named({ index: 0, id: 'a' }, 'x', '{"n":1}')], [more({ index: 0 }, '}')]).fault).toContain("'x'")
})

test('no delta is empty but the first, and every call has one', () => {
  const { deltas } = collectFor({ tools: ['x', 'xy'] }, [named({ index: 0, id: 'a' }, 'x', '')])
  expect(deltas).toMatchObject([{ toolCallId: 'a', toolName: 'x', inputText: '' }])
  const spread = collect([named({ index: 0, id: 'a' }, 'x', '')], [more({ index: 0 }, '')], [more({ index: 0 }, '{}')])
  expect(spread.deltas.map(event => 'inputText' in event && event.inputText)).toEqual(['', '{}'])
})

test('a call without `function` around it is read', () => {
  expect(collect([{ id: 'a', name: 'x', arguments: '{"n":1}' }]).calls).toEqual([call('a', 'x', { n: 1 })])
})
