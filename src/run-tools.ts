import type { GenerateResult } from './answer/answer.ts'
import { checkRunTools } from './check-run-tools.ts'
import { type Client, clockOf } from './client.ts'
import type { Clock, JsonSchema, Message } from './contract.ts'
import { UnbusyError } from './errors.ts'
import type { GenerateInput } from './options.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolDefinition } from './output/tool-set.ts'
import { RunToolsError, type ToolResult, type ToolStep } from './run-tools-error.ts'
import { tellOne } from './telemetry/events.ts'

type MaybeSchema = StandardSchema | undefined
type ToolSchemas = { readonly [toolName: string]: StandardSchema | JsonSchema }

/** What a tool is told besides its input. */
export type ToolContext = {
  readonly toolCallId: string
  /** The conversation up to the model's call. */
  readonly messages: readonly Message[]
  /** Fires when the caller aborts, when the time of the whole run is over, and when another tool of the step threw and that ends it. */
  readonly signal: AbortSignal
}

/** Tools that are executed. What `execute` answers is told to the model: a text as it is, anything else as JSON. */
export type ExecutableTools<Schemas extends ToolSchemas> = {
  readonly [Name in keyof Schemas]: {
    readonly description?: string | undefined
    readonly inputSchema: Schemas[Name]
    readonly strict?: boolean | undefined
    readonly execute: (
      input: Schemas[Name] extends StandardSchema ? InferOutput<Schemas[Name]> : unknown,
      context: ToolContext,
    ) => unknown
  }
}

export type RunToolsOptions<Schemas extends ToolSchemas> = {
  readonly tools: ExecutableTools<Schemas>
  /** How often the model is asked. The tool calls of the last answer are handed back and not executed. @default 10 */
  readonly maxSteps?: number | undefined
  /** `tell`: the model is told the error's message and may try something else. `throw`: the run rejects with the error. @default 'tell' */
  readonly onToolError?: 'tell' | 'throw' | undefined
  /**
   * Hears of every step when its tools have answered, and of the one during which the run was ended: also an abort loses no answer that
   * was paid for. One that throws harms nothing.
   */
  readonly onStep?: ((step: ToolStep, messages: readonly Message[]) => void) | undefined
}

export type RunToolsResult<Output = unknown> = GenerateResult<Output> & {
  readonly steps: readonly ToolStep[]
  /** The whole conversation, ready to be gone on with. */
  readonly messages: readonly Message[]
}

export type RunToolsInput<Schema extends MaybeSchema = MaybeSchema> = Omit<
  GenerateInput<Schema, undefined>,
  'tools' | 'toolChoice'
>

const defaultSteps = 10

/**
 * Asks, executes the tools that the model calls, and asks again with what they answered, until it answers without calling any. Each step
 * walks the whole chain by itself; a step that was retried or answered by another target executes its tools once, because only a whole
 * validated answer does. Tools called in one answer run at the same time. `signal` and `timeout.totalMs` hold for the whole run.
 *
 * @throws {RunToolsError} After the first step: no target answered, or the time of the whole run was over. It holds the steps so far.
 * @throws What `generate()` throws, in the first step. The reason of `signal`, untouched. What a tool threw, with `onToolError: 'throw'`.
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
  const limits = limitsOf(given, clockOf(client))
  const { prompt, messages = [{ role: 'user', content: prompt ?? '' }] } = given
  const run: Run = { client, given, options, maxSteps, limits, steps: [], messages: [...messages] }
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
  readonly steps: ToolStep[]
  readonly messages: Message[]
}

async function answerOf(run: Run): Promise<RunToolsResult> {
  const { client, options, maxSteps, limits, steps, messages } = run
  const { prompt: _, messages: __, timeout, ...rest } = run.given
  const tools = Object.fromEntries(
    Object.entries(options.tools).map(([name, { description, inputSchema, strict }]) => [
      name,
      { description, inputSchema, strict },
    ]),
  )
  for (;;) {
    const result: GenerateResult = await client.generate({
      ...rest,
      ...{ messages: [...messages], tools, signal: limits.signal },
      timeout: limits.timeoutOf(timeout),
    })
    const { text, reasoningText, toolCalls } = result
    messages.push({ role: 'assistant', content: text, ...(reasoningText === '' ? undefined : { reasoningText }), toolCalls })
    const isLast = toolCalls.length === 0 || steps.length + 1 >= maxSteps
    const toolResults = isLast ? [] : toolCalls.map(call => ({ ...call, result: undefined, error: unanswered }))
    try {
      if (!isLast) await limits.within(execute(toolResults, run))
    } finally {
      // the answer was paid for, also when its tools are not let finish
      addStep(run, { ...result, toolResults: [...toolResults] })
    }
    if (isLast) return { ...result, steps, messages }
  }
}

/** What a tool answers that never came to answer. The model is told so too: a call without a result would be a 400. */
const unanswered = new UnbusyError('The run ended before this tool answered.')

function addStep({ options, steps, messages }: Run, step: ToolStep): void {
  steps.push(step)
  messages.push(...step.toolResults.map(toMessage))
  const { onStep } = options
  if (onStep !== undefined) tellOne(told => onStep(told, [...messages]), step)
}

/** What is not ours is thrown as it is. */
function withSteps({ steps, messages, limits }: Run, error: unknown): unknown {
  const isOurs = UnbusyError.isInstance(error) && !limits.isTheirs(error)
  return isOurs && steps.length > 0 ? new RunToolsError({ steps, messages }, error) : error
}

/** Puts each result in the place of its call as it comes, so that none is lost when the run is ended before the others. */
async function execute(results: ToolResult[], { options, messages: soFar, limits }: Run): Promise<void> {
  const messages = [...soFar]
  const one = async ({ toolCallId, toolName, input }: ToolResult, index: number): Promise<void> => {
    const call = { toolCallId, toolName, input }
    try {
      // the answer was validated: there is no call of a tool that there is not
      const result = await options.tools[toolName]?.execute(input, { toolCallId, messages, signal: limits.signal })
      // what cannot be told to the model is the tool's fault, and must not cost the steps
      textOf(result)
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
  // of undefined, and of what JSON has no word for, it makes undefined, whatever its type says
  const text: string | undefined = JSON.stringify(result)
  return text ?? 'null'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// ---- one signal and one deadline for all steps

type Limits = {
  readonly signal: AbortSignal
  /** The limits of the next step: no more time than the run has left. */
  timeoutOf(timeout: GenerateInput['timeout']): GenerateInput['timeout']
  /** Rejects as soon as the run is over, whatever the tools do. */
  within(work: Promise<void>): Promise<void>
  end(reason: unknown): void
  /** It was ended for this reason by the caller or by a tool: not because its time was over. */
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
      // while tools run; a step's own clock knows more to say about why it took so long
      const onTimeout = () => {
        outOfTime = new UnbusyError('The time of the whole run was over (timeout.totalMs) while tools ran.')
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
