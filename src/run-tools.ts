import type { GenerateResult } from './answer/answer.ts'
import { checkRunTools } from './check-run-tools.ts'
import { type Client, insideOf } from './client.ts'
import type { Clock, JsonSchema, Message, ToolCall } from './contract.ts'
import { leftAfter } from './cost-estimate.ts'
import { UnbusyError } from './errors.ts'
import type { GenerateInput } from './options.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolDefinition, ToolSet } from './output/tool-set.ts'
import { tellOne } from './telemetry/events.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { watchStep, watchTool } from './telemetry/watched.ts'

type MaybeSchema = StandardSchema | undefined
type ToolSchemas = { readonly [toolName: string]: StandardSchema | JsonSchema }

/** The second argument of a tool's `execute`. */
export type ToolContext = {
  readonly toolCallId: string
  /** The conversation up to the model's tool call. */
  readonly messages: readonly Message[]
  /** Fires when the caller aborts, when the run's time is over, and when another tool's error ends the run. */
  readonly signal: AbortSignal
}

/** Tools that are executed. */
export type ExecutableTools<Schemas extends ToolSchemas> = {
  readonly [Name in keyof Schemas]: {
    readonly description?: string | undefined
    readonly inputSchema: Schemas[Name]
    readonly strict?: boolean | undefined
    /** Does the work. The model receives its result: a string unchanged, anything else as JSON. */
    readonly execute: (
      input: Schemas[Name] extends StandardSchema ? InferOutput<Schemas[Name]> : unknown,
      context: ToolContext,
    ) => unknown
  }
}

/** The tools of a run, and when the run ends. See {@link runTools}. */
export type RunToolsOptions<Schemas extends ToolSchemas> = {
  /** The tools that the model may call, each with its `execute`. */
  readonly tools: ExecutableTools<Schemas>
  /** The maximum number of steps. Tool calls of the last step are returned and not executed. @default 10 */
  readonly maxSteps?: number | undefined
  /** `tell`: the model receives the error's message and may try something else. `throw`: the run rejects with the error. @default 'tell' */
  readonly onToolError?: 'tell' | 'throw' | undefined
  /** Called after each step, also after an interrupted one, so that no paid answer is lost. Exceptions that it throws are ignored. */
  readonly onStep?: ((step: ToolStep, messages: readonly Message[]) => void) | undefined
}

/** The last answer of a run, with all its steps. */
export type RunToolsResult<Output = unknown> = GenerateResult<Output> & {
  readonly steps: readonly ToolStep[]
  /** The whole conversation, ready to be continued. */
  readonly messages: readonly Message[]
}

/** The input of a run: a call's input without `tools` and `toolChoice`. */
export type RunToolsInput<Schema extends MaybeSchema = MaybeSchema> = Omit<
  GenerateInput<Schema, undefined>,
  'tools' | 'toolChoice'
>

const defaultSteps = 10

/**
 * Asks the chain, executes the tools that the model calls, and asks again with their results, until the model answers without a tool call.
 * Each step uses the whole chain. Each tool call is executed once, after a complete, validated answer; those of one answer run concurrently.
 *
 * @throws {RunToolsError} After the first step: no target answered, or the run's time was over. The error has the steps so far.
 * @throws What `generate()` throws, in the first step. The reason of `signal`, unchanged. A tool's error, with `onToolError: 'throw'`.
 *
 * @example
 * const { text, steps } = await runTools(client, 'Is it cold in Oslo?', {
 *   tools: { weather: { inputSchema: z.object({ city: z.string() }), execute: ({ city }) => lookUp(city) } },
 * })
 */
export async function runTools<const Schemas extends ToolSchemas, Schema extends MaybeSchema = undefined>(
  client: Client,
  input: string | RunToolsInput<Schema>,
  options: RunToolsOptions<Schemas>,
): Promise<RunToolsResult<Schema extends StandardSchema ? InferOutput<Schema> | undefined : undefined>> {
  checkRunTools(client, input, options)
  const given = (typeof input === 'string' ? { prompt: input } : input) as RunToolsInput
  const { maxSteps = defaultSteps } = options
  const { clock, telemetry } = insideOf(client)
  const limits = limitsOf(given, clock)
  const { prompt, messages = [{ role: 'user', content: prompt ?? '' }] } = given
  const run: Run = { client, given, options, maxSteps, limits, telemetry, steps: [], messages: [...messages] }
  try {
    return (await answerOf(run)) as never
  } catch (error) {
    throw withSteps(run, error)
  } finally {
    limits.release()
  }
}

