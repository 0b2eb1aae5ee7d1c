import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

type Broken = Error & { readonly code?: string }

const statuses: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers of the request are larger than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The body of the request is not valid HTTP.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to arrive.'],
}

type Asked = { readonly request: IncomingMessage; readonly response: ServerResponse }

/** Answers malformed and incomplete requests with a clear status and closes their connections. */
export function createRefusal() {
  const asked = new WeakMap<Duplex, Asked>()
  return {
    /** The connection is about this request until its response is closed. */
    heard(request: IncomingMessage, response: ServerResponse): void {
      const { socket } = request
      asked.set(socket, { request, response })
      response.once('close', () => {
        if (asked.get(socket)?.response === response) asked.delete(socket)
      })
    },
    refuse(error: Broken, socket: Duplex): void {
      const current = asked.get(socket)
      // what follows a whole request is broken: the answer to that request is paid for, and nothing may come between
      if (current?.request.complete === true) current.response.once('close', () => cutOff(socket))
      else if (current?.response.headersSent === true) socket.destroy()
      else refuse(error, socket)
    },
  }
}

function refuse(error: Broken, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
  const known = error.code === undefined || !Object.hasOwn(statuses, error.code) ? undefined : statuses[error.code]
  const [status, message] = known ?? [400, 'This is not an HTTP request.']
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: 'invalid_http' } })
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`
  socket.write(`${head}\r\n\r\n${body}`)
  cutOff(socket)
}

/** Ends the connection. A client that keeps sending is cut off. */
function cutOff(socket: Duplex): void {
  socket.end()
  setTimeout(() => socket.destroy(), 1_000).unref()
}
