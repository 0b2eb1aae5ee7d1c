import { UsageError } from './command.ts'
import { find, type Found, type Sighting } from './probe.ts'
import { addressOf, findService, givenBaseURL, keyVariableOf, type Service, services, type Step, stepOf } from './services.ts'

export type ChainWish = {
  /** For example `deepseek,openai:gpt-6-sol,llama`; undefined: all services that have a key or answer. */
  readonly chain?: string | undefined
  /** The model of the first target. */
  readonly model?: string | undefined
  readonly signal: AbortSignal
}

/** `usual` is long enough for a server on this machine and too short to be noticed; `given` is for an address that the user configured. */
const limitsMs = { usual: 300, given: 3_000 }

/** Returns the named steps; without names, the services whose key is set and the local servers that answer. */
export async function chainFromEnvironment({ chain, model, signal }: ChainWish): Promise<readonly Step[]> {
  const steps = await (chain === undefined ? present(signal) : named(chain, signal))
  const [first, ...rest] = steps
  return model === undefined || first === undefined ? steps : [stepOf(first.service, model), ...rest]
}

/** Returns the first model of a self-hosted server that needs a model name. A server with a single model accepts any name. */
export function localModel(service: Service, { models }: Pick<Sighting, 'models'>): string | undefined {
  return service.needsModel || models.length > 1 ? models[0] : undefined
}

function look(service: Service, signal: AbortSignal): Promise<Found> {
  return find(service, { signal, limitMs: givenBaseURL(service) === undefined ? limitsMs.usual : limitsMs.given })
}

async function present(signal: AbortSignal): Promise<readonly Step[]> {
  const found = services.map(async (service): Promise<Step | undefined> => {
    if (service.kind === 'vendor') return keyVariableOf(service) === undefined ? undefined : stepOf(service, undefined)
    if (service.kind === 'host') return undefined
    if (addressOf(service) === undefined) return undefined
    const local = await look(service, signal)
    const { state } = local.sighting
    // a server that is still loading its model may be ready when its turn comes
    return state === 'up' || state === 'loading' ? localStep(local) : undefined
  })
  return (await Promise.all(found)).filter(step => step !== undefined)
}

async function named(chain: string, signal: AbortSignal): Promise<readonly Step[]> {
  const words = chain
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '')
  if (words.length === 0) throw new UsageError('--chain is empty. Write, for example, --chain deepseek,openai,llama.')
  const wishes = words.map(word => {
    const [, name = '', model] = /^([^:]*)(?::(.+))?$/.exec(word) ?? []
    return { service: findService(name), model }
  })
  return Promise.all(wishes.map(async ({ service, model }) => namedStep(service, model, signal)))
}

async function namedStep(service: Service, model: string | undefined, signal: AbortSignal): Promise<Step> {
  if (service.kind === 'host' && model === undefined)
    throw new UsageError(`${service.name} needs a model. Write --chain ${service.name}:MODEL.`)
  if (service.kind !== 'local' || model !== undefined || addressOf(service) === undefined) return stepOf(service, model)
  return localStep(await look(service, signal))
}

function localStep({ service, sighting }: Found): Step {
  return stepOf(service, localModel(service, sighting))
}