type AnyTool = ToolDefinition & { readonly execute: (input: unknown, context: ToolContext) => unknown }
type AnyOptions = Omit<RunToolsOptions<ToolSchemas>, 'tools'> & { readonly tools: { readonly [toolName: string]: AnyTool } }
type Run = {
  readonly client: Client
  readonly given: RunToolsInput
  readonly options: AnyOptions
  readonly maxSteps: number
  readonly limits: Limits
  readonly telemetry: Telemetry | undefined
  readonly steps: ToolStep[]
  readonly messages: Message[]
}

async function answerOf(run: Run): Promise<RunToolsResult> {
  const { options, steps, messages, telemetry } = run
  const tools = Object.fromEntries(
    Object.entries(options.tools).map(([name, { description, inputSchema, strict }]) => [
      name,
      { description, inputSchema, strict },
    ]),
  )
  for (;;) {
    const step = steps.length + 1
    const last = await watchStep(telemetry, step, async () => takeStep(run, tools))
    if (last !== undefined) return { ...last, steps, messages }
  }
}

/** Asks once and executes the tool calls. Returns the answer if it is the last one. */
async function takeStep(run: Run, tools: ToolSet): Promise<GenerateResult | undefined> {
  const { client, maxSteps, limits, steps, messages } = run
  const { prompt: _, messages: __, timeout, maxCost, ...rest } = run.given
  const result: GenerateResult = await client.generate({
    ...rest,
    ...{ messages: [...messages], tools, signal: limits.signal },
    timeout: limits.timeoutOf(timeout),
    maxCost: leftAfter(steps, maxCost),
  })
  const { toolCalls } = result
  messages.push(result.message)
  const isLast = toolCalls.length === 0 || steps.length + 1 >= maxSteps
  const toolResults = isLast ? [] : toolCalls.map(call => ({ ...call, result: undefined, error: unanswered }))
  try {
    if (!isLast) await limits.within(execute(toolResults, run))
  } finally {
    // the answer was paid for, even if its tools were interrupted
    addStep(run, { ...result, toolResults: [...toolResults] })
  }
  return isLast ? result : undefined
}

/** The result of an interrupted tool. The model receives it too: servers answer 400 to a tool call without a result. */
const unanswered = new UnbusyError('The run ended before this tool finished.')

function addStep({ options, steps, messages }: Run, step: ToolStep): void {
  steps.push(step)
  messages.push(...step.toolResults.map(toMessage))
  const { onStep } = options
  if (onStep !== undefined) tellOne(told => onStep(told, [...messages]), step)
}

/** Errors that are not ours are thrown unchanged. */
function withSteps({ steps, messages, limits }: Run, error: unknown): unknown {
  const isOurs = UnbusyError.isInstance(error) && !limits.isTheirs(error)
  return isOurs && steps.length > 0 ? new RunToolsError({ steps, messages }, error) : error
}

/** Stores each result as soon as it comes, in the order of the calls, so that none is lost when the run is interrupted. */
async function execute(results: ToolResult[], { options, messages: soFar, limits, steps, telemetry }: Run): Promise<void> {
  const messages = [...soFar]
  const step = steps.length + 1
  const one = async ({ toolCallId, toolName, input }: ToolResult, index: number): Promise<void> => {
    const call = { toolCallId, toolName, input }
    try {
      // the answer was validated: every tool that it calls exists
      const work = async () => options.tools[toolName]?.execute(input, { toolCallId, messages, signal: limits.signal })
      const tool = { step, toolName, toolCallId, input }
      // a result that cannot be sent to the model is the tool's fault, and must not lose the steps so far
      const sent = async () => work().then(given => (textOf(given), given))
      const result = await watchTool({ telemetry, tool, signal: limits.signal }, sent)
      results[index] = { ...call, result, error: undefined }
    } catch (error) {
      limits.signal.throwIfAborted()
      results[index] = { ...call, result: undefined, error }
      if (options.onToolError !== 'throw') return
      limits.end(error)
      throw error
    }
  }
  await Promise.all(results.map(one))
}

