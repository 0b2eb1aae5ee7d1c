import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { createPauses, gone } from './pauses.ts'
import type { Stage } from './play.ts'
import type { ReceivedRequest } from '../received-request.ts'

/** One request and the answer to it, from the arrival of the request to the end of the exchange. */
export type Exchange = { readonly request: ReceivedRequest; readonly stage: Stage; stop(): void; mute(): void }

type Mutable = { -readonly [Key in keyof ReceivedRequest]: ReceivedRequest[Key] }

export type Arrival = { readonly index: number; readonly connection: number; readonly body: string }

export function createExchange(message: IncomingMessage, response: ServerResponse, arrival: Arrival): Exchange {
  const over = new AbortController()
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  let endedByServer = false
  const request: Mutable = {
    ...arrival,
    method: message.method ?? '',
    path: message.url ?? '',
    headers: message.headers,
    json: parsed(arrival.body),
    at: performance.now(),
    closedAt: undefined,
    aborted: false,
    bytesSent: 0,
    closed,
    untilBlocked: () => untilBlocked(),
  }
  let writing: Promise<void> | undefined
  let isMute = false

  response.on('close', () => {
    request.closedAt = performance.now()
    request.aborted = !endedByServer
    over.abort()
    close()
  })

  const pauses = createPauses(over.signal)
  const stage: Stage = {
    response,
    socket: message.socket,
    pauses,
    async send(bytes) {
      if (isMute) await pauses.forEver()
      request.bytesSent += bytes.length
      writing = new Promise(resolve => response.write(bytes, () => resolve()))
      await pauses.until(writing)
      writing = undefined
    },
    endsHere: () => (endedByServer = true),
  }

  /** Resolves when a write has not completed in 20 checks, a millisecond apart. */
  async function untilBlocked(): Promise<void> {
    for (let looks = 0, seen = writing; looks < 20; looks += 1) {
      if (over.signal.aborted) throw new Error(`The client read the whole answer of request ${request.index} without a pause.`)
      await setTimeout(1)
      if (writing === undefined || writing !== seen) looks = -1
      seen = writing
    }
  }

  const stop = (): void => {
    endedByServer = true
    over.abort(gone)
  }
  const mute = (): void => void (isMute = true)
  return { request, stage, stop, mute }
}

/** Returns the whole body of a request; undefined if the client disconnected before it was complete. */
export async function readBody(message: IncomingMessage): Promise<string | undefined> {
  const pieces: Buffer[] = []
  message.on('data', (piece: Buffer) => pieces.push(piece))
  return new Promise(resolve => {
    message.on('end', () => resolve(Buffer.concat(pieces).toString()))
    message.on('close', () => resolve(undefined))
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
