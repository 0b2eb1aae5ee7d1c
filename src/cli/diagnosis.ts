import { deepseekBalance, type DeepSeekBalance, deepseekModels, ProviderError } from '../index.ts'
import { localModel } from './chain-from-environment.ts'
import { find, type ProbeOptions, type Sighting } from './probe.ts'
import { addressOf, givenBaseURL, keyVariableOf, type Service, shownBaseURL, type Step, stepOf } from './services.ts'
import { duration } from './terminal.ts'

/** What is known of one service. No key is in it, nor anything of one. */
export type Finding = {
  readonly name: string
  readonly kind: Service['kind']
  /** `answers`: it can be a step of the chain now. `absent`: no key, or not running, which is no fault. */
  readonly state: 'answers' | 'fault' | 'absent'
  readonly detail: string
  /** What to do about it; undefined where nothing has to be done. */
  readonly cure: string | undefined
  readonly baseURL: string
  /** The variable that holds the key; its value is nobody's business. */
  readonly keyVariable: string | undefined
  readonly models: readonly string[]
  readonly durationMs: number | undefined
}

/** A finding and, where it answers and a model is known, its step of the chain. */
export type Diagnosis = {
  readonly finding: Finding
  readonly step: Step | undefined
  /** There is a key, and it is not good there. */
  readonly isLocked: boolean
}

type Verdict = Pick<Finding, 'state' | 'detail'> & Partial<Pick<Finding, 'cure' | 'models' | 'durationMs'>>

/** What was found out, about the service as it was found. */
type Examined = { readonly verdict: Verdict; readonly service: Service; readonly isLocked?: boolean }

/** Never rejects: whatever happens is a finding. */
export async function diagnose(known: Service, options: ProbeOptions): Promise<Diagnosis> {
  const { verdict, service, isLocked = false } = await examine(known, options)
  const finding: Finding = {
    ...{ name: service.name, kind: service.kind, baseURL: shownBaseURL(service), keyVariable: keyVariableOf(service) },
    ...{ cure: undefined, models: [], durationMs: undefined, ...verdict },
  }
  return { finding, step: finding.state === 'answers' ? stepFor(service, finding) : undefined, isLocked }
}

async function examine(service: Service, options: ProbeOptions): Promise<Examined> {
  const verdict = withoutAsking(service)
  if (verdict !== undefined) return { verdict, service }
  if (service.name === 'deepseek') return askDeepSeek(service, options)
  const found = await find(service, options)
  return examinedBy(found.service, found.sighting)
}

function examinedBy(service: Service, sighting: Sighting): Examined {
  const isLocked = sighting.state === 'locked' && keyVariableOf(service) !== undefined
  return { verdict: verdictOn(service, sighting), service, isLocked }
}

/** What the environment alone tells. */
function withoutAsking(service: Service): Verdict | undefined {
  const { keyVariables, kind, baseURLVariable } = service
  if (kind !== 'local' && keyVariables.length > 0 && keyVariableOf(service) === undefined) {
    return { state: 'absent', detail: 'no key', cure: `set ${keyVariables[0]}` }
  }
  if (addressOf(service) === undefined && kind === 'local') return { state: 'absent', detail: `no ${baseURLVariable}` }
  if (addressOf(service) === undefined) {
    return { state: 'fault', detail: 'a key, but no address', cure: `set ${baseURLVariable}: every customer has one of his own` }
  }
  try {
    // the library's own checks of the key and the address
    stepOf(service, 'any')
  } catch (error) {
    return { state: 'fault', detail: error instanceof Error ? error.message : String(error), cure: 'mend that variable' }
  }
  return undefined
}

async function askDeepSeek(service: Service, { limitMs, signal }: ProbeOptions): Promise<Examined> {
  const startedAt = performance.now()
  const limit = AbortSignal.timeout(limitMs)
  const options = { baseURL: givenBaseURL(service), signal: AbortSignal.any([limit, signal]) }
  try {
    // a gateway before DeepSeek may have no page for the balance
    const [models, balance] = await Promise.all([deepseekModels(options), deepseekBalance(options).catch(() => undefined)])
    const seen = { models: models.map(({ id }) => id), durationMs: performance.now() - startedAt }
    const detail = `${countOf(seen.models)}${balanceOf(balance)}`
    if (balance?.available !== false) return { service, verdict: { ...seen, state: 'answers', detail } }
    const cure = 'top it up at platform.deepseek.com'
    return { service, verdict: { ...seen, state: 'fault', detail: 'the account has no balance', cure } }
  } catch (error) {
    const durationMs = performance.now() - startedAt
    return examinedBy(service, { ...sightingOf(error, limit.aborted), models: [], durationMs })
  }
}

