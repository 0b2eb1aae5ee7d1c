import { gunzipSync, brotliDecompressSync, inflateSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { answer, garbage, hold, json, raw, status } from '../../../src/testing/index.ts'
import type { Conduct } from '../../../src/testing/index.ts'
import { rawConnection, rawRequest, requestText } from '../../helpers/raw-request.ts'
import type { RawResponse } from '../../helpers/raw-request.ts'
import { test } from '../../helpers/vitest.ts'

const asksForStream = { model: 'm', stream: true }
const asksForJson = { model: 'm' }

/** Three chunks. */
const words = ['One ', 'two ', 'three.']

/** The body without its chunk sizes, for bodies of which no line looks like one. */
function bodyOf({ text }: RawResponse): string {
  const start = text.indexOf('\r\n\r\n') + 4
  const body = text.slice(start)
  return /transfer-encoding: chunked/i.test(text) ? body.replaceAll(/(^|\r\n)[0-9a-f]+\r\n/g, '').replace(/\r\n$/, '') : body
}

/** The content of the deltas that arrived whole. */
function wordsOf(response: RawResponse): readonly string[] {
  return [...bodyOf(response).matchAll(/"delta":\{"content":"([^"]+)"/g)].map(match => match[1] ?? '')
}

describe('a cut', () => {
  test.for([
    ['fin', 'fin'],
    ['rst', 'ECONNRESET'],
  ] as const)(
    'by %s ends the connection after the chunks that were asked for, without the end of the body',
    async ([cutBy, end], { server }) => {
      for (const [cutAfterChunks, arrived] of [
        [0, []],
        [2, ['One ', 'two ']],
        [99, words],
      ] as const) {
        const { url, requests } = await server(answer(words, { cutAfterChunks, cutBy }))
        const response = await rawRequest(url, asksForStream)
        expect(response.end).toBe(end)
        expect(wordsOf(response)).toEqual(arrived)
        expect(response.text).not.toMatch(/"finish_reason":"stop"|\[DONE\]|\r\n0\r\n\r\n$/)
        expect(requests[0]?.aborted).toBe(false)
      }
    },
  )

  test('by end finishes the body as HTTP wants it, and keeps the connection', async ({ server }) => {
    const { url } = await server(answer(words, { cutAfterChunks: 2, cutBy: 'end' }))
    const connection = await rawConnection(url)
    connection.send(requestText(asksForStream))
    const text = await connection.until(soFar => soFar.endsWith('\r\n0\r\n\r\n'))
    expect(text).toContain('two ')
    expect(text).not.toMatch(/three|"finish_reason":"stop"|\[DONE\]/)
    connection.leave()
  })

  test('after the finish leaves out only [DONE]', async ({ server }) => {
    const { url } = await server(answer(words, { cutAfterChunks: 'finish' }))
    const response = await rawRequest(url, asksForStream)
    expect(response.text).toContain('"finish_reason":"stop"')
    expect(response.text).not.toMatch(/\[DONE\]|\r\n0\r\n\r\n$/)
  })

  test('of a body that is no stream comes after its first half', async ({ server }) => {
    const { url } = await server(json('ü'.repeat(100), { cutAfterChunks: 1 }))
    const { end, reads, text } = await rawRequest(url, asksForJson)
    expect(text).toMatch(/content-length: 202\r\n/i)
    expect(Buffer.concat(reads).subarray(text.indexOf('\r\n\r\n') + 4)).toHaveLength(101)
    expect(end).toBe('fin')
  })
})

describe('keep-alives', () => {
  test('are comments in a stream and blank lines before a JSON', async ({ server }) => {
    const { url } = await server(answer('Hi', { keepAlives: 3, keepAliveEveryMs: 1, closeIdleAfterMs: 0 }))
    expect(bodyOf(await rawRequest(url, asksForStream))).toMatch(/^(: keep-alive\n\n){3}data: \{/)
    expect(bodyOf(await rawRequest(url, asksForJson))).toMatch(/^\n{3}\{"id"/)
  })

  test('can be those of another service', async ({ server }) => {
    const { url } = await server(answer('Hi', { keepAlives: 1, keepAlive: ': OPENROUTER PROCESSING\n\n', closeIdleAfterMs: 0 }))
    expect(bodyOf(await rawRequest(url, asksForStream))).toMatch(/^: OPENROUTER PROCESSING\n\ndata: \{/)
  })

  test('go on until the promise settles, also when it is rejected', async ({ server }) => {
    const gate = hold()
    const { url } = await server(
      answer('Hi', { keepAliveUntil: gate.released.then(() => Promise.reject(new Error('no'))), keepAliveEveryMs: 1 }),
    )
    const connection = await rawConnection(url)
    connection.send(requestText(asksForStream))
    await connection.until(text => (text.match(/: keep-alive/g) ?? []).length > 5)
    gate.release()
    expect(await connection.until(text => text.includes('[DONE]'))).toContain('"content":"Hi"')
    connection.leave()
  })

  test('without end stop when the client leaves', async ({ server }) => {
    const running = await server(answer('Hi', { keepAliveForMs: Infinity, keepAliveEveryMs: 1 }))
    const connection = await rawConnection(running.url)
    connection.send(requestText(asksForStream))
    await connection.until(text => text.includes(': keep-alive'))
    connection.leave()
    await running.untilAllClosed()
    expect(running.requests[0]?.aborted).toBe(true)
  })

  test('for a time come before the answer', async ({ server }) => {
    const { url } = await server(answer('Hi', { keepAliveForMs: 15, keepAliveEveryMs: 2, closeIdleAfterMs: 0 }))
    expect(bodyOf(await rawRequest(url, asksForStream))).toMatch(/^(: keep-alive\n\n){2,}data: \{/)
  })
})

describe('silence', () => {
  test('before the headers lasts until the promise settles', async ({ server }) => {
    const gate = hold()
    const running = await server([answer('Late', { headersUntil: gate.released, closeIdleAfterMs: 0 }), status(503)])
    const late = rawRequest(running.url)
    await running.untilRequests(1)
    expect((await fetch(running.url, { method: 'POST' })).status).toBe(503)
    expect(running.requests[0]?.closedAt).toBeUndefined()
    gate.release()
    expect((await late).text).toContain('Late')
  })

  test('before the headers lasts for its time: a later request overtakes it', async ({ server }) => {
    const running = await server([answer('Late', { headersAfterMs: 1_000, closeIdleAfterMs: 0 }), status(503)])
    const order: string[] = []
    const late = rawRequest(running.url).then(() => order.push('late'))
    await running.untilRequests(1)
    await fetch(running.url, { method: 'POST' }).then(() => order.push('at once'))
    await late
    expect(order).toEqual(['at once', 'late'])
  })

  test('before the first chunk comes after headers, keep-alives and role', async ({ server }) => {
    const gate = hold()
    const { url } = await server(answer(words, { keepAlives: 1, firstChunkUntil: gate.released, firstChunkAfterMs: 1 }))
    const connection = await rawConnection(url)
    connection.send(requestText(asksForStream))
    const before = await connection.until(text => text.includes('"role":"assistant"'))
    expect(before).toMatch(/HTTP\/1.1 200[^]*: keep-alive[^]*"role":"assistant"/)
    expect(before).not.toContain('One')
    gate.release()
    await connection.until(text => text.includes('[DONE]'))
    connection.leave()
  })

  test.for(['event', 'whole', 'byte', 7] as const)(
    'in the middle starts when all chunks before it were written, split by %s',
    async (split, { server }) => {
      const gate = hold()
      const { url } = await server(answer(words, { stallAfterChunks: 2, stallUntil: gate.released, split }))
      const connection = await rawConnection(url)
      connection.send(requestText(asksForStream))
      const before = (await connection.until(text => text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').includes('two '))).replaceAll(
        /\r\n[0-9a-f]+\r\n/g,
        '',
      )
      expect(before).not.toContain('three')
      gate.release()
      await connection.until(text => text.endsWith('\r\n0\r\n\r\n'))
      connection.leave()
    },
  )

  test('for a time and then a cut: the order at one place is stall, error, cut', async ({ server }) => {
    const { url } = await server(answer(words, { stallAfterChunks: 2, stallForMs: 5, cutAfterChunks: 2 }))
    const response = await rawRequest(url, asksForStream)
    expect([wordsOf(response), response.end]).toEqual([['One ', 'two '], 'fin'])
  })

  test('after the finish holds back [DONE]', async ({ server }) => {
    const { url } = await server(answer('Hi', { stallAfterChunks: 'finish' }))
    const connection = await rawConnection(url)
    connection.send(requestText(asksForStream))
    expect(await connection.until(text => text.includes('"finish_reason":"stop"'))).not.toContain('[DONE]')
    connection.leave()
  })

  test('between chunks leaves them in their order', async ({ server }) => {
    const { url } = await server(answer(words, { chunkEveryMs: 40, split: 'whole', closeIdleAfterMs: 0 }))
    const response = await rawRequest(url, asksForStream)
    expect(wordsOf(response)).toEqual(words)
    expect(response.reads.length).toBeGreaterThan(3)
  })
})

describe('an error inside a 200', () => {
  test.for([
    ['deepseek', /data: \{"error":\{"message":"Service is too busy[^\n]+\n\n$/],
    ['vllm', /data: \{"error":\{[^\n]+"code":500\}\}\n\ndata: \[DONE\]\n\n$/],
    [
      'sglang',
      /data: \{"error":\{"object":"error","message":"The request queue is full."[^\n]+"code":503\}\}\n\ndata: \[DONE\]\n\n$/,
    ],
    ['ollama', /data: \{"error":\{[^\n]+"type":"api_error"[^\n]+\n\n$/],
  ] as const)('takes the place of the rest, as %s sends it', async ([format, pattern], { server }) => {
    const { url } = await server(answer(words, { errorAfterChunks: 1, closeIdleAfterMs: 0 }), { format })
    const body = bodyOf(await rawRequest(url, asksForStream))
    expect(body).toContain('One')
    expect(body).not.toContain('two')
    expect(body).toMatch(pattern)
  })

  test('can be any object, and be followed by [DONE] or not', async ({ server }) => {
    const error = { code: 50_508, message: 'System is too busy now.' }
    const { url } = await server([
      answer(words, { errorAfterChunks: 0, error, errorThen: 'done', closeIdleAfterMs: 0 }),
      answer(words, { errorAfterChunks: 0, error, errorThen: 'end', closeIdleAfterMs: 0 }),
    ])
    const sent = `data: ${JSON.stringify({ error })}\n\n`
    expect(bodyOf(await rawRequest(url, asksForStream)).endsWith(`${sent}data: [DONE]\n\n`)).toBe(true)
    expect(bodyOf(await rawRequest(url, asksForStream)).endsWith(sent)).toBe(true)
  })

  test('is the whole body of an answer that is no stream', async ({ server }) => {
    const { url } = await server(answer(words, { errorAfterChunks: 0 }))
    const response = await fetch(url, { method: 'POST', body: '{}' })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ error: { type: 'service_unavailable_error' } })
  })
})

describe('a damaged body', () => {
  const damages: readonly (readonly [string, Conduct, RegExp])[] = [
    [
      'one malformed chunk among good ones',
      { malformedChunk: 1 },
      /One [^]*\n\ndata: \{"id[^\n]*[^}]\n\ndata: [^]*three[^]*\[DONE\]\n\n$/,
    ],
    ['half a JSON and the end', { truncatedJson: true }, /two [^]*\n\ndata: \{"id[^\n]*[^}\n]$/],
    ['no finish', { noFinish: true }, /three[^]*"finish_reason":null[^]*\n\ndata: \[DONE\]\n\n$/],
    ['no [DONE]', { noDone: true }, /"finish_reason":"stop"[^\n]+\n\n$/],
    ['nothing at all', { emptyBody: true }, /^$/],
    ['blank lines only', { blankBody: true }, /^\n+$/],
  ]

  test.for(damages)('of a stream: %s', async ([, conduct, pattern], { server }) => {
    const { url } = await server(answer(words, { ...conduct, closeIdleAfterMs: 0 }))
    expect(bodyOf(await rawRequest(url, asksForStream))).toMatch(pattern)
  })

  test.for([
    ['half a JSON', { truncatedJson: true }, /^\{"id"[^]*[^}]$/],
    ['no finish reason', { noFinish: true }, /"finish_reason":null\}\]\}$/],
    ['nothing at all', { emptyBody: true }, /^$/],
    ['blank lines only', { blankBody: true }, /^\n+$/],
  ] as const)('of a JSON: %s, and the body ends as HTTP wants it', async ([, conduct, pattern], { server }) => {
    const { url } = await server(answer(words, conduct))
    const response = await fetch(url, { method: 'POST', body: '{}' })
    expect(response.status).toBe(200)
    expect(await response.text()).toMatch(pattern)
  })
})

describe('the bytes', () => {
  test.for([
    ['event', 5],
    ['whole', 1],
  ] as const)('are written by %s', async ([split, writes], { server }) => {
    const { url } = await server(answer(['äö', 'ü'], { split, closeIdleAfterMs: 0 }))
    const { text } = await rawRequest(url, asksForStream)
    expect([...text.matchAll(/(?:^|\r\n)([1-9a-f][0-9a-f]*)\r\n/g)]).toHaveLength(writes)
  })

  test('are written one by one, and a character of several is torn apart', async ({ server }) => {
    const { url, requests } = await server(answer(['ü'], { split: 'byte', closeIdleAfterMs: 0 }))
    const { text, reads } = await rawRequest(url, asksForStream)
    expect([...text.matchAll(/\r\n1\r\n/g)]).toHaveLength(requests[0]?.bytesSent ?? 0)
    expect(reads.length).toBeGreaterThan(100)
    const whole = await (await fetch(url, { method: 'POST', body: JSON.stringify(asksForStream) })).text()
    expect(whole).toContain('"content":"ü"')
  })

  test.for([2, 3, 64])('are written %i at a time, wherever an event ends', async (split, { server }) => {
    const { url } = await server(answer(words, { split, closeIdleAfterMs: 0 }))
    const { text } = await rawRequest(url, asksForStream)
    const sizes = [...text.slice(text.indexOf('\r\n\r\n') + 2).matchAll(/\r\n([1-9a-f][0-9a-f]*)\r\n/g)].map(match =>
      Number.parseInt(match[1] ?? '', 16),
    )
    expect(new Set(sizes.slice(0, -1))).toEqual(new Set([split]))
  })

  test('that were recorded go out as they are, each piece in a write of its own', async ({ server }) => {
    const pieces = ['data: {"a', Buffer.from([0xf0, 0x9f]), Buffer.from([0x98, 0x80]), '"}\n\n']
    const { url } = await server(raw(pieces, { contentType: 'text/event-stream', closeIdleAfterMs: 0 }))
    const { reads, text } = await rawRequest(url)
    expect(text).toMatch(/content-type: text\/event-stream/i)
    const body = Buffer.concat(reads).subarray(text.indexOf('\r\n\r\n') + 4)
    const written = pieces.map(piece =>
      Buffer.concat([Buffer.from(`${Buffer.from(piece).length}\r\n`), Buffer.from(piece), Buffer.from('\r\n')]),
    )
    expect(body.equals(Buffer.concat([...written, Buffer.from('0\r\n\r\n')]))).toBe(true)
  })

  test.for([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['deflate', inflateSync],
  ] as const)(
    'can be compressed with %s although nobody asked for it, and still stream',
    async ([contentEncoding, decompress], { server }) => {
      const gate = hold()
      const { url } = await server([
        answer(words, { contentEncoding, stallAfterChunks: 1, stallUntil: gate.released }),
        json({ text: words.join('') }, { contentEncoding }),
      ])
      const stream = await fetch(url, { method: 'POST', body: JSON.stringify(asksForStream) })
      let text = ''
      for await (const piece of stream.body ?? []) {
        text += Buffer.from(piece).toString()
        if (text.includes('One ')) gate.release()
      }
      expect(text).toMatch(/One [^]*three[^]*\[DONE\]/)
      const { reads } = await closing(url)
      const bytes = Buffer.concat(reads)
      const chunked = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
      const start = chunked.indexOf('\r\n') + 2
      expect(JSON.parse(decompress(chunked.subarray(start, chunked.lastIndexOf('\r\n0\r\n'))).toString())).toEqual({
        text: words.join(''),
      })
    },
  )

  test('can be no HTTP at all', async ({ server }) => {
    const { url } = await server(garbage('SSH-2.0-OpenSSH_9.9\r\n'))
    expect(await rawRequest(url)).toMatchObject({ text: 'SSH-2.0-OpenSSH_9.9\r\n', end: 'fin' })
  })
})

describe('status and headers', () => {
  test('are what the reply says, over what the format sends', async ({ server }) => {
    const { url } = await server([
      status(429, undefined, { 'Retry-After': '7', 'x-ds-trace-id': undefined }),
      answer('Hi', { status: 206, contentType: 'application/octet-stream' }),
      answer('Hi', { contentType: '' }),
      status(302, '', { location: 'http://127.0.0.1:1/' }),
    ])
    const limited = await fetch(url, { method: 'POST' })
    expect([limited.status, limited.headers.get('retry-after'), limited.headers.has('x-ds-trace-id')]).toEqual([429, '7', false])
    const odd = await fetch(url, { method: 'POST' })
    expect([odd.status, odd.headers.get('content-type')]).toEqual([206, 'application/octet-stream'])
    expect((await fetch(url, { method: 'POST' })).headers.get('content-type')).toBeNull()
    expect((await fetch(url, { method: 'POST', redirect: 'manual' })).headers.get('location')).toBe('http://127.0.0.1:1/')
  })

  test('a body of text, bytes, nothing or any value', async ({ server }) => {
    const { url } = await server([
      status(401, 'Authorization Required'),
      status(504, new TextEncoder().encode('<html>')),
      status(503, ''),
      status(400, { detail: 'no' }),
    ])
    const bodies: string[] = []
    for (let count = 0; count < 4; count += 1) bodies.push(await (await fetch(url, { method: 'POST' })).text())
    expect(bodies).toEqual(['Authorization Required', '<html>', '', '{"detail":"no"}'])
  })
})

test('a client that stops reading blocks the server, which holds no more than the sockets do', async ({ server }) => {
  const running = await server(raw(forEver(), { contentType: 'text/plain' }))
  const connection = await rawConnection(running.url)
  connection.pause()
  connection.send(requestText())
  const request = await running.untilRequests(1)
  await request.untilBlocked()
  const sent = request.bytesSent
  await request.untilBlocked()
  expect(request.bytesSent).toBe(sent)
  connection.leave()
  await request.closed
})

test('untilBlocked is rejected when the client read everything', async ({ server }) => {
  const running = await server(json({}))
  await (await fetch(running.url, { method: 'POST' })).text()
  await expect(running.requests[0]?.untilBlocked()).rejects.toThrow('without a pause')
})

function* forEver(): Generator<string> {
  for (;;) yield 'x'.repeat(65_536)
}

/** A request after whose answer the connection is closed. */
async function closing(url: string): Promise<RawResponse> {
  const connection = await rawConnection(url)
  connection.send(requestText().replace('host: test', 'host: test\r\nconnection: close'))
  return connection.ended
}

test('an error of the wire format names the time that the reply wants, in the header where that is where the service names it', async ({
  server,
}) => {
  const { url } = await server([{ ...status(503), retryAfterMs: 1_200 }, status(503)])
  const named = await fetch(url, { method: 'POST' })
  const plain = await fetch(url, { method: 'POST' })
  expect([named.status, named.headers.get('retry-after'), plain.headers.get('retry-after')]).toEqual([503, '2', null])
  expect(await named.json()).toEqual(await plain.json())
})
