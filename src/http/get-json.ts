import type { Attempt, ResponseHeaders } from '../contract.ts'
import type { Connections } from './connections.ts'
import { post } from './post.ts'

export type JsonAnswer = {
  readonly status: number
  readonly headers: ResponseHeaders
  /** Parsed; the text as it came where it is not JSON; undefined where it is empty. */
  readonly body: unknown
}

/** More than any health, model or load page has. */
const maxProbeBytes = 8 * 1024 * 1024

/** Asks a small question, for example a health page. Any status is an answer; rejects as `post` does. */
export async function getJson(question: {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly connections: Connections
  readonly signal: AbortSignal
}): Promise<JsonAnswer> {
  const { url, headers = {}, connections, signal } = question
  const attempt: Attempt = { signal, emit: () => true, onDrain() {} }
  const pieces: string[] = []
  let head: Pick<JsonAnswer, 'status' | 'headers'> = { status: 0, headers: {} }
  await post({
    url,
    headers: { accept: 'application/json', ...headers },
    method: 'GET',
    body: '',
    attempt,
    connections,
    maxBodyBytes: maxProbeBytes,
    respond(status, received) {
      head = { status, headers: received }
      return { write: text => pieces.push(text) > 0, end() {} }
    },
  })
  return { ...head, body: parsed(pieces.join('')) }
}

function parsed(text: string): unknown {
  const trimmed = text.replace(/^\uFEFF/, '').trim()
  if (trimmed === '') return undefined
  try {
    return JSON.parse(trimmed)
  } catch {
    return text
  }
}
