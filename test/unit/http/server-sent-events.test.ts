import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import { decodePiece, type TextDecoding } from '../../../src/http/body.ts'
import { endEvents, eventReader, readEvents } from '../../../src/http/server-sent-events.ts'

type Seen = { data: string; event: string | undefined } | 'comment'

/** Reads bytes as they come from a socket: decoded, then parsed. */
function read(pieces: readonly Buffer[], maxEventBytes?: number): Seen[] {
  const seen: Seen[] = []
  const decoding: TextDecoding = { carried: undefined }
  const reader = eventReader(seen, {
    onData: (owner, data, event) => owner.push({ data, event }),
    onComment: owner => owner.push('comment'),
    maxEventBytes,
  })
  for (const piece of pieces) {
    const text = decodePiece(decoding, piece)
    if (text !== '') readEvents(reader, text)
  }
  endEvents(reader)
  return seen
}

const BOM = '\uFEFF'
const long = 'x'.repeat(2048)

/**
 * The cases of web-platform-tests/wpt eventsource/format-*.any.js as data: bytes in, data of the events out. Where the standard drops
 * a last event that no blank line follows, it is read here.
 */
const cases: readonly [name: string, input: string, expected: readonly string[], events?: readonly (string | undefined)[]][] = [
  ['newlines', 'data:test\r\ndata\ndata:test\r\n\r', ['test\n\ntest']],
  [
    'field parsing',
    'data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n',
    ['\0\n 2\n1\n3\n\n4'],
  ],
  ['comments', `data:1\r:\0\n:\r\ndata:2\n:${long}\rdata:3\n:data:fail\r:${long}\ndata:4\n\n`, ['1\n2\n3\n4']],
  ['a byte order mark', `${BOM}data:1\n\n${BOM}data:2\n\ndata:3\n\n`, ['1', '3']],
  ['two byte order marks', `${BOM}${BOM}data:1\n\ndata:2\n\ndata:3\n\n`, ['2', '3']],
  ['a byte order mark behind plain events', `data: 1\n\n${BOM}data: 2\n\ndata: 3\n\n`, ['1', '3']],
  ['data', 'data:\n\ndata\ndata\n\ndata:test\n\n', ['', '\n', 'test']],
  ['an end without a blank line (R42)', 'data:test1\n\nid:test\ndata:test2', ['test1', 'test2']],
  ['an end in a line end', 'data:test1\r\n\r\ndata:test2\r', ['test1', 'test2']],
  ['leading space', 'data:\ttest\rdata: \ndata:test\n\n', ['\ttest\n\ntest']],
  ['unknown fields', 'data:test\n data\ndata\nfoobar:xxx\njustsometext\n:c\ndata:test\n\n', ['test\n\ntest']],
  ['NUL', 'data:\0\n\n', ['\0']],
  ['UTF-8', 'data:ok…€😀\n\n', ['ok…€😀']],
  ['an event type', 'event:error\ndata:x\n\ndata:y\n\n', ['x', 'y'], ['error', undefined]],
  ['an empty event type', 'event: \ndata:x\n\n', ['x'], [undefined]],
  ['an id, also one with NUL', 'id:1\ndata:x\n\nid:2\0\ndata:y\n\n', ['x', 'y']],
  ['retry, also with other than digits', 'retry:1000\ndata:x\n\nretry:1000x\ndata:y\n\n', ['x', 'y']],
  ['no data, no event', 'event:ping\n\nid:1\n\n\n\n', []],
  ['nothing', '', []],
]

test.each(cases)('%s: whole, at every split in two, and byte by byte', (_, input, data, events = data.map(() => undefined)) => {
  const bytes = Buffer.from(input)
  const expected = data.map((text, index) => ({ data: text, event: events[index] }))
  const comments = (pieces: readonly Buffer[]) => read(pieces).filter(seen => seen === 'comment').length
  const messages = (pieces: readonly Buffer[]) => read(pieces).filter(seen => seen !== 'comment')
  const whole = comments([bytes])
  expect(messages([bytes])).toEqual(expected)
  for (let cut = 0; cut <= bytes.length; cut++) {
    const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
    expect(messages(pieces)).toEqual(expected)
    expect(comments(pieces)).toBe(whole)
  }
  const single = [...bytes].map(byte => Buffer.of(byte))
  expect(messages(single)).toEqual(expected)
  expect(comments(single)).toBe(whole)
})

test('any stream, cut anywhere, gives the same events', () => {
  const line = fc.constantFrom(
    'data: {"a":"ä€😀"}',
    'data: plain\n',
    `${BOM}data: x\n`,
    'data:',
    'data: x',
    ': keep-alive',
    ':',
    'event: e',
    'id: 1',
    'foo',
    '',
    '',
    '',
  )
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
    .map(lines => Buffer.from(lines.flat().join('')))
  fc.assert(
    fc.property(stream, fc.array(fc.nat({ max: 400 }), { maxLength: 10 }), (bytes, cuts) => {
      const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
      const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
      expect(read(pieces)).toEqual(read([bytes]))
    }),
    { numRuns: 500 },
  )
})