function toMessage({ toolCallId, toolName, result, error }: ToolResult): Message {
  return { role: 'tool', toolCallId, toolName, content: error === undefined ? textOf(result) : `Error: ${messageOf(error)}` }
}

function textOf(result: unknown): string {
  if (typeof result === 'string') return result
  // despite its type, it returns undefined for undefined and for values that JSON cannot represent
  const text: string | undefined = JSON.stringify(result)
  return text ?? 'null'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// ---- one signal and one deadline for all steps

type Limits = {
  readonly signal: AbortSignal
  /** Returns the limits of the next step: no more time than the run has left. */
  timeoutOf(timeout: GenerateInput['timeout']): GenerateInput['timeout']
  /** Rejects as soon as the run is over, even if the tools go on. */
  within(work: Promise<void>): Promise<void>
  end(reason: unknown): void
  /** Whether the caller or a tool ended the run for this reason, and not the run's own timeout. */
  isTheirs(reason: unknown): boolean
  release(): void
}

function limitsOf({ signal, timeout }: RunToolsInput, clock: Clock): Limits {
  const controller = new AbortController()
  const { totalMs } = timeout ?? {}
  const deadline = totalMs === undefined ? Infinity : clock.now() + totalMs
  const follow = () => controller.abort(signal?.reason)
  if (signal?.aborted === true) follow()
  signal?.addEventListener('abort', follow, { once: true })
  let timer: unknown
  let outOfTime: UnbusyError | undefined
  return {
    signal: controller.signal,
    timeoutOf: given => (deadline === Infinity ? given : { ...given, totalMs: Math.max(0, deadline - clock.now()) }),
    within(work) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const stop = () => reject(controller.signal.reason)
      // only while tools run: during a request, the step's own clock gives a better reason
      const onTimeout = () => {
        outOfTime = new UnbusyError('The time of the whole run ran out (timeout.totalMs) while tools were running.')
        controller.abort(outOfTime)
      }
      if (deadline !== Infinity) timer = clock.setTimeout(onTimeout, Math.max(0, deadline - clock.now()))
      if (controller.signal.aborted) stop()
      controller.signal.addEventListener('abort', stop, { once: true })
      work.then(resolve, reject)
      return promise.finally(() => {
        clock.clearTimeout(timer)
        controller.signal.removeEventListener('abort', stop)
      })
    },
    end: reason => controller.abort(reason),
    isTheirs: reason => reason === controller.signal.reason && reason !== outOfTime,
    release() {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', follow)
    },
  }
}

/** A tool call with what its tool returned, or threw. */
export type ToolResult = ToolCall & {
  /** The value that `execute` returned; undefined if it threw, or had not finished when the run ended. */
  readonly result: unknown
  readonly error: unknown
}

/** One answer of the model, with the results of its tool calls. */
export type ToolStep = GenerateResult & { readonly toolResults: readonly ToolResult[] }

type Conversation = {
  readonly steps: readonly ToolStep[]
  readonly messages: readonly Message[]
}

/**
 * `runTools()` ended between its first step and its answer: its time was over, or no target answered. The error has the paid steps so
 * far. `cause` is the reason; if no target answered, it is the `ChainExhaustedError`.
 */
export class RunToolsError extends UnbusyError {
  override readonly name = 'RunToolsError'
  readonly #conversation: Conversation

  constructor({ steps, messages }: Conversation, cause: UnbusyError) {
    super(`runTools: no answer after ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}. ${cause.message}`, { cause })
    this.#conversation = { steps, messages }
  }

  /** The steps so far. In the last one, a tool that had not finished has an `error` that says so. No logger shows them. */
  get steps(): readonly ToolStep[] {
    return this.#conversation.steps
  }

  /** The conversation so far, ready to be continued. No logger shows it. */
  get messages(): readonly Message[] {
    return this.#conversation.messages
  }

  static override isInstance(value: unknown): value is RunToolsError {
    return UnbusyError.isInstance(value) && value.name === 'RunToolsError'
  }
}
