import { endOfJson, startOfJson } from '../../http/json-lines.ts'
import { isErrorValue } from '../chat-failure/error-body.ts'
import { asObject, fitInOneStep } from '../json.ts'

/** What servers send in the place of an event or a document that has the format. */

/** `[DONE]`, also in lower case or as a JSON string. */
export function isDone(text: string): boolean {
  return text === '[DONE]' || (text.length <= 8 && /^"?\[done\]"?$/i.test(text))
}

/** Data that only shows that the server is alive: nothing, `null`, an empty list, `ping`, or an event of such a name. */
export function saysAlive(text: string, event: string | undefined): boolean {
  if (event !== undefined && isSign.test(event)) return true
  return text === '' || text === 'null' || text === '[]' || (text.length <= 16 && isSign.test(text))
}

const isSign = /^[["']?(?:ping|heart-?beat|keep-?alive)[\]"']?$/i

/** More pieces than an answer has in practice. They are all read in one step, which must not take long. */
export const mostDocuments = 10_000

/**
 * The documents in data that holds several, with or without line breaks between them. Empty if it holds only one, or more than one step
 * can read.
 */
export function documentsIn(data: string): readonly string[] {
  if (!/\}\s*(?:data:\s*)?(?:\{|\[done\])/i.test(data)) return []
  const documents: string[] = []
  for (let at = startOf(data, 0); at < data.length; at = startOf(data, at)) {
    if (documents.length > mostDocuments) return []
    const end = endOfDocument(data, at)
    documents.push(data.slice(at, end))
    at = end
  }
  return fitInOneStep(documents) ? documents : []
}

function startOf(data: string, from: number): number {
  let at = from
  while (at < data.length && data.charCodeAt(at) <= space) at += 1
  return at
}

const space = 0x20

function endOfDocument(data: string, from: number): number {
  if (data[from] === '{') return endOfJson(startOfJson(), data, from) ?? data.length
  const end = data.indexOf('\n', from)
  return end === -1 ? data.length : end
}

/** A proxy that wraps each line once more leaves `data: data: {...}`. */
export function withoutLabel(text: string): string {
  return text.replace(/^(?:data:\s*)+/, '')
}

/** Google wraps an error in a list of one. */
export function isListedError(value: unknown): boolean {
  return Array.isArray(value) && isErrorValue(asObject(value[0])?.['error'])
}
