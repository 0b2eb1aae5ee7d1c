import { ProviderError } from '../errors.ts'
import { createConnections } from '../http/connections.ts'
import { getJson } from '../http/get-json.ts'
import { hosts } from '../providers/hosts.ts'
import { addressOf, givenBaseURL, keyVariableOf, type Service } from './services.ts'

/** The result of asking a service for its list of models, which is cheap and free of charge everywhere. */
export type Sighting = {
  /** `stranger`: another program listens at this address. `locked`: the key is missing or wrong. `unpaid`: the account has no money left. */
  readonly state: 'up' | 'loading' | 'locked' | 'unpaid' | 'stranger' | 'failing' | 'silent' | 'down'
  readonly status: number | undefined
  readonly models: readonly string[]
  readonly durationMs: number
  /** A llama-server in router mode: it loads the requested model by name and rejects unknown names. */
  readonly isRouter?: boolean | undefined
}

export type ProbeOptions = { readonly limitMs: number; readonly signal: AbortSignal }

/** The result of probing a service at its default address and then at the address of its newer versions. */
export type Found = { readonly service: Service; readonly sighting: Sighting }

/** Never rejects: every error becomes a sighting. */
export async function find(service: Service, options: ProbeOptions): Promise<Found> {
  const sighting = await probe(service, options)
  const { movedBaseURL } = service
  if (!isNotIt(sighting) || movedBaseURL === undefined || givenBaseURL(service) !== undefined) return found(service, sighting)
  const moved = { ...service, foundBaseURL: movedBaseURL }
  const other = await probe(moved, options)
  return isNotIt(other) ? found(service, sighting) : found(moved, other)
}

function isNotIt({ state }: Sighting): boolean {
  return state === 'down' || state === 'stranger'
}

function found(service: Service, sighting: Sighting): Found {
  return { service: sighting.isRouter === true ? { ...service, needsModel: true } : service, sighting }
}

async function probe(service: Service, { limitMs, signal }: ProbeOptions): Promise<Sighting> {
  const startedAt = performance.now()
  const connections = createConnections()
  const limit = AbortSignal.timeout(limitMs)
  const seen = (state: Sighting['state'], status?: number, models: readonly string[] = []): Sighting => {
    return { state, status, models, durationMs: performance.now() - startedAt }
  }
  try {
    const question = {
      url: questionOf(service),
      headers: keyHeaders(service),
      connections,
      signal: AbortSignal.any([limit, signal]),
    }
    const { status, body } = await getJson(question)
    const refused = refusedBy(status, service)
    if (refused !== undefined) return seen(refused, status)
    const list = status === 200 ? listIn(body) : undefined
    if (list === undefined) return seen('stranger', status)
    return { ...seen('up', status, namesIn(list)), isRouter: list.some(entry => routedState(entry) !== undefined) }
  } catch (error) {
    if (limit.aborted) return seen('silent')
    const isStranger = ProviderError.isInstance(error) && error.reason === 'malformed-response'
    return seen(isStranger ? 'stranger' : 'down')
  } finally {
    await connections.close()
  }
}

/** Maps an error status to a state; undefined if the body has to be examined. */
function refusedBy(status: number, { kind }: Service): Sighting['state'] | undefined {
  if (status === 401 || status === 403) return 'locked'
  if (status === 402) return 'unpaid'
  if (status === 503 && kind === 'local') return 'loading'
  return status >= 500 || status === 429 ? 'failing' : undefined
}

function questionOf(service: Service): string {
  const url = new URL(addressOf(service) ?? '')
  const path = url.pathname.replace(/\/+$/, '')
  // Ollama's native list, because its target uses the native API and not /v1
  url.pathname = service.name === 'ollama' ? `${path.replace(/\/v1$/, '')}/api/tags` : `${path}/models`
  return url.href
}

function keyHeaders(service: Service): Readonly<Record<string, string>> {
  const variable = keyVariableOf(service)
  const key = variable === undefined ? undefined : process.env[variable]
  if (key === undefined) return {}
  const row = Object.entries(hosts).find(([name]) => name === service.name)?.[1]
  return row !== undefined && 'keyHeader' in row ? { [row.keyHeader]: key } : { authorization: `Bearer ${key}` }
}

/** Reads `{ data: [{ id }] }`, Together's plain list, or Ollama's `{ models: [{ name }] }`; undefined if the body is not a list of models. */
function listIn(body: unknown): readonly unknown[] | undefined {
  const list = Array.isArray(body) ? body : (fieldOf(body, 'data') ?? fieldOf(body, 'models'))
  return Array.isArray(list) ? (list as readonly unknown[]) : undefined
}

/** Returns the names of the models. For a router, only those that can be loaded, with the loaded ones first. */
function namesIn(list: readonly unknown[]): readonly string[] {
  const rank = (entry: unknown) => (routedState(entry) === 'loaded' ? 0 : 1)
  const usable = list.filter(entry => routedState(entry) !== 'failed').toSorted((one, other) => rank(one) - rank(other))
  return usable.flatMap(entry => {
    const name = fieldOf(entry, 'id') ?? fieldOf(entry, 'name')
    return typeof name === 'string' && !/embed/i.test(name) ? [name] : []
  })
}

/** loaded, unloaded, loading, sleeping or failed: the state that a llama-server in router mode reports for each model. */
function routedState(entry: unknown): string | undefined {
  const value = fieldOf(fieldOf(entry, 'status'), 'value')
  return typeof value === 'string' ? value : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
