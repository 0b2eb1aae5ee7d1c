import { deepseekBalance, type DeepSeekBalance, deepseekModels, ProviderError } from '../index.ts'
import { localModel } from './chain-from-environment.ts'
import { probe, type ProbeOptions, type Sighting } from './probe.ts'
import { givenBaseURL, keyVariableOf, type Service, shownBaseURL, type Step, stepOf } from './services.ts'
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
export type Diagnosis = { readonly finding: Finding; readonly step: Step | undefined }

type Verdict = Pick<Finding, 'state' | 'detail'> & Partial<Pick<Finding, 'cure' | 'models' | 'durationMs'>>

/** Never rejects: whatever happens is a finding. */
export async function diagnose(service: Service, options: ProbeOptions): Promise<Diagnosis> {
  const verdict = await verdictOf(service, options)
  const finding: Finding = {
    ...{ name: service.name, kind: service.kind, baseURL: shownBaseURL(service), keyVariable: keyVariableOf(service) },
    ...{ cure: undefined, models: [], durationMs: undefined, ...verdict },
  }
  return { finding, step: finding.state === 'answers' ? stepFor(service, finding) : undefined }
}

async function verdictOf(service: Service, options: ProbeOptions): Promise<Verdict> {
  const { keyVariables, kind, baseURLVariable } = service
  if (kind !== 'local' && keyVariables.length > 0 && keyVariableOf(service) === undefined) {
    return { state: 'absent', detail: 'no key', cure: `set ${keyVariables[0]}` }
  }
  if (givenBaseURL(service) === undefined && service.defaultBaseURL === undefined) {
    return { state: 'fault', detail: 'a key, but no address', cure: `set ${baseURLVariable}: every customer has one of his own` }
  }
  try {
    // the library's own checks of the key and the address
    stepOf(service, 'any')
  } catch (error) {
    return { state: 'fault', detail: error instanceof Error ? error.message : String(error), cure: 'mend that variable' }
  }
  if (service.name === 'deepseek') return askDeepSeek(service, options)
  return verdictOn(service, await probe(service, options))
}

async function askDeepSeek(service: Service, { limitMs, signal }: ProbeOptions): Promise<Verdict> {
  const startedAt = performance.now()
  const limit = AbortSignal.timeout(limitMs)
  const options = { baseURL: givenBaseURL(service), signal: AbortSignal.any([limit, signal]) }
  try {
    // a gateway before DeepSeek may have no page for the balance
    const [models, balance] = await Promise.all([deepseekModels(options), deepseekBalance(options).catch(() => undefined)])
    const seen = { models: models.map(({ id }) => id), durationMs: performance.now() - startedAt }
    if (balance?.available === false) {
      return { ...seen, state: 'fault', detail: 'the account has no balance', cure: 'top it up at platform.deepseek.com' }
    }
    return { ...seen, state: 'answers', detail: `${countOf(seen.models)}${balanceOf(balance)}` }
  } catch (error) {
    const durationMs = performance.now() - startedAt
    return verdictOn(service, { ...sightingOf(error, limit.aborted), models: [], durationMs })
  }
}

function sightingOf(error: unknown, isLate: boolean): Pick<Sighting, 'state' | 'status'> {
  if (isLate || !ProviderError.isInstance(error)) return { state: isLate ? 'silent' : 'down', status: undefined }
  const { reason, status } = error
  if (reason === 'authentication' || reason === 'permission') return { state: 'locked', status }
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
  if (state === 'down' && isOptional(service)) return { state: 'absent', detail: `nobody listens at ${shownBaseURL(service)}` }
  if (state === 'stranger' && isOptional(service))
    return { state: 'absent', detail: `something else is at ${shownBaseURL(service)}` }
  return { state: 'fault', ...faults[state](service, sighting), durationMs }
}

/** Nobody said that it should be there: a server of one's own where it usually is. */
function isOptional(service: Service): boolean {
  return givenBaseURL(service) === undefined && (service.kind === 'local' || service.keyVariables.length === 0)
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
  failing: (_, { status }) => ({ detail: `it answers ${status}`, cure: 'the fault is on its side, try again later' }),
  silent: (service, { durationMs }) => ({
    detail: `${shownBaseURL(service)} was silent for ${duration(durationMs)}`,
    cure: networkCure(service),
  }),
  stranger: service => ({
    detail: `${shownBaseURL(service)} is no model server`,
    cure: `set ${service.baseURLVariable} to where it is`,
  }),
  down: service => ({
    detail: `${shownBaseURL(service)} cannot be reached`,
    cure: service.kind === 'local' ? `start it, or mend ${service.baseURLVariable}` : networkCure(service),
  }),
}

function upVerdict({ name, needsModel, kind }: Service, models: readonly string[], durationMs: number): Verdict {
  if (kind === 'local' && needsModel && models.length === 0) {
    const cure = name === 'ollama' ? 'ollama pull deepseek-r1' : 'start it with a model'
    return { state: 'fault', detail: 'it runs, but has no model', cure, durationMs }
  }
  const few = models.length > 0 && models.length <= 3 && kind === 'local'
  return { state: 'answers', detail: few ? models.join(', ') : countOf(models), models, durationMs }
}

function networkCure({ kind, baseURLVariable }: Service): string {
  if (kind === 'local') return `see what it does, or set ${baseURLVariable}`
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
  const model = finding.models.find(name => /deepseek/i.test(name))
  return model === undefined ? undefined : stepOf(service, model)
}
