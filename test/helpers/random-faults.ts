import { z } from 'zod'
import { answer, json, type ReceivedRequest, type Reply, status } from 'unbusy/testing'

/** What a server does with a request: most answer, the others fail in every way. */
export const faults = [
  ...['none', 'none', 'none', 'none', 'slow', '500', '503', '429', '401', 'reset', 'cut', 'stall', 'error', 'broken', 'length'],
  ...['empty', 'no-usage', 'wrong-form', 'refuses-field'],
] as const
export type Fault = (typeof faults)[number]

export const output = z.object({ n: z.number() })
const words = ['one ', 'two ', 'three ', 'four ', 'five ', 'six ', 'seven.']
export const whole = words.join('')

type Body = {
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly response_format?: unknown
}

function isContinued({ json: body }: ReceivedRequest): boolean {
  return (body as Body).messages.at(-1)?.role === 'assistant'
}

/** Goes on from a prefix, where one is asked for; else begins anew. */
function textFor(request: ReceivedRequest): readonly string[] {
  const { messages, response_format: form } = request.json as Body
  if (form !== undefined) return ['{"n"', ':7}']
  const rest = isContinued(request) ? whole.slice(messages.at(-1)?.content.length) : whole
  return rest.match(/[^ ]+ ?/g) ?? ['']
}

export function replyFor(fault: Fault, after: number, request: ReceivedRequest): Reply {
  const text = textFor(request)
  const at = Math.min(after, text.length)
  switch (fault) {
    case '500':
    case '503':
    case '429':
      return { ...status(Number(fault)), ...(after === 1 ? { headers: { 'retry-after': '0.02' } } : undefined) }
    case '401':
      return status(401)
    case 'reset':
      return answer(text, { cutAfterChunks: 0, cutBy: 'rst' })
    case 'cut':
      return answer(text, { cutAfterChunks: at, cutBy: after % 2 === 0 ? 'fin' : 'end' })
    case 'stall':
      return answer(text, { stallAfterChunks: at })
    case 'error':
      return answer(text, { errorAfterChunks: at })
    case 'broken':
      return answer(text, { malformedChunk: at })
    case 'length':
      return answer(text.slice(0, at + 1), { finishReason: 'length' })
    case 'empty':
      // behind a part it would say that the part is the whole
      return answer(isContinued(request) ? text : '')
    case 'no-usage':
      return answer(text, { usage: null })
    case 'wrong-form':
      return 'response_format' in (request.json as object) ? answer('{"n":"seven"}') : answer(text)
    case 'refuses-field':
      return 'temperature' in (request.json as object)
        ? json({ error: { message: "Unsupported parameter: 'temperature' is not supported with this model." } }, { status: 400 })
        : answer(text)
    case 'slow':
      return answer(text, { headersAfterMs: 5 * after, chunkEveryMs: 4, keepAlives: after })
    default:
      return answer(text)
  }
}
