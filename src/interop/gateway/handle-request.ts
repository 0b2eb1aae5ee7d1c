import type { IncomingMessage, ServerResponse } from 'node:http'
import { idOf, pathOf } from '../openai/chat-handler.ts'
import { leavingOf, readText, sendReply } from '../openai/node-http.ts'
import { errorReply, type Headers, type Reply, requestIdOf, type Told } from '../openai/reply.ts'
import { RequestError } from '../openai/request-error.ts'
import { corsHeaders, isPreflight } from './cors.ts'
import { gatewayDefaults } from './config.ts'
import type { Generation } from './generation.ts'
import type { Admitted } from './keys.ts'
import { type Metrics, metricsPackage } from './metrics.ts'
import { statusOf } from './status.ts'
import type { InTrace } from './trace-parent.ts'

/** The state of a running gateway. */
export type House = {
  generation: Generation
  readonly metrics: Metrics | undefined
  readonly inTrace: InTrace
  isDraining: boolean
  /** The number of requests in progress. */
  active: number
  /** Called when the last request has ended. */
  onIdle: (() => void) | undefined
}

/** Never rejects. */
export async function handleRequest(house: House, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = pathOf(request.url)
  if (path === '/health') return probe(response, 200, 'ok')
  if (path === '/ready') return probe(response, house.isDraining ? 503 : 200, house.isDraining ? 'draining' : 'ready')
  const { generation } = house
  const work: Work = {
    house,
    generation,
    request,
    response,
    path,
    model: undefined,
    admitted: undefined,
    startedAt: performance.now(),
  }
  house.active += 1
  generation.active += 1
  response.once('close', () => {
    house.active -= 1
    generation.release()
    if (house.active === 0) house.onIdle?.()
  })
  const { told, reply } = await served(work)
  log(work, told, reply)
}

type Work = {
  readonly house: House
  readonly generation: Generation
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly startedAt: number
  model: string | undefined
  admitted: Admitted | undefined
}

function probe(response: ServerResponse, status: number, word: string): void {
  const body = JSON.stringify({ status: word })
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store' })
    .end(body)
}

type Served = { readonly told: Told; readonly reply: Headers }

async function served(work: Work): Promise<Served> {
  const { request, response, generation } = work
  const id = { 'x-request-id': requestIdOf(idOf(request)) }
  const more = { ...id, ...corsHeaders(request, generation.settings.cors) }
  try {
    const reply = await replyTo(work, leavingOf(response)).catch(errorReply)
    const told = await sendReply(response, reply, { ...more, ...endOf(work, reply) })
    return { told, reply: id }
  } catch {
    // the client has disconnected
    return { told: { outcome: 'aborted', status: response.headersSent ? response.statusCode : 0 }, reply: id }
  }
}

/** While draining, closes each connection after its response. */
function endOf({ house }: Work, reply: Reply): Headers {
  return house.isDraining && reply.status !== 413 ? { connection: 'close' } : {}
}

async function replyTo(work: Work, signal: AbortSignal): Promise<Reply> {
  const { house, generation, request, path } = work
  const { settings, keys, endpoint } = generation
  if (isPreflight(request, settings.cors))
    return { status: 204, headers: {}, body: '', told: { outcome: 'answered', status: 204 } }
  const isOpen = path === '/metrics' && settings.metricsOpen === true
  work.admitted = keys.admit(request)
  if (work.admitted === undefined && !isOpen) throw noKey(path)
  if (path === '/metrics' || path === '/status') return insight(work)
  if (house.isDraining) {
    throw new RequestError('This server is shutting down. Send the request again: another server will answer.', {
      ...{ status: 503, code: 'draining', headers: { 'retry-after': '1' } },
    })
  }
  const { maxBodyBytes = gatewayDefaults.maxBodyBytes } = settings
  return house.inTrace(request.headers, () =>
    endpoint.answer({
      ...{ method: request.method ?? 'GET', path, signal, models: work.admitted?.routes },
      body: () => readText(request, maxBodyBytes),
      onModel: model => {
        work.model = model
      },
    }),
  )
}

/** The `Basic` challenge makes a browser ask its user for a key. */
function noKey(path: string): RequestError {
  const isPage = path === '/metrics' || path === '/status'
  return new RequestError("The key is missing or wrong. Send it as 'Authorization: Bearer KEY'.", {
    ...{ status: 401, code: 'invalid_api_key', headers: { 'www-authenticate': isPage ? 'Basic realm="unbusy"' : 'Bearer' } },
  })
}

async function insight({ house, generation, request, path, admitted }: Work): Promise<Reply> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new RequestError('Write GET.', { status: 405, code: 'method_not_allowed', headers: { allow: 'GET' } })
  if (admitted?.routes !== undefined)
    throw new RequestError('This key is not allowed to use this page.', { status: 403, code: 'forbidden' })
  const { metrics } = house
  if (path === '/status') return statusOf(generation, request.headers.accept)
  if (metrics === undefined) {
    throw new RequestError(`Metrics need the package ${metricsPackage}: npm install ${metricsPackage}`, {
      ...{ status: 501, code: 'not_installed' },
    })
  }
  return {
    ...{ status: 200, headers: { 'content-type': metrics.contentType, 'cache-control': 'no-store' }, body: await metrics.text() },
    told: { outcome: 'answered', status: 200 },
  }
}

/** Writes one line per request. Text from a client is cut; the query is omitted, because it may contain a key. */
function log({ generation, request, path, model, admitted, startedAt }: Work, told: Told, reply: Headers): void {
  const { logger } = generation.settings
  if (logger === undefined) return
  const { outcome, status, model: answeredBy, ...rest } = told
  const fields = {
    requestId: reply['x-request-id'],
    ...{ method: request.method, path: path.slice(0, 200), route: model, key: admitted?.key, status, outcome },
    ...{ ...rest, model: answeredBy, durationMs: Math.round(performance.now() - startedAt) },
  }
  try {
    if (status >= 500) logger.warn(fields, 'request')
    else logger.info(fields, 'request')
  } catch {
    // a logger that throws must not end the process
  }
}
