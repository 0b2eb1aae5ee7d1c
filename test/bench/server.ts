/**
 * The server of the bench: a child process of its own, so that its CPU is not the client's. It speaks HTTP/1.1 over bare sockets
 * with answers that are built once, so that it is never what a fast client waits for.
 *
 * The path says what is answered: `/json/...`, `/busy/...` (503) or `/stream/TOKENS/PACE/...` with a pace of
 * `whole` (all events in one write), `each` (one write for every event), `first` (the rest 2 ms after the first token)
 * or a number (one event every so many milliseconds), or `/hostile/NAME` (see hostile.ts). What follows, as a rule `/chat/completions`, is not looked at.
 */

import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { hostileReplies } from './hostile.ts'
import { answerEvents, answerJson, busyJson } from './wire.ts'

const jsonTokens = 27
const jsonBytes = 572

const plain = (status: string, body: string): Buffer =>
  Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)

const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n'
const lastChunk = '0\r\n\r\n'
const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

const answers: { readonly [path: string]: Buffer } = {
  json: plain('200 OK', answerJson(jsonTokens, jsonBytes)),
  busy: plain('503 Service Unavailable', busyJson),
  release: plain('200 OK', '{}'),
}

type StreamAnswer = { readonly whole: Buffer; readonly each: readonly Buffer[]; readonly start: Buffer; readonly rest: Buffer }

/** The first write holds the headers, the role and the first token: nobody has to wait for the end of the headers' packet. */
const buildStream = (tokens: number): StreamAnswer => {
  const frames = answerEvents(tokens).map(chunked)
  const start = streamHead + frames.slice(0, 2).join('')
  const rest = frames.slice(2)
  return {
    whole: Buffer.from(start + rest.join('') + lastChunk),
    each: rest.map((frame, index) => Buffer.from(index === rest.length - 1 ? frame + lastChunk : frame)),
    start: Buffer.from(start),
    rest: Buffer.from(rest.join('') + lastChunk),
  }
}

const streams = new Map<number, StreamAnswer>()
const streamOf = (tokens: number): StreamAnswer => {
  const known = streams.get(tokens) ?? buildStream(tokens)
  streams.set(tokens, known)
  return known
}

const writeEach = (socket: Socket, { start, each }: StreamAnswer): void => {
  let index = 0
  const next = (): void => {
    const frame = each[index++]
    if (frame === undefined || socket.destroyed) return
    socket.write(frame)
    setImmediate(next)
  }
  socket.write(start)
  setImmediate(next)
}

/** Streams that are silent until somebody asks for `/release`. */
const held = new Set<() => void>()

/** So many frames one by one, and the rest at once when it is released. */
const writeSlowly = (socket: Socket, { start, each }: StreamAnswer, slowly: { everyMs: number; frames: number }): void => {
  let index = 0
  const goOn = (): void => {
    for (; index < each.length; index++) socket.write(each[index] ?? '')
  }
  const timer = setInterval(() => {
    socket.write(each[index++] ?? '')
    if (index < slowly.frames && !socket.destroyed) return
    clearInterval(timer)
    held.add(goOn)
  }, slowly.everyMs)
  socket.write(start)
}

const release = (): void => {
  for (const goOn of held) goOn()
  held.clear()
}

const writeStream = (socket: Socket, tokens: number, { pace, frames }: { pace: string; frames: string }): void => {
  const answer = streamOf(tokens)
  if (pace === 'whole') socket.write(answer.whole)
  else if (pace === 'each') writeEach(socket, answer)
  else if (pace === 'first') {
    socket.write(answer.start)
    setTimeout(() => socket.write(answer.rest), 2)
  } else writeSlowly(socket, answer, { everyMs: Number(pace), frames: Number(frames) })
}

const hostile = new Map<string, Buffer>()
/** One write: the client finds all of it in its socket. */
const hostileAnswer = (name: string): Buffer => {
  const known = hostile.get(name)
  if (known !== undefined) return known
  const { status = 200, body } = hostileReplies().get(name) ?? { status: 404, body: () => '' }
  const text = body()
  const head = `HTTP/1.1 ${status} Hostile\r\ncontent-type: text/event-stream\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`
  hostile.set(name, Buffer.from(head + text))
  return hostileAnswer(name)
}

const answer = (socket: Socket, target: string): void => {
  const [, kind = '', tokens = '', pace = '', frames = ''] = target.split('/')
  const fixed = answers[kind]
  if (kind === 'release') release()
  if (fixed !== undefined) socket.write(fixed)
  else if (kind === 'hostile') socket.write(hostileAnswer(decodeURIComponent(tokens)))
  else if (kind === 'stream') writeStream(socket, Number(tokens), { pace, frames })
  else socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
}

/** How long the request at the start of `text` is, once all of it is here. */
const requestLength = (text: string): number | undefined => {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1]
  const total = headEnd + 4 + Number(length ?? 0)
  return text.length < total ? undefined : total
}

const serve = (socket: Socket): void => {
  let pending = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    pending += bytes.toString('latin1')
    for (let length = requestLength(pending); length !== undefined; length = requestLength(pending)) {
      answer(socket, pending.slice(pending.indexOf(' ') + 1, pending.indexOf(' HTTP/')))
      pending = pending.slice(length)
    }
  })
}

const server = createServer(serve)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('disconnect', () => process.exit(0))
