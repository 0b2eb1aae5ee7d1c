import type { Attempt, ResponseHeaders } from '../contract.ts'
import { readJson } from '../parse-json.ts'
import type { Connections } from './connections.ts'
import { post } from './post.ts'

export type JsonAnswer = {
  readonly status: number
  readonly headers: ResponseHeaders
  /** The parsed JSON; the raw text if it is not JSON, or is JSON that would block the process; undefined if the body is empty. */
  readonly body: unknown
}

/** No health, model or load page is larger than this. */
const maxProbeBytes = 8 * 1024 * 1024

type Question = {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly connections: Connections
  readonly signal: AbortSignal
}

/** Requests a small page, for example a health page. Resolves for any HTTP status, and rejects as `post` does. */
export function getJson(question: Question): Promise<JsonAnswer> {
  return askJson({ ...question, method: 'GET', body: '' })
}

/** Like `getJson`, with a method and a body. */
export async function askJson(
  question: Question & { readonly method: 'GET' | 'POST'; readonly body: string },
): Promise<JsonAnswer> {
  const { url, headers = {}, method, body, connections, signal } = question
  const attempt: Attempt = { signal, emit: () => true, onDrain() {} }
  const pieces: string[] = []
  let head: Pick<JsonAnswer, 'status' | 'headers'> = { status: 0, headers: {} }
  await post({
    url,
    headers: { accept: 'application/json', ...headers },
    method,
    body,
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
    return readJson(trimmed)
  } catch {
    return text
  }
}
