import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** What came over a socket, without any HTTP client in between. */
export type RawResponse = {
  /** Everything, as it came. */
  readonly text: string
  /** Each read of the socket by itself. */
  readonly reads: readonly Buffer[]
  /** `fin`: the other side closed in order. Otherwise the code of the error. */
  readonly end: string
}

/** A connection that collects what it is told. */
export type RawConnection = {
  send(text: string): void
  /** Resolves as soon as what came so far satisfies this. */
  until(isEnough: (text: string) => boolean): Promise<string>
  /** Resolves when the other side has ended it. */
  ended: Promise<RawResponse>
  /** Reads nothing more. */
  pause(): void
  leave(): void
}

export async function rawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const reads: Buffer[] = []
  const listeners = new Set<() => void>()
  const text = (): string => Buffer.concat(reads).toString()
  socket.on('data', read => {
    reads.push(read)
    for (const listener of listeners) listener()
  })
  const ended = endOf(socket).then(end => ({ text: text(), reads, end }))
  await Promise.race([new Promise(resolve => socket.once('connect', resolve)), ended])
  return {
    send: bytes => void socket.write(bytes),
    until: isEnough =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (isEnough(text())) resolve(text())
        }
        listeners.add(look)
        look()
        void ended.then(({ end }) => reject(new Error(`The connection ended (${end}) after: ${text()}`)))
      }),
    ended,
    pause: () => void socket.pause(),
    leave: () => void socket.destroy(),
  }
}

/** One POST; resolves when the server has ended the connection. */
export async function rawRequest(url: string, body: unknown = {}): Promise<RawResponse> {
  const connection = await rawConnection(url)
  connection.send(requestText(body))
  return connection.ended
}

export function requestText(body: unknown = {}, path = '/chat/completions'): string {
  const text = JSON.stringify(body)
  return `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

async function endOf(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    socket.once('error', error => resolve('code' in error ? String(error.code) : error.message))
    socket.once('close', () => resolve('fin'))
  })
}
