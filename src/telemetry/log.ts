import type { AttemptRecord, ClientEvent, EventListener } from '../contract-events.ts'
import { ChainExhaustedError } from '../errors.ts'
import { tellOne } from './events.ts'

/** The methods that a logger needs. The order of arguments is pino's: fields first. */
export type Logger = {
  /** Used for waits, skips and successful pings. */
  debug(fields: object, message: string): void
  /** Used for calls that were answered or aborted, and for changes of health. */
  info(fields: object, message: string): void
  /** Used for failed attempts, calls and pings, for targets that are down, and for trouble with the network or the store. */
  warn(fields: object, message: string): void
}

/**
 * Writes a line for each failed attempt, each call and each change of a target's health; waits and skips have the level debug. No line
 * contains a prompt, an answer or a key. Fields with an OpenTelemetry name are also written under that name.
 */
export function logEvents(given: Logger): EventListener {
  const logger = unheard(fieldsFirst(childOf(given)))
  return event => {
    switch (event.type) {
      case 'attempt-end':
        return event.record.outcome === 'failed'
          ? logger.warn(attemptFields(event.callId, event.record), 'attempt failed')
          : undefined
      case 'call-end':
        return logCall(logger, event)
      case 'health-change': {
        const { state, untilMs, sinceMs } = event
        const fields = { ...targetFields(event), state, untilMs, sinceMs }
        return state === 'open' ? logger.warn(fields, 'health changed') : logger.info(fields, 'health changed')
      }
      case 'keep-warm': {
        const { job, ok, durationMs } = event
        const fields = { ...targetFields(event), job, durationMs: Math.round(durationMs) }
        return ok ? logger.debug(fields, 'kept warm') : logger.warn(fields, 'not kept warm')
      }
      case 'wait': {
        const { callId, attempt, waitMs } = event
        return logger.debug({ callId, ...targetFields(event), attempt, waitMs: Math.round(waitMs) }, 'waits')
      }
      case 'target-skip': {
        return logger.debug({ callId: event.callId, ...targetFields(event) }, 'target skipped')
      }
      case 'local-network-suspected':
        return logger.warn(
          { providers: event.providers },
          'several services cannot be reached, so the fault may be in the network of this process',
        )
      case 'health-store':
        return logger.warn({ state: event.state, detail: event.message }, 'the store of the shared health changed its state')
      default:
        return undefined
    }
  }
}

type Parent = { readonly child: (bindings: object) => unknown; readonly bindings?: () => object }

/**
 * Makes one child logger per client, so that its lines can be told apart. If the parent already has a `module` field, the child does not
 * set one: pino would write the key twice, which strict JSON parsers reject.
 */
function childOf(logger: Logger): Logger {
  if (!hasChildren(logger)) return logger
  try {
    if ('module' in (logger.bindings?.() ?? {})) return logger
    const child: unknown = logger.child({ module: 'unbusy' })
    return isLogger(child) ? child : logger
  } catch {
    return logger
  }
}

function hasChildren(logger: Logger): logger is Logger & Parent {
  return 'child' in logger && typeof logger.child === 'function'
}

function isLogger(value: unknown): value is Logger {
  const methods = ['debug', 'info', 'warn']
  return typeof value === 'object' && value !== null && methods.every(method => typeof Reflect.get(value, method) === 'function')
}

type Named = {
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly reason?: string | undefined
  readonly status?: number | undefined
}

/** The fields under their OpenTelemetry names. */
function namesOf({ provider, model, reason, status }: Named): object {
  return {
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    'error.type': reason,
    'http.response.status_code': status,
  }
}

/** A logger may return promises. A rejected one must not end the process (F82). */
function unheard(logger: Logger): Logger {
  return {
    debug: (fields, message) => tellOne(line => logger.debug(line, message), fields),
    info: (fields, message) => tellOne(line => logger.info(line, message), fields),
    warn: (fields, message) => tellOne(line => logger.warn(line, message), fields),
  }
}

/** Swaps the arguments for winston, which expects the message first and would otherwise lose it. */
function fieldsFirst(logger: Logger): Logger {
  if (!isWinston(logger)) return logger
  return {
    debug: (fields, message) => logger.debug(message, fields),
    info: (fields, message) => logger.info(message, fields),
    warn: (fields, message) => logger.warn(message, fields),
  }
}

type Winston = { readonly [level in keyof Logger]: (message: string, fields: object) => void }

/** Checks for properties that only winston's loggers have. */
function isWinston(logger: object): logger is Winston {
  return 'transports' in logger && 'exceptions' in logger && 'profile' in logger
}

type OfTarget = Named & Pick<AttemptRecord, 'provider' | 'model' | 'name' | 'targetIndex'>

/** What names a target in every line about one. `name` would be there twice: pino has a field of that name. */
function targetFields(of: OfTarget): object {
  const { provider, model, name, targetIndex, reason } = of
  return { provider, model, target: name, targetIndex, reason, ...namesOf(of) }
}

function attemptFields(callId: number, record: AttemptRecord): object {
  const { attempt, status, clock, requestId, durationMs, message } = record
  const { responseId, responseModel, finishReason, kind, cost } = record
  return {
    callId,
    ...targetFields(record),
    attempt,
    status,
    clock,
    requestId,
    responseId,
    responseModel,
    finishReason,
    kind,
    cost,
    durationMs: Math.round(durationMs),
    detail: message,
    'gen_ai.response.id': responseId,
    'gen_ai.response.model': responseModel,
  }
}

function logCall(logger: Logger, event: ClientEvent & { type: 'call-end' }): void {
  const { callId, outcome, provider, model, targetIndex, step, usage, cost, metadata } = event
  const fields = {
    callId,
    outcome,
    provider,
    model,
    targetIndex,
    step,
    usage,
    cost,
    metadata: labelsOf(metadata),
    attempts: event.attempts.length,
    durationMs: Math.round(event.durationMs),
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    'gen_ai.usage.input_tokens': usage?.inputTokens,
    'gen_ai.usage.output_tokens': usage?.outputTokens,
  }
  if (outcome === 'failed' || outcome === 'degraded')
    logger.warn({ ...fields, ...whyOf(event.error) }, 'no target answered the call')
  else logger.info(fields, outcome === 'aborted' ? 'call aborted' : 'call answered')
}

/** The strings of `metadata` that may be logged: ids and names. A string with spaces may be part of a prompt. */
const label = /^[^\s\p{C}]{1,64}$/u

/** Returns the metadata that cannot be a prompt: numbers, booleans and strings like ids. Undefined if there is none. */
function labelsOf(metadata: object): object | undefined {
  const entries = Object.entries(metadata)
  if (entries.length === 0) return undefined
  const labels = entries.filter(
    ([, value]) => ['number', 'boolean'].includes(typeof value) || (typeof value === 'string' && label.test(value)),
  )
  return labels.length === 0 ? undefined : Object.fromEntries(labels)
}

function whyOf(error: unknown): object {
  // a bug, for example in a provider: its message may quote anything, its name says where to look
  if (!ChainExhaustedError.isInstance(error)) return error instanceof Error ? { 'error.type': error.name } : {}
  const { reason, status, retryAfterMs, trail } = error
  return { reason, status, retryAfterMs, trail, 'error.type': reason, 'http.response.status_code': status }
}
