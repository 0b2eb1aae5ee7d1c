import type { Call } from '../contract.ts'
import type { ClientEvent, EventListener } from '../contract-events.ts'
import { tellOne } from './events.ts'
import type {
  TelemetryAnswer,
  TelemetryAttempt,
  TelemetryClient,
  TelemetryEnd,
  TelemetryHooks,
  TelemetryPart,
  TelemetryStep,
  TelemetryTool,
} from './part.ts'

/** An attempt with its whole call. Each part receives only the fields that it may see. */
export type FullAttempt = Omit<TelemetryAttempt, 'call'> & { readonly call: Call }

/** All telemetry parts of one client, combined. */
export type Telemetry = {
  /** Makes one request, wrapped by every part. Undefined if no part wraps requests. */
  readonly around: ((attempt: FullAttempt, run: () => Promise<void>) => Promise<void>) | undefined
  /** Delivers one event, wrapped by every part. Undefined if no part wraps events. */
  readonly aroundEvent: ((event: ClientEvent, tell: EventListener) => void) | undefined
  /** Undefined if no part adds headers. */
  readonly headers: ((attempt: FullAttempt) => Readonly<Record<string, string>> | undefined) | undefined
  /** Undefined if no part asks for content. */
  readonly onAnswer: ((attempt: FullAttempt, answer: TelemetryAnswer) => void) | undefined
  aroundStep(step: TelemetryStep, run: () => Promise<TelemetryEnd>): Promise<TelemetryEnd>
  aroundTool(tool: TelemetryTool, run: () => Promise<TelemetryEnd>): Promise<TelemetryEnd>
  close(): void
}

/**
 * Attaches every part to a client. Throws if the `attach` of a part throws or does not return hooks, because a part that is silently
 * missing would only be noticed in the first outage. The parts that were attached before are then closed.
 *
 * @param listeners receives the `onEvent` of each part
 */
export function createTelemetry(
  parts: readonly TelemetryPart[],
  { client, listeners }: { readonly client: TelemetryClient; readonly listeners: EventListener[] },
): Telemetry | undefined {
  if (parts.length === 0) return undefined
  const all: TelemetryHooks[] = []
  try {
    for (const [index, part] of parts.entries()) all.push(attached(part, client, index))
  } catch (error) {
    closeAll(all)
    throw error
  }
  for (const hooks of all) if (hooks.onEvent !== undefined) listeners.push(event => hooks.onEvent?.(event))
  return {
    around: aroundOf(all),
    aroundEvent: aroundEventOf(all),
    headers: headersOf(all),
    onAnswer: answersOf(all),
    aroundStep: (step, run) => nested(all, run, (hooks, inner) => hooks.aroundStep?.(step, withoutResult(inner))),
    aroundTool: (tool, run) =>
      nested(all, run, (hooks, inner) =>
        hooks.content === true ? hooks.aroundTool?.(tool, inner) : hooks.aroundTool?.(withoutInput(tool), withoutResult(inner)),
      ),
    close() {
      closeAll(all)
      all.splice(0)
    },
  }
}

const hookNames = ['onEvent', 'around', 'aroundEvent', 'headers', 'onAnswer', 'aroundStep', 'aroundTool', 'close'] as const

function attached(part: TelemetryPart, client: TelemetryClient, index: number): TelemetryHooks {
  if (part.attach === undefined) return part
  const hooks: unknown = part.attach(client)
  const name = `createClient: telemetry[${index}]`
  if (typeof hooks !== 'object' || hooks === null)
    throw new TypeError(`${name}: attach must return an object of hooks, for example { onEvent(event) {} }.`)
  if ('then' in hooks) {
    // its rejection must not end the process
    tellOne(() => hooks, undefined)
    throw new TypeError(
      `${name}: attach returned a promise. Write attach(client) { ... } without async, and wait before createClient.`,
    )
  }
  for (const hook of hookNames) {
    const found: unknown = Reflect.get(hooks, hook)
    if (found !== undefined && typeof found !== 'function')
      throw new TypeError(`${name}: attach returned ${hook}, which is not a function. Write ${hook}() { ... }.`)
  }
  return hooks
}

