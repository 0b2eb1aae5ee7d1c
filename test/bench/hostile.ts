/** Replies that are built to keep a client busy: valid HTTP, as large as a reply may be, and as dear to read as the form allows. */

import type { Ask, Dialect } from './jobs.ts'

export type HostileReply = {
  /** Which target asks for it. */
  readonly dialect: Dialect
  /** What the caller asks for. @default 'text' */
  readonly ask?: Ask | undefined
  /** @default 200 */
  readonly status?: number | undefined
  readonly body: () => string
}

const mebibyte = 1024 * 1024
/** With room for what stands around it. */
const most = 2 * mebibyte - 2_000

const filled = (piece: string, length = most): string => piece.repeat(Math.max(1, Math.floor(length / piece.length)))
const numbered = (make: (index: number) => string, count: number): string =>
  Array.from({ length: count }, (_, i) => make(i)).join('')
const listed = (make: (index: number) => string, count: number): string => numbered(i => `${i === 0 ? '' : ','}${make(i)}`, count)
const event = (data: string): string => `data: ${data}\n\n`
const delta = (fields: string): string => event(`{"choices":[{"index":0,"delta":${fields}}]}`)
const stop = event('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
const content = (text: string): string => delta(`{"content":${JSON.stringify(text)}}`)
/** So much of a piece that 2 MiB are full when it stands in JSON. */
const filledInJson = (piece: string): string =>
  filled(piece, Math.floor((most * piece.length) / Buffer.byteLength(JSON.stringify(piece).slice(1, -1))))
const call = (index: number, input: string): string =>
  `{"index":${index},"id":"c${index}","function":{"name":"f","arguments":${JSON.stringify(input)}}}`
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
/** A document with an answer, and with what is hostile beside it. */
const documentOf = (rest: string): string =>
  `{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"x":${rest},"y":"\\u005f"}`
const escapes = (length: number): string => filled('\\u0061', length)

/** No text is like another: V8 enters each one in a table. */
const texts = (count: number, from: number): string => listed(i => `"${from + i}"`, count)
/** Objects of a few hundred names, and hardly two with the same order of them: V8 makes a layout for each. */
const orders = (count: number, from: number): string =>
  listed(i => `{${listed(k => `"k${scattered(from + i, k)}":1`, 100)}}`, count)
const scattered = (row: number, column: number): number => (Math.imul(row * 100 + column + 1, 0x9e3779b1) >>> 8) % 495
/** What is the dearest that may be parsed in one step, or one of several parts of it. */
const dear = (parts = 1, part = 0): string =>
  `[${texts(Math.floor(49_000 / parts), 49_000 * part)},${orders(Math.floor(380 / parts), 380 * part)}]`
/** Each part is cheap by itself. All of them would take long. */
const parts = (make: (part: string, index: number) => string): readonly string[] =>
  Array.from({ length: 41 }, (_, index) => make(dear(20, index), index))

const inChat: { readonly [name: string]: string } = {
  'many empty events': filled('data: {}\n\n'),
  'many events': filled(delta('{"content":"a"}')) + stop,
  'lines without blank lines': `${filled('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n')}\n${stop}`,
  'labels of data': event(`${filled('data: ')}x`) + stop,
  'many events with a name': filled('event: x\ndata: {}\n\n'),
  'events without data': filled('event: x\n\n'),
  comments: filled(':\n\n'),
  'lone CRs': `data: {\r${filled('\r')}`,
  'blank lines': filled('\n'),
  'lines that are no fields': `data: {}\n\n${filled('x\n')}`,
  'empty documents': filled('{}\n'),
  'documents in one event': event(filled('{"a":1}')),
  'one event, nested': event(nested(most / 2)),
  'one event, wide': event(`{"choices":[${filled('{},')}{}]}`),
  'one event, lists': event(`{"choices":[],"x":[${filled('[],')}[]]}`),
  'one event, numbers': event(`{"choices":[],"x":[${filled('1,')}1]}`),
  'one event, long numbers': event(`{"choices":[],"x":[${filled(`${'9'.repeat(300)}.5e-10,`)}1]}`),
  'one event, keys': event(`{"choices":[],"x":{${listed(i => `"k${i}":1`, 180_000)}}}`),
  'one event, two varying keys': event(`{"choices":[],"x":[${listed(i => `{"k${i % 90}":1,"j${i % 100}":2}`, 93_000)}]}`),
  'one event, keys at the limit': event(`{"choices":[],"x":[${listed(i => `{"k${i % 9_900}":1,"j${i % 97}":2}`, 80_000)}]}`),
  'one event, texts': event(`{"choices":[],"x":[${texts(95_000, 0)}]}`),
  'one event, orders of keys': event(`{"choices":[],"x":[${orders(400, 0)}]}`),
  'one event, dear': event(`{"choices":[],"x":${dear()}}`),
  'documents in one event, dear': event(parts(part => `{"x":${part}}`).join('')),
  'documents on lines of one event, dear': `${parts(part => `data: {"x":${part}}\n`).join('')}\n`,
  'one event, escapes': delta(`{"content":"${escapes(most)}"}`) + stop,
  'one event, line breaks': event(`{"choices":[{"delta":{"content":"${filled('\\n')}"}}]}`) + stop,
  'one event of many lines': `${filled('data: 1\n')}\n`,
  'one event of brackets': event(`{"choices":[{"delta":{"content":"${filled('[{')}"}}]}`) + stop,
  'thoughts that open again': content(filled('<think>')) + stop,
  'thoughts that never close': content(`<think>${filled('</thin')}`) + stop,
  'thoughts in blanks': content(filled(' ')) + stop,
  'parts of content': delta(`{"content":[${listed(() => '{"type":"text","text":"a"}', 60_000)}]}`) + stop,
  'details of thought': delta(`{"reasoning_details":[${listed(() => '{"text":"a"}', 100_000)}]}`) + stop,
  'a finish reason of many words': event(`{"choices":[{"delta":{"content":"a"},"finish_reason":"${filled('max ')}"}]}`),
  'log probabilities': filled(
    `data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.1,"top_logprobs":[]}]}}]}\n\n`,
  ),
}

const inDocument: { readonly [name: string]: string } = {
  'a document, wide': `{"choices":[${filled('{},')}{}]}`,
  'a document, keys': documentOf(`[${listed(i => `{"k${i % 9_900}":1,"j${i % 97}":2}`, 80_000)}]`),
  'a document, lists': documentOf(`[${filled('[],')}[]]`),
  'a document, prototypes': documentOf(`[${listed(() => '{"__proto__":{},"constructor":{"prototype":1}}', 40_000)}]`),
  'a document, dear': documentOf(dear(2)),
  'a list of encoded chunks, dear': `[${parts(part => JSON.stringify(`{"choices":[],"x":${part}}`)).join()}]`,
  'a document that is cut': `{"choices":[${filled('"a",')}`,
  'a page': filled('<'),
  'a page of titles': filled('<title'),
  'text of backslashes': `{"${filled('\\')}`,
  'NUL bytes': filled('\0'),
}

const inOutput: { readonly [name: string]: string } = {
  'output, escapes': `{"text":"${filledInJson('\\u0061')}"}`,
  'output, escapes apart': `{"text":"${filledInJson('\\u0061a')}"}`,
  'output, line breaks': `{"text":"${filledInJson('\\n')}"}`,
  'output, nested': nested(most / 2),
  'output, wide': `{"list":[${filledInJson('{},')}{}]}`,
  'output, lists': `{"list":[${listed(() => '[]', 200_000)}]}`,
  'output, objects': `{"list":[${listed(() => '{"a":1}', 75_000)}]}`,
  'output, different keys': `{"list":[{${listed(i => `"k${i}":1`, 120_000)}}]}`,
  'output, keys at the limit': `{"list":[${listed(i => `{"k${i % 9_900}":1,"j${i % 97}":2}`, 60_000)}]}`,
  'output, dear': `{"list":${dear()}}`,
  'output, dear, and a word': `{"list":${dear()}} x`,
  'output, dear in parts': parts(part => `${part}x `).join(''),
  'output, a list of ones': `{"list":[${filledInJson('1,')}1]}`,
  'output, long numbers': `{"list":[${filledInJson(`${'9'.repeat(300)}.5e-10,`)}1]}`,
  'output, words': `{"list":[${filledInJson('null,')}1]}`,
  'output, short texts': `{"list":[${filledInJson('"",')}""]}`,
  'output, braces': filledInJson('{a}'),
  'output, brackets': filledInJson('[}'),
  'output, openings': filledInJson('{"'),
  'output, empty ones': filledInJson('{""}'),
  'output, backslashes': `{"${filledInJson('\\')}`,
  'output, fences': filledInJson('```json\n{}\n'),
}

const inTree: { readonly [name: string]: string } = {
  'a tree, deep': `${'{"child":'.repeat(100_000)}{}${'}'.repeat(100_000)}`,
  'a tree, within the depth': `{"children":[${listed(() => `${'{"child":'.repeat(200)}{}${'}'.repeat(200)}`, 500)}]}`,
  'a tree, wide': `{"children":[${listed(() => '{"child":null}', 100_000)}]}`,
}

const inTools: { readonly [name: string]: string } = {
  'tool calls': delta(`{"tool_calls":[${listed(i => call(i, '{}'), 20_000)}]}`) + stop,
  'tool calls within the limit': delta(`{"tool_calls":[${listed(i => call(i, `{"a":"${escapes(700)}"}`), 999)}]}`) + stop,
  'fragments of a tool call':
    filled(delta('{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":" "}}]}')) + stop,
  'fragments in one event': delta(`{"tool_calls":[${listed(() => '{"index":0,"function":{"arguments":"1"}}', 40_000)}]}`) + stop,
  'pieces that name their call in one event': delta(`{"tool_calls":[${listed(() => call(0, '{"a":1}'), 26_000)}]}`) + stop,
  'input encoded twice': delta(`{"tool_calls":[${call(0, JSON.stringify(`{"a":"${filled('\\"', most / 12)}"}`))}]}`) + stop,
  'names in pieces': delta(`{"tool_calls":[${listed(() => '{"index":0,"function":{"name":"f"}}', 50_000)}]}`) + stop,
  'input of escapes': delta(`{"tool_calls":[${call(0, `{"a":"${escapes(most / 2)}"}`)}]}`) + stop,
  'input, dear': delta(`{"tool_calls":[${call(0, `{"a":${dear(2)}}`)}]}`) + stop,
  'input, dear, as an object': delta(`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"a":${dear(2)}}}}]}`) + stop,
  'inputs, dear': delta(`{"tool_calls":[${parts((part, i) => call(i, `{"a":${part}}`)).join()}]}`) + stop,
  'inputs of one call, dear': delta(`{"tool_calls":[${parts(part => call(0, `{"a":${part}}`)).join()}]}`) + stop,
  'markup, dear': content(`<tool_call>{"name":"f","arguments":{"a":${dear(4)}}}</tool_call>`) + stop,
  'markup of many, dear': content(parts(part => `<tool_call>{"name":"f","arguments":{"a":${part}}}</tool_call>`).join('')) + stop,
  'markup of parameters, dear':
    content(`<function=f>${parts((part, i) => `<parameter=a${i}>${part}</parameter>`).join('')}</function>`) + stop,
  'input, wide': delta(`{"tool_calls":[${call(0, `{"a":[${filled('{},', most / 2)}{}]}`)}]}`) + stop,
  'input, cut': delta(`{"tool_calls":[${call(0, `{"a":[${filled('[', most / 2)}`)}]}`) + stop,
  'markup of tools': content(filledInJson('<tool_call>{"name":"f","arguments":{}}</tool_call>')) + stop,
  'markup that never closes': content(filledInJson('<tool_call>')) + stop,
  'markup of special tokens': content(filledInJson('<｜tool▁calls▁begin｜>')) + stop,
  'markup of parameters': content(`<function=f>${filledInJson('<parameter=a>1</parameter>')}</function>`) + stop,
  'markup of blanks': content(`<tool_call>${filledInJson(' ')}</tool_call>`) + stop,
  'markup of blanks in a fence':
    content(`<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n\`\`\`json${filled(' ', most)}x<｜tool▁call▁end｜>`) + stop,
  'markup of keys': content(`<tool_call>f${filledInJson('<arg_key>k</arg_key><arg_value>v</arg_value>')}</tool_call>`) + stop,
  'markup of one list': content(`[TOOL_CALLS][${listed(() => '{"name":"f","arguments":{}}', 50_000)}]`) + stop,
  'markup of one list, by name': content(`functools[${listed(() => '{"name":"f","arguments":{}}', 50_000)}]`) + stop,
  'markup with fences': content(filledInJson('<tool_call>f\n```json\n{}\n```</tool_call>')) + stop,
  'markup that begins often': content(filledInJson('<')) + stop,
  'markup that is a text': content(filledInJson('`<tool_call>')) + stop,
}

const inLines: { readonly [name: string]: string } = {
  'many lines': filled('{"message":{"content":"a"},"done":false}\n'),
  'blank lines of NDJSON': filled('\n'),
  'one line, wide': `{"message":{"content":"a","tool_calls":[${filled('{},')}{}]},"done":true}\n`,
  'one line, dear': `{"message":{"content":"a","tool_calls":[{"function":{"name":"f","arguments":{"a":${dear()}}}}]},"done":true}\n`,
  'one line, tool calls': `{"message":{"content":"a","tool_calls":[${listed(() => '{"function":{"name":"f","arguments":{"a":1}}}', 40_000)}]},"done":true}\n`,
}

const inText: { readonly [name: string]: string } = {
  'a text, dear': `{"response":"a","x":${dear()}}`,
  'a first of many texts, dear': `{"response":"a","done":false,"x":${dear()}}\n{"response":"a","done":true}`,
  'a text of events': filled('data: {"text":["a"]}\n\n'),
  'a text that grows': numbered(i => event(`{"text":["${'a'.repeat(i)}"]}`), 2_000),
  'a text, thoughts': JSON.stringify({ response: `${filled('<think>')}</think>` }),
}

const inThought: { readonly [name: string]: string } = {
  'a thought that is the answer, dear': delta(`{"reasoning_content":${JSON.stringify(`{"list":${dear(2)}}`)}}`) + stop,
}

const shapes = (dialect: Dialect, bodies: { readonly [name: string]: string }, ask?: Ask) =>
  Object.entries(bodies).map(([name, body]) => [name, { dialect, ask, body: () => body }] as const)

/** Up to 2 MiB each, but for the last, which are as large as one event and one document may be. */
export const hostileReplies = (): ReadonlyMap<string, HostileReply> =>
  new Map<string, HostileReply>([
    ...shapes('chat', inChat),
    ...shapes('json', inDocument),
    ...Object.entries(inOutput).map(
      ([name, text]) => [name, { dialect: 'chat', ask: 'typed', body: () => content(text) + stop }] as const,
    ),
    ...Object.entries(inTree).map(
      ([name, text]) => [name, { dialect: 'chat', ask: 'tree', body: () => content(text) + stop }] as const,
    ),
    ...shapes('chat', inTools, 'tools'),
    ...shapes('chat', inThought, 'typed'),
    ...shapes('ollama', inLines),
    ...shapes('text', inText),
    ['an error page', { dialect: 'chat', status: 500, body: () => filled('<') }],
    ['an error, nested', { dialect: 'chat', status: 400, body: () => filled('{"error":') }],
    [
      'an error that quotes blanks',
      { dialect: 'chat', status: 400, body: () => `{"error":{"message":"set stream to false '${filled(' ')}"}}` },
    ],
    ['an event of 8 MiB', { dialect: 'chat', body: () => delta(`{"content":"${escapes(8 * mebibyte - 1_000)}"}`) + stop }],
    [
      'an event of 8 MiB, wide',
      { dialect: 'chat', body: () => event(`{"choices":[],"x":[${filled('1,', 8 * mebibyte - 1_000)}1]}`) },
    ],
    ['a document of 16 MiB', { dialect: 'json', body: () => documentOf(`"${escapes(16 * mebibyte - 1_000)}"`) }],
    ['a document of 16 MiB, wide', { dialect: 'json', body: () => documentOf(`[${filled('[1],', 16 * mebibyte - 1_000)}1]`) }],
  ])
