import { responseOf } from './chat-fetch.ts'
import { checkEndpointOptions } from './check-endpoint-options.ts'
import { createEndpoint, type EndpointOptions, type Routes } from './endpoint.ts'
import { requestIdOf } from './reply.ts'

/** The options for `new OpenAI()`. */
export type OpenAIClientOptions = {
  /** A placeholder, because the chain has its own keys. */
  readonly apiKey: string
  /** An address that never resolves. */
  readonly baseURL: string
  /** 0, because the chain retries. */
  readonly maxRetries: 0
  /** The longest possible timer, in milliseconds, because the chain has its own timeouts. */
  readonly timeout: number
  /** Sends requests to the chain. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
}

/** A host that never resolves, so that no mistake can send a request to OpenAI with a key from the environment. */
const nowhere = 'http://unbusy.invalid/v1'

/** The longest possible timer. The chain has its own timeouts, and a timeout of a client that retries would call the chain again. */
const never = 2_147_483_647

/**
 * Options for the openai package, so that a chain in this process answers its calls, without a port or a key. For LangChain, pass them as
 * `configuration`, together with `maxRetries: 0`.
 *
 * @param routes a client that answers for every `model`, or `{ [model]: client }`
 * @throws {TypeError} A route is not a client.
 *
 * @example
 * const openai = new OpenAI(openaiOptions(client))
 */
export function openaiOptions(routes: Routes, options: EndpointOptions = {}): OpenAIClientOptions {
  checkEndpointOptions(options, 'openaiOptions')
  const endpoint = createEndpoint(routes, options, 'openaiOptions')
  return {
    ...{ apiKey: '-', baseURL: nowhere, maxRetries: 0, timeout: never },
    async fetch(input, init = {}) {
      const request = input instanceof Request ? input : undefined
      const leaving = new AbortController()
      const given = init.signal ?? request?.signal
      const signal = given === undefined || given === null ? leaving.signal : AbortSignal.any([given, leaving.signal])
      signal.throwIfAborted()
      const { body, method = request?.method ?? 'GET', headers } = init
      const reply = await endpoint.answer({
        ...{ method, path: new URL(input instanceof Request ? input.url : input).pathname, signal },
        body: async () => (typeof body === 'string' ? body : new Response(body ?? request?.body).text()),
      })
      return responseOf(reply, { 'x-request-id': requestIdOf(idIn(headers)) }, { leaving, signal })
    },
  }
}

function idIn(headers: RequestInit['headers']): string | null {
  return headers === undefined ? null : new Headers(headers).get('x-request-id')
}