function closeAll(all: readonly TelemetryHooks[]): void {
  for (const hooks of all) tellOne(() => hooks.close?.(), undefined)
}

function aroundOf(all: readonly TelemetryHooks[]): Telemetry['around'] {
  const those = all.filter(hooks => hooks.around !== undefined)
  if (those.length === 0) return undefined
  return (attempt, run) => nested(those, run, (hooks, inner) => hooks.around?.(shownTo(hooks, attempt), inner))
}

function aroundEventOf(all: readonly TelemetryHooks[]): Telemetry['aroundEvent'] {
  const those = all.filter(hooks => hooks.aroundEvent !== undefined)
  if (those.length === 0) return undefined
  return (event, tell) => {
    if (event.type !== 'attempt-end' && event.type !== 'call-end') return tell(event)
    nested(
      those,
      () => tell(event),
      (hooks, inner) => hooks.aroundEvent?.(event, inner),
    )
  }
}

function headersOf(all: readonly TelemetryHooks[]): Telemetry['headers'] {
  const those = all.filter(hooks => hooks.headers !== undefined)
  if (those.length === 0) return undefined
  return attempt => {
    const headers: Record<string, string> = {}
    for (const hooks of those)
      tellOne(() => {
        const given = hooks.headers?.(shownTo(hooks, attempt))
        addHeaders(headers, given)
        return given
      }, undefined)
    return headers
  }
}

/** Skips headers that are invalid in HTTP or that describe the body: a part must not break a request. */
function addHeaders(headers: Record<string, string>, given: Readonly<Record<string, string>> | undefined): void {
  for (const [name, value] of Object.entries(given ?? {})) {
    const lower = name.toLowerCase()
    if (isSendable(name, value) && !framing.has(lower)) headers[lower] = value
  }
}

function isSendable(name: string, value: unknown): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && typeof value === 'string' && !/[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)
}

const framing = new Set([
  ...['accept-encoding', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'keep-alive'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade'],
])

function answersOf(all: readonly TelemetryHooks[]): Telemetry['onAnswer'] {
  const those = all.filter(hooks => hooks.onAnswer !== undefined && hooks.content === true)
  if (those.length === 0) return undefined
  return (attempt, answer) => {
    for (const hooks of those) tellOne(() => hooks.onAnswer?.(attempt, answer), undefined)
  }
}

/** Without `content`, a part receives no prompts, so that its author cannot put one into a span by mistake. */
function shownTo(hooks: TelemetryHooks, attempt: FullAttempt): TelemetryAttempt {
  if (hooks.content === true) return attempt
  const { model, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, metadata } = attempt.call
  const output = attempt.call.output === undefined ? undefined : { type: attempt.call.output.type }
  return { ...attempt, call: { model, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, metadata, output } }
}

function withoutInput({ step, toolName, toolCallId }: TelemetryTool): TelemetryTool {
  return { step, toolName, toolCallId }
}

function withoutResult(run: () => Promise<TelemetryEnd>): () => Promise<TelemetryEnd> {
  return () => run().then(({ errorType }) => ({ errorType }))
}

/**
 * Wraps `run` with each part, the first one outermost. `run` is called exactly once, whatever the parts do.
 *
 * @param around calls the hook of one part
 */
function nested<Result>(
  parts: readonly TelemetryHooks[],
  run: () => Result,
  around: (hooks: TelemetryHooks, inner: () => Result) => unknown,
): Result {
  let next = once(run)
  for (const hooks of parts.toReversed()) {
    const inner = next
    next = once(() => {
      tellOne(() => around(hooks, inner), undefined)
      return inner()
    })
  }
  return next()
}

function once<Result>(run: () => Result): () => Result {
  let done: { readonly result: Result } | undefined
  return () => (done ??= { result: run() }).result
}
