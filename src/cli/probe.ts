import { ProviderError } from '../errors.ts'
import { createConnections } from '../http/connections.ts'
import { getJson } from '../http/get-json.ts'
import { hosts } from '../providers/hosts.ts'
import { givenBaseURL, keyVariableOf, type Service } from './services.ts'

/** What a service says when it is asked which models it has: the cheapest question, and free everywhere. */
export type Sighting = {
  /** `stranger`: something else listens there. `locked`: it wants another key, or one at all. */
  readonly state: 'up' | 'loading' | 'locked' | 'stranger' | 'failing' | 'silent' | 'down'
  readonly status: number | undefined
  readonly models: readonly string[]
  readonly durationMs: number
}

export type ProbeOptions = { readonly limitMs: number; readonly signal: AbortSignal }

/** Never rejects: whatever happens is a sighting. */
export async function probe(service: Service, { limitMs, signal }: ProbeOptions): Promise<Sighting> {
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
    if (status === 401 || status === 403) return seen('locked', status)
    if (status === 503 && service.kind === 'local') return seen('loading', status)
    if (status >= 500) return seen('failing', status)
    const models = status === 200 ? modelsIn(body) : undefined
    return models === undefined ? seen('stranger', status) : seen('up', status, models)
  } catch (error) {
    if (limit.aborted) return seen('silent')
    const isStranger = ProviderError.isInstance(error) && error.reason === 'malformed-response'
    return seen(isStranger ? 'stranger' : 'down')
  } finally {
    await connections.close()
  }
}

function questionOf(service: Service): string {
  const url = new URL(givenBaseURL(service) ?? service.defaultBaseURL ?? '')
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
function modelsIn(body: unknown): readonly string[] | undefined {
  const list = Array.isArray(body) ? body : (fieldOf(body, 'data') ?? fieldOf(body, 'models'))
  if (!Array.isArray(list)) return undefined
  return list.flatMap((entry: unknown) => {
    const name = fieldOf(entry, 'id') ?? fieldOf(entry, 'name')
    return typeof name === 'string' && !/embed/i.test(name) ? [name] : []
  })
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
