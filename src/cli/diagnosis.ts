import { deepseekBalance, type DeepSeekBalance, deepseekModels, ProviderError } from '../index.ts'
import { type Advice, adviceFor } from './advice.ts'
import { localModel } from './chain-from-environment.ts'
import { find, type ProbeOptions, type Sighting } from './probe.ts'
import { addressOf, givenBaseURL, keyVariableOf, type Service, shownBaseURL, type Step, stepOf } from './services.ts'
import { duration } from './terminal.ts'

/** The result for one service. It never contains a key or a part of one. */
export type Finding = {
  readonly name: string
  readonly kind: Service['kind']
  /** `answers`: usable as a step of the chain now. `absent`: no key or not running, which is not a fault. */
  readonly state: 'answers' | 'fault' | 'absent'
  readonly detail: string
  /** How to fix it; undefined if nothing has to be done. */
  readonly cure: string | undefined
  readonly baseURL: string
  /** The environment variable that holds the key. Its value is never reported. */
  readonly keyVariable: string | undefined
  readonly models: readonly string[]
  readonly durationMs: number | undefined
  /** For a self-hosted server: the changes that an expert on it would make. */
  readonly advice: readonly Advice[]
}

/** A finding and its step of the chain. There is a step if the service answers and a model is known. */
export type Diagnosis = {
  readonly finding: Finding
  readonly step: Step | undefined
  /** A key is set, but the service rejects it. */
  readonly isLocked: boolean
}

type Verdict = Pick<Finding, 'state' | 'detail'> & Partial<Pick<Finding, 'cure' | 'models' | 'durationMs'>>

/** The verdict on a service, with the address at which the service was found. */
type Examined = { readonly verdict: Verdict; readonly service: Service; readonly isLocked?: boolean }

