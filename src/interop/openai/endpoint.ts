import { isRecord, kindOf } from '../../check.ts'
import type { Client } from '../../index.ts'
import { complete } from './complete.ts'
import { createMemory, type Memory } from './memory.ts'
import { readBody } from './read-body.ts'
import { readRequest } from './read-request.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import { RequestError } from './request-error.ts'

/** One client for every `model`, or one client for each. */
export type Routes = Client | Readonly<Record<string, Client>>

/** Options of every endpoint. */
export type EndpointOptions = {
  /**
   * How long a stream may be silent before a comment is sent, in milliseconds, at least 10. Comments keep proxies from cutting silent
   * connections. The drawback: the first comment commits the response to status 200, so a failure before the first content is reported in the
   * stream. @default no comments
   */
  readonly keepAliveMs?: number | undefined
  /** Receives errors that the client sees only as a 500: bugs in callbacks of the application, such as `when`. @default they are not reported */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** An HTTP request, independent of the server framework. */
export type Asked = {
  readonly method: string
  /** The path without the query. */
  readonly path: string
  /** Resolves with the body as text, or as an object that a framework has already parsed. */
  body(): Promise<unknown>
  readonly signal: AbortSignal
  /** The models that this request may use; undefined: all. */
  readonly models?: readonly string[] | undefined
  /** Called with the model as soon as it is known. */
  onModel?(model: string): void
}

export type Endpoint = {
  /** Answers a request. Rejects only with the reason of the signal. */
  answer(asked: Asked): Promise<Reply>
  /** Returns whether the path belongs to this API, supported or not. */
  knows(path: string): boolean
}

type Place = 'chat' | 'models' | 'unsupported' | 'unknown'

export function createEndpoint(routes: Routes, options: EndpointOptions, name: string): Endpoint {
  checkRoutes(routes, name)
  const place = { routes, options, madeAt: Math.floor(Date.now() / 1_000) }
  return {
    knows: path => placeOf(path) !== 'unknown',
    async answer(asked) {
      try {
        return await answerAt(asked, place)
      } catch (error) {
        asked.signal.throwIfAborted()
        if (!RequestError.isInstance(error)) options.onError?.(error)
        return errorReply(error)
      }
    },
  }
}

type House = { readonly routes: Routes; readonly options: EndpointOptions; readonly madeAt: number }

function answerAt(asked: Asked, house: House): Promise<Reply> | Reply {
  switch (placeOf(asked.path)) {
    case 'chat':
      return chat(asked, house)
    case 'models':
      return tellModels(asked, house)
    case 'unsupported':
      throw notFound(
        'This server supports only /v1/chat/completions and /v1/models. Configure your client to use chat completions.',
      )
    default:
      throw notFound('There is nothing at this path. Chat completions are at /v1/chat/completions.')
  }
}

function notFound(message: string): RequestError {
  return new RequestError(message, { status: 404, code: 'not_found' })
}

const chatPath = /\/chat\/completions\/?$/
const unsupportedPath = /\/(?:responses(?:\/.*)?|embeddings|completions|audio\/\w+|images\/\w+|moderations)\/?$/

function placeOf(path: string): Place {
  if (chatPath.test(path)) return 'chat'
  if (unsupportedPath.test(path)) return 'unsupported'
  return modelIn(path) === undefined ? 'unknown' : 'models'
}

/** Returns the model name after `/models/`, which may contain slashes; `''` for the list, undefined for any other path. */
function modelIn(path: string): string | undefined {
  const at = path.indexOf(models)
  const rest = at < 0 ? undefined : path.slice(at + models.length)
  if (rest === '' || rest === '/') return ''
  return rest?.startsWith('/') === true ? rest.slice(1, rest.endsWith('/') ? -1 : undefined) : undefined
}

const models = '/models'

async function chat(asked: Asked, { routes, options }: House): Promise<Reply> {
  wantMethod(asked, 'POST')
  const given = await asked.body()
  const fields = typeof given === 'string' ? readBody(given) : given
  // check the model first, so that a wrong model is not reported as a wrong message
  const client = clientFor(fields, { routes, asked })
  const memory = memoryOf(client)
  const request = readRequest(fields, memory)
  const { keepAliveMs, onError } = options
  return complete({
    client,
    memory,
    request,
    signal: asked.signal,
    keepAliveMs,
    ...(onError === undefined ? undefined : { onError }),
  })
}

function wantMethod({ method }: Asked, wanted: string): void {
  if (method === wanted) return
  throw new RequestError(`Send ${wanted}, not ${headOf(method)}.`, {
    ...{ status: 405, code: 'method_not_allowed', headers: { allow: wanted } },
  })
}

/** Cuts a name that a client sent. */
function headOf(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}...` : name
}

const memories = new WeakMap<Client, Memory>()

function memoryOf(client: Client): Memory {
  const memory = memories.get(client) ?? createMemory()
  memories.set(client, memory)
  return memory
}

function clientFor(fields: unknown, { routes, asked }: Pick<House, 'routes'> & { readonly asked: Asked }): Client {
  const model = isRecord(fields) ? fields['model'] : undefined
  if (typeof model === 'string') asked.onModel?.(headOf(model))
  if (isClient(routes)) return routes
  const names = namesOf(routes, asked)
  if (typeof model !== 'string' || model === '')
    throw new RequestError(`'model' is missing. ${known(names)}`, { param: 'model', code: 'missing_model' })
  const found = names.includes(model) ? routes[model] : undefined
  if (found !== undefined) return found
  throw noModel(model, names)
}

function noModel(model: string, names: readonly string[]): RequestError {
  return new RequestError(`There is no model '${headOf(model)}'. ${known(names)}`, {
    ...{ status: 404, param: 'model', code: 'model_not_found' },
  })
}

function known(names: readonly string[]): string {
  const more = names.length > 20 ? ', ...' : ''
  return names.length === 0 ? 'This key may use no model.' : `Write one of ${names.slice(0, 20).join(', ')}${more}.`
}

function namesOf(routes: Readonly<Record<string, Client>>, { models: allowed }: Asked): readonly string[] {
  const names = Object.keys(routes)
  return allowed === undefined ? names : names.filter(name => allowed.includes(name))
}

/** The model name under which a single client is listed; it accepts every name. */
const only = 'default'

function tellModels(asked: Asked, { routes, madeAt }: House): Reply {
  wantMethod(asked, 'GET')
  const names = isClient(routes) ? [only] : namesOf(routes, asked)
  const card = (id: string) => ({ id, object: 'model', created: madeAt, owned_by: 'unbusy' })
  const wanted = modelIn(asked.path) ?? ''
  if (wanted === '') return jsonReply({ object: 'list', data: names.map(card) })
  const name = decoded(wanted)
  if (names.includes(name)) return jsonReply(card(name))
  throw noModel(name, names)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function isClient(value: unknown): value is Client {
  return isRecord(value) && typeof value['generate'] === 'function' && typeof value['stream'] === 'function'
}

function checkRoutes(routes: unknown, name: string): void {
  if (isClient(routes)) return
  const example = `${name}(client) or ${name}({ chat: client, fast: otherClient })`
  if (!isRecord(routes))
    throw new TypeError(`${name}: the first argument must be a client, not ${kindOf(routes)}. Write ${example}.`)
  const entries = Object.entries(routes)
  if (entries.length === 0) throw new TypeError(`${name}: the object of clients is empty. Write ${example}.`)
  for (const [model, client] of entries) {
    if (!isClient(client))
      throw new TypeError(`${name}: the route '${model}' must be a client, not ${kindOf(client)}. Write ${example}.`)
  }
}
