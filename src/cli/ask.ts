import { text as readAll } from 'node:stream/consumers'
import type { EventListener } from '../contract-events.ts'
import {
  type Client,
  createClient,
  type GenerateInput,
  type GenerateResult,
  type StreamEvent,
  StreamInterruptedError,
} from '../index.ts'
import { ChainExhaustedError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { chainFromEnvironment } from './chain-from-environment.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { embeddedHelp, embeddedTarget } from './embedded-target.ts'
import { duration, withoutControls } from './terminal.ts'
import { detailOf, failureWords, writeTrail } from './trail.ts'

const help = `unbusy ask "..." - asks the chain and prints the answer.

The answer goes to stdout as it arrives. A line for each attempt and each wait goes to stderr.
The question follows "ask". A "-" in it stands for stdin; without a question, stdin is the question.

  --chain A,B,C     the services to ask, in order: deepseek, openai, llama, ollama, vllm, sglang, or a host
                    (siliconflow, openrouter, azure, ...); name:model picks a model
                    (default: deepseek and openai if their keys are set, then the local servers that answer)
  --model MODEL     the model of the first target
  ${embeddedHelp}
  --system TEXT     the system prompt
  --timeout SECONDS the time limit of the whole call (default 120)
  --default TEXT    the answer if no target answers
  --json            prints the result as JSON to stdout once the answer is complete
  --log             writes JSON lines (pino) to stderr instead of the lines for attempts and waits

Keys        DEEPSEEK_API_KEY, OPENAI_API_KEY, and those of the hosts ("unbusy doctor --json" lists them)
Addresses   NAME_BASE_URL sets the address of a service: DEEPSEEK_BASE_URL, OPENAI_BASE_URL, LLAMA_BASE_URL
            (http://127.0.0.1:8080/v1 or :9931/v1), OLLAMA_BASE_URL (:11434), VLLM_BASE_URL (:8000/v1), SGLANG_BASE_URL (:30000/v1)
Exit codes  0 answered, 1 no target answered, 2 wrong usage, 3 answered by --default, 130 Ctrl-C`

const options = {
  chain: { type: 'string' },
  model: { type: 'string' },
  embedded: { type: 'string' },
  system: { type: 'string' },
  timeout: { type: 'string' },
  default: { type: 'string' },
  json: { type: 'boolean' },
  log: { type: 'boolean' },
} as const

type Values = ReturnType<typeof parseWords<typeof options>>['values']

export const ask: Command = {
  help,
  async run(words, world) {
    const { values, positionals } = parseWords(words, options)
    const timeout = timeoutOf(values.timeout)
    const prompt = await readPrompt(positionals, world)
    const steps = await chainFromEnvironment({ chain: values.chain, model: values.model, signal: world.signal })
    const last = await embeddedTarget(values.embedded, { parallel: 1 })
    const chain = [...steps.map(step => step.target), ...(last === undefined ? [] : [last])]
    if (chain.length === 0) return nobodyToAsk(values, world)
    await using client = createClient({
      chain,
      defaultResponse: values.default,
      ...(await listenersOf(values, world)),
    })
    const input = { prompt, system: values.system, timeout, signal: world.signal }
    try {
      const result = await (values.json === true ? tellWhole : tellAsItComes)(client, input, world)
      return result.degraded ? exitCode.degraded : exitCode.answered
    } catch (error) {
      if (world.signal.aborted) throw world.signal.reason
      return unanswered(error, values, world)
    }
  },
}

function timeoutOf(seconds: string | undefined): { readonly totalMs: number } | undefined {
  if (seconds === undefined) return undefined
  const totalMs = Number(seconds) * 1_000
  if (totalMs > 0) return { totalMs }
  throw new UsageError(`--timeout must be a number of seconds above 0, for example --timeout 30.`)
}

async function readPrompt(positionals: readonly string[], { stdin, signal }: World): Promise<string> {
  const wantsInput = positionals.includes('-') || positionals.length === 0
  if (wantsInput && positionals.length === 0 && stdin.isTTY)
    throw new UsageError('The question is missing. Write: unbusy ask "Why is the sky blue?"')
  const input = wantsInput ? await readInput(stdin, signal) : ''
  const prompt = positionals.length === 0 ? input : positionals.map(word => (word === '-' ? input : word)).join(' ')
  if (prompt.trim() === '') throw new UsageError('The question is empty. Write: unbusy ask "Why is the sky blue?"')
  return prompt
}

async function readInput(stdin: NodeJS.ReadStream, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted()
  const leave = () => stdin.destroy()
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await readAll(stdin)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

function nobodyToAsk({ default: text, json }: Values, { stdout, stderr }: World): number {
  stderr.line('There is no service to ask: no key is set, and no local server answers.')
  stderr.line(
    'Set DEEPSEEK_API_KEY or OPENAI_API_KEY, or start a server (llama-server -m model.gguf). "unbusy doctor" shows more.',
  )
  if (text === undefined) return exitCode.unanswered
  stdout.line(json === true ? JSON.stringify({ text, provider: 'default', attempts: [], degraded: true }, undefined, 2) : text)
  return exitCode.degraded
}

async function listenersOf(values: Values, { stderr }: World): Promise<{ logger: Logger } | { onEvent: EventListener }> {
  if (values.log !== true) return { onEvent: writeTrail(stderr) }
  const { destination, pino } = await import('pino')
  return { logger: pino(destination({ dest: 2, sync: true })) }
}

type Tell = (client: Client, input: GenerateInput, world: World) => Promise<GenerateResult>

const tellWhole: Tell = async (client, input, { stdout }) => {
  const result = await client.generate(input)
  stdout.line(JSON.stringify(result, undefined, 2))
  return result
}

const tellAsItComes: Tell = async (client, input, world) => {
  const { stdout, stderr } = world
  const stream = await client.stream(input)
  try {
    await printText(stream, world)
  } finally {
    stdout.line()
  }
  const result = await stream.result()
  for (const { provider, message } of result.warnings) stderr.line(stderr.paint('quiet', `${provider}: ${message}`))
  stderr.line(stderr.paint('quiet', summaryOf(result)))
  return result
}

async function printText(stream: AsyncIterable<StreamEvent>, { stdout, stderr, signal }: World): Promise<void> {
  let isThinking = false
  for await (const event of stream) {
    if (event.type === 'reasoning-delta' && !isThinking) stderr.line(stderr.paint('quiet', `${' '.repeat(11)}thinking ...`))
    isThinking ||= event.type === 'reasoning-delta'
    if (event.type !== 'text-delta') continue
    const isRoom = stdout.write(stdout.isScreen ? withoutControls(event.text) : event.text)
    if (!isRoom) await stdout.drained(signal)
  }
}

function summaryOf({ provider, model, attempts, usage, cost, degraded }: GenerateResult): string {
  if (degraded) return 'No target answered. This is the default answer.'
  const spentMs = attempts.reduce((sum, { waitMs, durationMs }) => sum + waitMs + durationMs, 0)
  const requests = attempts.filter(({ attempt }) => attempt > 0).length
  const parts = [`answered by ${provider} ${model}`, `${requests} ${requests === 1 ? 'request' : 'requests'}`, duration(spentMs)]
  if (usage.outputTokens !== undefined) parts.push(`${usage.outputTokens} tokens`)
  if (cost !== undefined && cost > 0) parts.push(`$${cost.toPrecision(2)}`)
  return parts.join(', ')
}

/** The error messages of the servers. Messages about a refused key are left out, because they often quote part of the key. */
function wordsOf(failures: ChainExhaustedError['failures']): Set<string> {
  const spoken = failures.filter(({ said, reason }) => said !== undefined && reason !== 'authentication')
  return new Set(spoken.map(({ provider, model, said = '' }) => `${provider} ${model} said: ${withoutControls(said)}`))
}

function unanswered(error: unknown, { json }: Values, { stdout, stderr }: World): number {
  if (ChainExhaustedError.isInstance(error)) {
    const { reason, status, retryAfterMs, attempts } = error
    if (json === true) stdout.line(JSON.stringify({ error: { reason, status, retryAfterMs, attempts } }, undefined, 2))
    stderr.line(stderr.paint('bad', 'No target answered.'))
    for (const record of attempts) {
      const tried = record.attempt === 0 ? 'not asked' : failureWords(record)
      stderr.line(`  ${record.provider} ${record.model}: ${tried}: ${withoutControls(detailOf(record))}`)
    }
    for (const line of wordsOf(error.failures)) stderr.line(stderr.paint('quiet', `  ${line}`))
    return exitCode.unanswered
  }
  if (!StreamInterruptedError.isInstance(error)) throw error
  stderr.line(stderr.paint('bad', `The answer broke off: ${withoutControls(error.message)}`))
  return exitCode.unanswered
}
