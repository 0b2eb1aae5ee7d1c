import type { IncomingMessage, ServerResponse } from 'node:http'
import { isRecord, kindOf } from '../check.ts'
import type { ClientStatus } from '../telemetry/activity.ts'
import { contentSecurityPolicy, page, type Shown } from './page.ts'
import { verdictOf } from './words.ts'

type HasStatus = { status(): ClientStatus }

/** A client, or several by name, which are shown one below the other on the same page. */
export type StatusSource = HasStatus | { readonly [name: string]: HasStatus }

/** The request type of node:http, Express and Fastify. Fastify passes its own objects, with the real ones in `raw`. */
type AnyRequest = IncomingMessage | { readonly raw: IncomingMessage }
type AnyResponse = ServerResponse | { readonly raw: ServerResponse; hijack(): unknown }

/**
 * A status page for node:http, Express and Fastify: `app.get('/status', statusHandler(client))`. Browsers get the page, all other clients get
 * the same data as JSON. It sends no request to any provider, changes nothing, and contains no prompt, answer or key. It has no
 * authentication: mount it where only operators have access.
 *
 * @throws {TypeError} It is given something else than clients.
 */
export function statusHandler(source: StatusSource): (request: AnyRequest, response: AnyResponse) => void {
  const answer = answererOf(source, 'statusHandler')
  return (given, to) => {
    const request = 'raw' in given ? given.raw : given
    if ('raw' in to) to.hijack()
    const response = 'raw' in to ? to.raw : to
    const { status, headers, body } = answer(request.method, request.headers.accept)
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}

/** The context that Hono passes to a handler. */
type HonoContext = { readonly req: { readonly raw: Request } }

/**
 * The same status page for frameworks with Web requests: `app.get('/status', statusFetch(client))` in Hono,
 * `export const GET = statusFetch(client)` in Next.js, and everything else that takes a function from `Request` to `Response`.
 *
 * @throws {TypeError} It is given something else than clients.
 */
export function statusFetch(source: StatusSource): (request: Request | HonoContext) => Response {
  const answer = answererOf(source, 'statusFetch')
  return given => {
    const request = 'req' in given ? given.req.raw : given
    const { status, headers, body } = answer(request.method, request.headers.get('accept') ?? undefined)
    return new Response(request.method === 'HEAD' ? null : body, { status, headers })
  }
}

type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }
type Answerer = (method: string | undefined, accept: string | undefined) => Answer

const common = {
  'cache-control': 'no-store',
  vary: 'Accept',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** Above this rate, the previous page is sent again, so that a client in a loop cannot slow down the service. */
const rendersPerSecond = 20

function answererOf(source: StatusSource, name: string): Answerer {
  const clients = clientsOf(source, name)
  const isOne = isClient(source)
  const html = limited(() => page(clients()))
  const json = limited(() =>
    JSON.stringify(
      isOne ? dataOf(clients()) : { clients: Object.fromEntries(clients().map(([key, status]) => [key, withVerdict(status)])) },
    ),
  )
  return (method, accept) => {
    if (method !== 'GET' && method !== 'HEAD') {
      const headers = { ...common, allow: 'GET, HEAD', 'content-type': 'text/plain; charset=utf-8' }
      return { status: 405, headers, body: 'Only GET is allowed.\n' }
    }
    const status = clients().every(([, { closed }]) => closed) ? 503 : 200
    if (!wantsPage(accept))
      return { status, headers: { ...common, 'content-type': 'application/json; charset=utf-8' }, body: json() }
    const headers = { ...common, 'content-type': 'text/html; charset=utf-8', 'content-security-policy': contentSecurityPolicy }
    return { status, headers, body: html() }
  }
}

function clientsOf(source: StatusSource, name: string): () => Shown {
  const like = `${name}: the argument must be a client, or clients by name like { chat, search }`
  if (!isRecord(source)) throw new TypeError(`${like}, not ${kindOf(source)}.`)
  if (isClient(source)) return () => [['', source.status()]]
  const all = Object.entries(source)
  if (all.length === 0) throw new TypeError(`${like}.`)
  for (const [key, client] of all) if (!isClient(client)) throw new TypeError(`${like}. '${key}' is not a client.`)
  return () => all.map(([key, client]) => [key, client.status()])
}

function isClient(value: unknown): value is HasStatus {
  return typeof value === 'object' && value !== null && 'status' in value && typeof value.status === 'function'
}

function dataOf([one]: Shown): object | undefined {
  return one === undefined ? undefined : withVerdict(one[1])
}

function withVerdict(status: ClientStatus): object {
  return { verdict: verdictOf(status), ...status }
}

/** Detects a browser, which lists `text/html` first. */
function wantsPage(accept = ''): boolean {
  const at = accept.indexOf('text/html')
  const json = accept.indexOf('application/json')
  return at !== -1 && (json === -1 || at < json)
}

function limited(render: () => string): () => string {
  let second = 0
  let count = 0
  let last = ''
  return () => {
    const now = Math.floor(performance.now() / 1_000)
    if (now !== second) count = 0
    second = now
    if (count < rendersPerSecond) last = render()
    count += 1
    return last
  }
}