test('each comment is told, with or without a space or a text (R45)', () => {
  expect(read([Buffer.from(': keep-alive\n\n:\n\n:x\n')])).toEqual(['comment', 'comment', 'comment'])
})

test.each([
  ['one line', 'data: '.padEnd(200, 'x')],
  ['many lines of one event', 'data: xxxxxxxxx\n'.repeat(20)],
  ['a comment', ':'.padEnd(200, 'x')],
])('an event that grows without end is reason malformed-response: %s', (_, input) => {
  const pieces = (input.match(/[^]{1,10}/g) ?? []).map(piece => Buffer.from(piece))
  let error: unknown
  try {
    read(pieces, 100)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(ProviderError)
  expect(error).toMatchObject({ reason: 'malformed-response', message: expect.stringContaining('larger than') })
})

test('a stream of many small events has no bound', () => {
  expect(
    read(
      Array.from({ length: 100 }, () => Buffer.from('data: 12345678\n\n')),
      50,
    ),
  ).toHaveLength(100)
})

test('what a handler throws comes out of write', () => {
  const error = new Error('in band')
  const reader = eventReader(undefined, {
    onData() {
      throw error
    },
    onComment() {},
  })
  expect(() => readEvents(reader, 'data: x\n\n')).toThrow(error)
})

test('plain events that come as a whole need no parser; what follows the first other one is left to it', () => {
  const seen: string[] = []
  const reader = eventReader(seen, { onData: (owner, data) => owner.push(data), onComment() {} })
  readEvents(reader, 'data: a\n\ndata: b\n\n')
  readEvents(reader, 'data: c\n\n')
  endEvents(reader)
  expect([seen, reader.parser]).toEqual([['a', 'b', 'c'], undefined])
  readEvents(reader, 'data: d\n\ndata: e\n')
  expect([seen, reader.parser === undefined]).toEqual([['a', 'b', 'c', 'd'], false])
  readEvents(reader, '\ndata: f\n\n')
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('JSON that is no field is told in its place among the events to who wants to know, however it is cut (F2)', () => {
  const object = '{"a":"x}\\n{",\n "b":{}}'
  const stream = `data: 1\n\n${object}\ndata: 2\n{}\n{"c":3}{"e":4}\n\nerror: {"d":4}\ndata: {\ndata: }\n\n{not JSON\n\ndata: 5\n\n{"cut":`
  const told = (pieces: readonly string[]) => {
    const seen: string[] = []
    const onSeen = (owner: string[], text: string) => void owner.push(text)
    const reader = eventReader(seen, { onData: onSeen, onComment() {}, onOther: (owner, text) => owner.push(`bare ${text}`) })
    for (const piece of pieces) readEvents(reader, piece)
    endEvents(reader)
    return seen
  }
  const all = ['1', `bare ${object}`, '2', 'bare {}', 'bare {"c":3}', 'bare {"e":4}', 'bare error: {"d":4}', '{\n}', '5']
  expect(told([stream])).toEqual(all)
  const ended = (end: string) => told([`data: 1${end}${end}{"a":2}${end}{"b":3}${end}data: 4${end}${end}`])
  for (const end of ['\n', '\r\n', '\r']) expect(ended(end)).toEqual(['1', 'bare {"a":2}', 'bare {"b":3}', '4'])
  for (let cut = 1; cut < stream.length; cut += 1) {
    // a line is known by its beginning, which must arrive as a whole
    if (/(?:\ner{0,2}|\nerro|\nerror:? ?|\n\{)$/.test(stream.slice(0, cut)) && !stream.startsWith('"', cut)) continue
    expect(told([stream.slice(0, cut), stream.slice(cut)])).toEqual(all)
  }
})

test('an object without a field that grows without end is reason malformed-response', () => {
  const reader = eventReader(undefined, { onData() {}, onComment() {}, onOther() {}, maxEventBytes: 100 })
  const grow = () => {
    for (let index = 0; index < 20; index += 1) readEvents(reader, index === 0 ? '{"a":"' : 'xxxxxxxxxx')
  }
  expect(grow).toThrow(/larger than/)
})

test('a whole line of JSON that is no field is told to who wants to know', () => {
  const handlers = { onData() {}, onComment() {} }
  const told = (lines: string) => {
    const seen: string[] = []
    readEvents(eventReader(seen, { ...handlers, onOther: (owner, line) => owner.push(line) }), lines)
    expect(() => readEvents(eventReader(seen, handlers), lines)).not.toThrow()
    return seen
  }
  expect(told('data: x\nretry: soon\njust some text\nfoobar: xxx\n\n')).toEqual([])
  expect(told('data: x\n\n{"error":1}\r\n')).toEqual(['{"error":1}'])
  expect(told('event: x\nerror: {"code":500}\n\n')).toEqual(['error: {"code":500}'])
  expect(told('data: {\ndata: }\n\n')).toEqual([])
})