function sightingOf(error: unknown, isLate: boolean): Pick<Sighting, 'state' | 'status'> {
  if (isLate || !ProviderError.isInstance(error)) return { state: isLate ? 'silent' : 'down', status: undefined }
  const { reason, status } = error
  if (reason === 'authentication' || reason === 'permission') return { state: 'locked', status }
  if (reason === 'quota') return { state: 'unpaid', status }
  if (status === undefined) return { state: reason === 'malformed-response' ? 'stranger' : 'down', status }
  return { state: status >= 500 || status === 429 ? 'failing' : 'stranger', status }
}

function balanceOf(balance: DeepSeekBalance | undefined): string {
  if (balance === undefined) return ''
  return `, balance ${balance.balances.map(({ total, currency }) => `${total.toFixed(2)} ${currency}`).join(' and ')}`
}

/** What a sighting means, and the cure. */
function verdictOn(service: Service, sighting: Sighting): Verdict {
  const { state, models, durationMs } = sighting
  if (state === 'up') return upVerdict(service, models, durationMs)
  if (state === 'down' && isOptional(service)) return { state: 'absent', detail: `nobody listens at ${usualPlaces(service)}` }
  if (state === 'stranger' && isOptional(service))
    return { state: 'absent', detail: `something else is at ${shownBaseURL(service)}` }
  return { state: 'fault', ...faults[state](service, sighting), durationMs }
}

/** Nobody said that it should be there: a server of one's own where it usually is. */
function isOptional(service: Service): boolean {
  return givenBaseURL(service) === undefined && isOwn(service)
}

/** On this machine or beside it: a local server, or a program like LM Studio that needs no key. */
function isOwn({ kind, keyVariables }: Service): boolean {
  return kind === 'local' || keyVariables.length === 0
}

function usualPlaces(service: Service): string {
  const { movedBaseURL } = service
  return movedBaseURL === undefined ? shownBaseURL(service) : `${shownBaseURL(service)} nor at ${movedBaseURL}`
}

type Fault = (service: Service, sighting: Sighting) => Required<Pick<Verdict, 'detail' | 'cure'>>

const faults: Readonly<Record<Exclude<Sighting['state'], 'up'>, Fault>> = {
  loading: (service, { status }) => ({
    detail: `${shownBaseURL(service)} still loads its model (${status})`,
    cure: 'wait until it is done',
  }),
  locked: (service, { status }) => ({
    detail: `the key is refused (${status})`,
    cure: `set ${keyVariableOf(service) ?? service.keyVariables[0] ?? 'a key'} to one that is good there`,
  }),
  unpaid: (_, { status }) => ({ detail: `the account has no credit (${status})`, cure: 'top it up' }),
  failing: (_, { status }) => ({
    detail: `it answers ${status}`,
    cure: status === 429 ? 'too many requests with this key, try again later' : 'the fault is on its side, try again later',
  }),
  silent: (service, { durationMs }) => ({
    detail: `${shownBaseURL(service)} was silent for ${duration(durationMs)}`,
    cure: networkCure(service),
  }),
  stranger: service => ({
    detail: `${shownBaseURL(service)} is no model server`,
    cure: `set ${service.baseURLVariable} to where it is${versionHint(service)}`,
  }),
  down: service => ({
    detail: `${shownBaseURL(service)} cannot be reached`,
    cure: isOwn(service) ? `start it, or mend ${service.baseURLVariable}` : networkCure(service),
  }),
}

/** Most servers have everything below /v1, and it is the part that is forgotten. */
function versionHint(service: Service): string {
  const shown = shownBaseURL(service)
  return service.kind === 'local' && service.name !== 'ollama' && !shown.endsWith('/v1') ? `, most likely ${shown}/v1` : ''
}

function upVerdict({ name, needsModel, kind }: Service, models: readonly string[], durationMs: number): Verdict {
  if (kind === 'local' && needsModel && models.length === 0) {
    const cure = name === 'ollama' ? 'ollama pull deepseek-r1' : 'start it with a model'
    return { state: 'fault', detail: 'it runs, but has no model', cure, durationMs }
  }
  const few = models.length > 0 && models.length <= 3 && kind === 'local'
  return { state: 'answers', detail: few ? models.join(', ') : countOf(models), models, durationMs }
}

function networkCure(service: Service): string {
  const { baseURLVariable } = service
  if (isOwn(service)) return `see what it does, or set ${baseURLVariable}`
  return `see whether this machine is online, and look at HTTPS_PROXY and ${baseURLVariable}`
}

function countOf(models: readonly string[]): string {
  if (models.length === 0) return 'no list of models'
  return models.length === 1 ? '1 model' : `${models.length} models`
}

/** A host is a step only with one of DeepSeek's models: a token for it may be there for other reasons. */
function stepFor(service: Service, finding: Finding): Step | undefined {
  if (service.kind === 'vendor') return stepOf(service, undefined)
  if (service.kind === 'local') return stepOf(service, localModel(service, finding))
  const model = isOwn(service) ? finding.models[0] : finding.models.find(name => /deepseek/i.test(name))
  return model === undefined ? undefined : stepOf(service, model)
}
