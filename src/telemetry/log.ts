import type { AttemptRecord, ClientEvent, EventListener } from '../contract.ts'
import { ChainExhaustedError } from '../errors.ts'
import { tellOne } from './events.ts'

/** What a logger must be able to do: pino's order of arguments, fields first. */
export type Logger = {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/**
 * Turns events into lines: one for each attempt that failed, one for each call, one for each change of a target's health. No prompt, no
 * answer and no key is in any of them.
 */
export function logEvents(given: Logger): EventListener {
  const logger = unheard(fieldsFirst(given))
  return event => {
    switch (event.type) {
      case 'attempt-end':
        return event.record.outcome === 'failed'
          ? logger.warn(attemptFields(event.callId, event.record), 'attempt failed')
          : undefined
      case 'call-end':
        return logCall(logger, event)
      case 'health-change': {
        const { provider, model, name, state, reason, untilMs, sinceMs } = event
        return logger.info({ provider, model, name, state, reason, untilMs, sinceMs }, 'health changed')
      }
      case 'local-network-suspected':
        return logger.warn({ providers: event.providers }, 'several services cannot be reached: is it our own network?')
      case 'health-store':
        return logger.warn({ state: event.state, detail: event.message }, 'shared health store')
      default:
        return undefined
    }
  }
}

/** A logger may write by promises. What it does not manage to write must not end the process (F82). */
function unheard(logger: Logger): Logger {
  return {
    debug: (fields, message) => tellOne(line => logger.debug(line, message), fields),
    info: (fields, message) => tellOne(line => logger.info(line, message), fields),
    warn: (fields, message) => tellOne(line => logger.warn(line, message), fields),
  }
}

/** winston takes the message first. Of fields that come first it makes the whole line, and the message is lost. */
function fieldsFirst(logger: Logger): Logger {
  if (!isWinston(logger)) return logger
  return {
    debug: (fields, message) => logger.debug(message, fields),
    info: (fields, message) => logger.info(message, fields),
    warn: (fields, message) => logger.warn(message, fields),
  }
}

type Winston = { readonly [level in keyof Logger]: (message: string, fields: object) => void }

/** Only winston's loggers have these. */
function isWinston(logger: object): logger is Winston {
  return 'transports' in logger && 'exceptions' in logger && 'profile' in logger
}

function attemptFields(callId: number, record: AttemptRecord): object {
  const { provider, model, name, attempt, reason, status, clock, requestId, durationMs, message } = record
  return {
    callId,
    provider,
    model,
    name,
    attempt,
    reason,
    status,
    clock,
    requestId,
    durationMs: Math.round(durationMs),
    detail: message,
  }
}

function logCall(logger: Logger, event: ClientEvent & { type: 'call-end' }): void {
  const { callId, outcome, provider, model, usage } = event
  const fields = {
    callId,
    outcome,
    provider,
    model,
    usage,
    attempts: event.attempts.length,
    durationMs: Math.round(event.durationMs),
  }
  if (outcome === 'failed' || outcome === 'degraded')
    logger.warn({ ...fields, ...whyOf(event.error) }, 'call not answered by any target')
  else logger.info(fields, outcome === 'aborted' ? 'call aborted' : 'call answered')
}

function whyOf(error: unknown): object {
  if (!ChainExhaustedError.isInstance(error)) return {}
  const { reason, status, retryAfterMs, trail } = error
  return { reason, status, retryAfterMs, trail }
}