/** Never rejects: every error becomes a finding. */
export async function diagnose(known: Service, options: ProbeOptions): Promise<Diagnosis> {
  const { verdict, service, isLocked = false } = await examine(known, options)
  const finding: Finding = {
    ...{ name: service.name, kind: service.kind, baseURL: shownBaseURL(service), keyVariable: keyVariableOf(service) },
    ...{ cure: undefined, models: [], durationMs: undefined, ...verdict },
    advice: verdict.state === 'answers' ? await adviceFor(service, verdict.models ?? [], options) : [],
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

/** The verdict that the environment alone allows; undefined if the service must be asked. */
function withoutAsking(service: Service): Verdict | undefined {
  const { keyVariables, kind, baseURLVariable } = service
  if (kind !== 'local' && keyVariables.length > 0 && keyVariableOf(service) === undefined) {
    return { state: 'absent', detail: 'no key', cure: `set ${keyVariables[0]}` }
  }
  if (addressOf(service) === undefined && kind === 'local') return { state: 'absent', detail: `no ${baseURLVariable}` }
  if (addressOf(service) === undefined) {
    return {
      state: 'fault',
      detail: 'a key is set, but no address',
      cure: `set ${baseURLVariable}, because every customer has a different address`,
    }
  }
  try {
    // runs the library's own checks of the key and the address
    stepOf(service, 'any')
  } catch (error) {
    return {
      state: 'fault',
      detail: (error instanceof Error ? error.message : String(error)).replace(/\.$/, ''),
      cure: 'correct that variable',
    }
  }
  return undefined
}

async function askDeepSeek(service: Service, { limitMs, signal }: ProbeOptions): Promise<Examined> {
  const startedAt = performance.now()
  const limit = AbortSignal.timeout(limitMs)
  const options = { baseURL: givenBaseURL(service), signal: AbortSignal.any([limit, signal]) }
  try {
    // a gateway in front of DeepSeek may not have the balance endpoint
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

/** Turns a probe result into a verdict with a cure. */
function verdictOn(service: Service, sighting: Sighting): Verdict {
  const { state, models, durationMs } = sighting
  if (state === 'up') return upVerdict(service, models, durationMs)
  if (state === 'down' && isOptional(service)) return { state: 'absent', detail: `nothing listens at ${usualPlaces(service)}` }
  if (state === 'stranger' && isOptional(service))
    return { state: 'absent', detail: `another program listens at ${shownBaseURL(service)}` }
  return { state: 'fault', ...faults[state](service, sighting), durationMs }
}

/** A self-hosted server at its default address: the user did not configure it, so it may be absent. */
function isOptional(service: Service): boolean {
  return givenBaseURL(service) === undefined && isOwn(service)
}

/** Self-hosted: a local server, or a program such as LM Studio that needs no key. */
function isOwn({ kind, keyVariables }: Service): boolean {
  return kind === 'local' || keyVariables.length === 0
}

function usualPlaces(service: Service): string {
  const { movedBaseURL } = service
  return movedBaseURL === undefined ? shownBaseURL(service) : `${shownBaseURL(service)} or at ${movedBaseURL}`
}

type Fault = (service: Service, sighting: Sighting) => Required<Pick<Verdict, 'detail' | 'cure'>>

const faults: Readonly<Record<Exclude<Sighting['state'], 'up'>, Fault>> = {
  loading: (service, { status }) => ({
    detail: `${shownBaseURL(service)} is still loading its model (${status})`,
    cure: 'wait until the model is loaded',
  }),
  locked: (service, { status }) => ({
    detail: `the key was refused (${status})`,
    cure: `set ${keyVariableOf(service) ?? service.keyVariables[0] ?? 'a key'} to a key that is valid there`,
  }),
  unpaid: (_, { status }) => ({ detail: `the account has no credit (${status})`, cure: 'top it up' }),
  failing: (_, { status }) => ({
    detail: `it answers ${status}`,
    cure:
      status === 429
        ? 'this key has sent too many requests: try again later'
        : 'the fault is on the side of the service: try again later',
  }),
  silent: (service, { durationMs }) => ({
    detail: `${shownBaseURL(service)} did not answer within ${duration(durationMs)}`,
    cure: networkCure(service),
  }),
  stranger: service => ({
    detail: `${shownBaseURL(service)} is not a model server`,
    cure: `set ${service.baseURLVariable} to its address${versionHint(service)}`,
  }),
  down: service => ({
    detail: `${shownBaseURL(service)} cannot be reached`,
    cure: isOwn(service) ? `start it, or correct ${service.baseURLVariable}` : networkCure(service),
  }),
}

/** Most servers have their API below /v1, which users often forget. */
function versionHint(service: Service): string {
  const shown = shownBaseURL(service)
  return service.kind === 'local' && service.name !== 'ollama' && !shown.endsWith('/v1') ? `, most likely ${shown}/v1` : ''
}

function upVerdict({ name, needsModel, kind }: Service, models: readonly string[], durationMs: number): Verdict {
  if (kind === 'local' && needsModel && models.length === 0) {
    const cure = name === 'ollama' ? 'ollama pull deepseek-r1' : 'start it with a model'
    return { state: 'fault', detail: 'it is running, but has no model', cure, durationMs }
  }
  const few = models.length > 0 && models.length <= 3 && kind === 'local'
  return { state: 'answers', detail: few ? models.join(', ') : countOf(models), models, durationMs }
}

function networkCure(service: Service): string {
  const { baseURLVariable } = service
  if (isOwn(service)) return `check whether it works, or set ${baseURLVariable}`
  return `check whether this machine is online, and check HTTPS_PROXY and ${baseURLVariable}`
}

function countOf(models: readonly string[]): string {
  if (models.length === 0) return 'it does not list its models'
  return models.length === 1 ? '1 model' : `${models.length} models`
}

/** A host becomes a step only with a DeepSeek model, because its token may be set for other reasons. */
function stepFor(service: Service, finding: Finding): Step | undefined {
  if (service.kind === 'vendor') return stepOf(service, undefined)
  if (service.kind === 'local') return stepOf(service, localModel(service, finding))
  const model = isOwn(service) ? finding.models[0] : finding.models.find(name => /deepseek/i.test(name))
  return model === undefined ? undefined : stepOf(service, model)
}
