import type { GenerateResult } from './answer.ts'
import { type Client, clockOf } from './client.ts'
import type { Clock, JsonSchema, Message, ToolCall } from './contract.ts'
import { UnbusyError } from './errors.ts'
import type { GenerateInput } from './options.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolDefinition } from './output/tool-set.ts'

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
}

export type ToolResult = ToolCall & {
  /** What `execute` answered; undefined when it threw. */
  readonly result: unknown
  readonly error: unknown
}

/** One answer of the model, and what the tools said to it. */
export type ToolStep = GenerateResult & { readonly toolResults: readonly ToolResult[] }

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
  const given = (typeof input === 'string' ? { prompt: input } : input) as RunToolsInput
  const { maxSteps = defaultSteps } = options
  if (!Number.isInteger(maxSteps) || maxSteps < 1) throw new TypeError('runTools: maxSteps must be a whole number, 1 or more.')
  const limits = limitsOf(given, clockOf(client))
  try {
    return (await run({ client, given, options, maxSteps, limits })) as never
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
}

async function run({ client, given, options, maxSteps, limits }: Run): Promise<RunToolsResult> {
  const { prompt, messages: beginning = [{ role: 'user', content: prompt ?? '' }], timeout, ...rest } = given
  const tools = Object.fromEntries(
    Object.entries(options.tools).map(([name, { description, inputSchema, strict }]) => [
      name,
      { description, inputSchema, strict },
    ]),
  )
  const messages: Message[] = [...beginning]
  const steps: ToolStep[] = []
  for (;;) {
    const result: GenerateResult = await client.generate({
      ...rest,
      ...{ messages: [...messages], tools, signal: limits.signal },
      timeout: limits.timeoutOf(timeout),
    })
    const { text, reasoningText, toolCalls } = result
    messages.push({ role: 'assistant', content: text, ...(reasoningText === '' ? undefined : { reasoningText }), toolCalls })
    const isLast = toolCalls.length === 0 || steps.length + 1 >= maxSteps
    const toolResults = isLast ? [] : await limits.within(execute(toolCalls, { options, messages: [...messages], limits }))
    steps.push({ ...result, toolResults })
    if (isLast) return { ...result, steps, messages }
    messages.push(...toolResults.map(toMessage))
  }
}

type Executing = { readonly options: AnyOptions; readonly messages: readonly Message[]; readonly limits: Limits }

async function execute(calls: readonly ToolCall[], { options, messages, limits }: Executing): Promise<ToolResult[]> {
  const one = async (call: ToolCall): Promise<ToolResult> => {
    try {
      // the answer was validated: there is no call of a tool that there is not
      const result = await options.tools[call.toolName]?.execute(call.input, {
        ...{ toolCallId: call.toolCallId, messages, signal: limits.signal },
      })
      return { ...call, result, error: undefined }
    } catch (error) {
      limits.signal.throwIfAborted()
      if (options.onToolError !== 'throw') return { ...call, result: undefined, error }
      limits.end(error)
      throw error
    }
  }
  return Promise.all(calls.map(one))
}

function toMessage({ toolCallId, toolName, result, error }: ToolResult): Message {
  return { role: 'tool', toolCallId, toolName, content: error === undefined ? textOf(result) : `Error: ${messageOf(error)}` }
}

function textOf(result: unknown): string {
  if (typeof result === 'string') return result
  return result === undefined ? 'null' : JSON.stringify(result)
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
  within(work: Promise<ToolResult[]>): Promise<ToolResult[]>
  end(reason: unknown): void
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
  return {
    signal: controller.signal,
    timeoutOf: given => (deadline === Infinity ? given : { ...given, totalMs: Math.max(0, deadline - clock.now()) }),
    within(work) {
      const { promise, resolve, reject } = Promise.withResolvers<ToolResult[]>()
      const stop = () => reject(controller.signal.reason)
      // while tools run; a step's own clock knows more to say about why it took so long
      if (deadline !== Infinity)
        timer = clock.setTimeout(() => controller.abort(outOfTime()), Math.max(0, deadline - clock.now()))
      if (controller.signal.aborted) stop()
      controller.signal.addEventListener('abort', stop, { once: true })
      work.then(resolve, reject)
      return promise.finally(() => {
        clock.clearTimeout(timer)
        controller.signal.removeEventListener('abort', stop)
      })
    },
    end: reason => controller.abort(reason),
    release() {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', follow)
    },
  }
}

function outOfTime(): UnbusyError {
  return new UnbusyError('runTools: the time of the whole run was over (timeout.totalMs) while tools ran.')
}
