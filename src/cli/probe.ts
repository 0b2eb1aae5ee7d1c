import { ProviderError } from '../errors.ts'
import { createConnections } from '../http/connections.ts'
import { getJson } from '../http/get-json.ts'
import { hosts } from '../providers/hosts.ts'
import { addressOf, givenBaseURL, keyVariableOf, type Service } from './services.ts'

/** What a service says when it is asked which models it has: the cheapest question, and free everywhere. */
export type Sighting = {
  /** `stranger`: something else listens there. `locked`: it wants another key, or one at all. `unpaid`: it wants money first. */
  readonly state: 'up' | 'loading' | 'locked' | 'unpaid' | 'stranger' | 'failing' | 'silent' | 'down'
  readonly status: number | undefined
  readonly models: readonly string[]
  readonly durationMs: number
  /** A llama-server that loads the model that is asked for by its name, and knows no other. */
  readonly isRouter?: boolean | undefined
}

export type ProbeOptions = { readonly limitMs: number; readonly signal: AbortSignal }

/** A service that was looked for where it usually is, then where its newer versions are. */
export type Found = { readonly service: Service; readonly sighting: Sighting }

/** Never rejects: whatever happens is a sighting. */
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

/** What a status that is no answer means; undefined where the body has to tell. */
function refusedBy(status: number, { kind }: Service): Sighting['state'] | undefined {
  if (status === 401 || status === 403) return 'locked'
  if (status === 402) return 'unpaid'
  if (status === 503 && kind === 'local') return 'loading'
  return status >= 500 || status === 429 ? 'failing' : undefined
}

function questionOf(service: Service): string {
  const url = new URL(addressOf(service) ?? '')
  const path = url.pathname.replace(/\/+$/, '')
  // Ollama's own list beside its /v1: it is what its target speaks to
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

/** `{ data: [{ id }] }`, at Together a bare list, at Ollama `{ models: [{ name }] }`; undefined where it is no list of models. */
function listIn(body: unknown): readonly unknown[] | undefined {
  const list = Array.isArray(body) ? body : (fieldOf(body, 'data') ?? fieldOf(body, 'models'))
  return Array.isArray(list) ? (list as readonly unknown[]) : undefined
}

/** Of a router those that can be loaded, the loaded ones first. */
function namesIn(list: readonly unknown[]): readonly string[] {
  const rank = (entry: unknown) => (routedState(entry) === 'loaded' ? 0 : 1)
  const usable = list.filter(entry => routedState(entry) !== 'failed').toSorted((one, other) => rank(one) - rank(other))
  return usable.flatMap(entry => {
    const name = fieldOf(entry, 'id') ?? fieldOf(entry, 'name')
    return typeof name === 'string' && !/embed/i.test(name) ? [name] : []
  })
}

/** loaded, unloaded, loading, sleeping or failed: what a llama-server that was started without a model says of each that it knows. */
function routedState(entry: unknown): string | undefined {
  const value = fieldOf(fieldOf(entry, 'status'), 'value')
  return typeof value === 'string' ? value : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
