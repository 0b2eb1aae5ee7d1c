import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createBodyWriter } from './body-writer.ts'
import type { BodyWriter } from './body-writer.ts'
import type { Pauses } from './pauses.ts'
import type { Conduct, Position, Reply } from '../reply.ts'
import { sendsKeepAlives } from './reply-plan.ts'
import type { ReplyPlan } from './reply-plan.ts'

/** The parts of an exchange that playing a reply needs. */
export type Stage = {
  readonly response: ServerResponse
  readonly socket: Socket
  readonly pauses: Pauses
  /** Writes bytes of the body to the socket; resolves when the socket has accepted them. */
  send(bytes: Uint8Array): Promise<void>
  /** Records that the server, and not the client, ends the exchange from here on. */
  endsHere(): void
}

/** Answers one request as the reply says, with its waits. Resolves when nothing more is to be sent. */
export async function play(reply: Reply, plan: ReplyPlan, stage: Stage): Promise<void> {
  const { response, pauses } = stage
  if (reply.type === 'hang' || reply.type === 'linger') await pauses.forEver()
  if (reply.type === 'refuse') return cut(reply.by, stage)
  await pauses.after(reply.headersAfterMs ?? 0)
  if (reply.headersUntil !== undefined) await pauses.until(reply.headersUntil)
  if (reply.type === 'garbage') return sendGarbage(reply.bytes, stage)
  response.writeHead(plan.status, plan.headers)
  response.flushHeaders()
  const writer = createBodyWriter(bytes => stage.send(bytes), {
    split: reply.split ?? (plan.isStream ? 'event' : 'whole'),
    contentEncoding: reply.contentEncoding,
  })
  if (sendsKeepAlives(reply)) await keepAlive(reply, plan.keepAlive, { writer, pauses })
  await playBody(reply, plan, { ...stage, writer })
}

/** Ends a connection, in whatever state it is. */
export function cut(by: 'fin' | 'rst', stage: Pick<Stage, 'socket' | 'endsHere'>): void {
  stage.endsHere()
  if (by === 'rst') stage.socket.resetAndDestroy()
  else stage.socket.destroySoon()
}

function sendGarbage(bytes: string | Uint8Array, stage: Stage): void {
  stage.socket.write(bytes)
  cut('fin', stage)
}

type Writing = { readonly writer: BodyWriter; readonly pauses: Pauses }

/** Number, time and promise may be combined; the queue ends when all of them are over. */
async function keepAlive(reply: Reply, text: string, { writer, pauses }: Writing): Promise<void> {
  const everyMs = reply.keepAliveEveryMs ?? 10
  const untilMs = performance.now() + (reply.keepAliveForMs ?? 0)
  const gate = { isShut: reply.keepAliveUntil !== undefined }
  const open = (): void => void (gate.isShut = false)
  void reply.keepAliveUntil?.then(open, open)
  for (let sent = 0; sent < (reply.keepAlives ?? 0) || performance.now() < untilMs || gate.isShut; sent += 1) {
    if (sent > 0) await pauses.after(everyMs)
    await writer.write(text)
    await writer.flush()
  }
}

async function playBody(reply: Reply, plan: ReplyPlan, stage: Stage & Writing): Promise<void> {
  const { writer, pauses } = stage
  await writeAll(plan.opening, writer)
  if (waitsForContent(reply)) {
    await writer.flush()
    await pauses.after(reply.firstChunkAfterMs ?? 0)
    if (reply.firstChunkUntil !== undefined) await pauses.until(reply.firstChunkUntil)
  }
  let index = 0
  for (const chunk of plan.chunks) {
    if (await endsAt(index, { reply, plan, stage })) return
    if (index > 0 && (reply.chunkEveryMs ?? 0) > 0) {
      await writer.flush()
      await pauses.after(reply.chunkEveryMs ?? 0)
    }
    await writer.write(chunk)
    index += 1
  }
  if (await endsAt(index, { reply, plan, stage, isLast: true })) return
  await writeAll(plan.finish, writer)
  if (await endsAt('finish', { reply, plan, stage })) return
  await end(plan.done, stage)
}

function waitsForContent(reply: Conduct): boolean {
  return (reply.firstChunkAfterMs ?? 0) > 0 || reply.firstChunkUntil !== undefined
}

type Here = { readonly reply: Reply; readonly plan: ReplyPlan; readonly stage: Stage & Writing; readonly isLast?: boolean }

/** Stalls, fails or cuts if the reply asks for it at this position. Returns true if the exchange is over. */
async function endsAt(position: Position, { reply, plan, stage, isLast = false }: Here): Promise<boolean> {
  const { writer, pauses } = stage
  const isHere = (wanted: Position | undefined): boolean =>
    wanted === position || (isLast && typeof wanted === 'number' && typeof position === 'number' && wanted > position)
  if (isHere(reply.stallAfterChunks)) {
    await writer.flush()
    await stall(reply, pauses)
  }
  if (plan.isStream && isHere(reply.errorAfterChunks)) {
    await writer.write(plan.error.text)
    await end(plan.error.done ? plan.done : undefined, stage)
    return true
  }
  if (!isHere(reply.cutAfterChunks)) return false
  if (reply.cutBy === 'end') await end(undefined, stage)
  else {
    await writer.flush()
    cut(reply.cutBy ?? 'fin', stage)
  }
  return true
}

async function stall(reply: Conduct, pauses: Pauses): Promise<void> {
  if (reply.stallForMs === undefined && reply.stallUntil === undefined) await pauses.forEver()
  await pauses.after(reply.stallForMs ?? 0)
  if (reply.stallUntil !== undefined) await pauses.until(reply.stallUntil)
}

async function writeAll(parts: readonly string[], writer: BodyWriter): Promise<void> {
  for (const part of parts) await writer.write(part)
}

async function end(done: string | undefined, stage: Stage & Writing): Promise<void> {
  if (done !== undefined) await stage.writer.write(done)
  await stage.writer.end()
  stage.endsHere()
  stage.response.end()
}
