import type { FinishReason, ResponseHeaders, Usage, Warning } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { endOfJson, startOfJson } from '../http/json-lines.ts'
import { type BodyReader, post } from '../http/post.ts'
import { choiceOf } from './chat-answer/chunk.ts'
import { isFlatError, isNamedError } from './chat-failure/error-body.ts'
import { failureOf, inBandFailure } from './chat-failure/failure.ts'
import { failureNumbers } from './chat-failure/failure-numbers.ts'
import { finishIn } from './chat-answer/finish.ts'
import { reportedUsage, usageIn } from './chat-answer/usage.ts'
import { asObject, isCutJson, parseJson, wireJson } from './json.ts'
import { checkOptions, type Checks, count, level, list, text } from '../check.ts'
import { accountChecks, type DeepSeekAccountOptions } from './deepseek-account.ts'
import { betaOf, requestOnce } from './deepseek-endpoint.ts'
import { type Endpoint, urlOf } from './endpoint.ts'

/** Options of `deepseekFim()`. */
export type DeepSeekFimOptions = DeepSeekAccountOptions & {
  /** The text before the gap. */
  readonly prompt: string
  /** The text after the gap. @default none: the prompt is completed */
  readonly suffix?: string | undefined
  /** @default 'deepseek-flash' */
  readonly model?: string | undefined
  /** At most 4096. @default the server's */
  readonly maxOutputTokens?: number | undefined
  /** Sampling temperature, 0 or more. @default the server's */
  readonly temperature?: number | undefined
  /** Texts that end the answer; the answer does not include them. @default none */
  readonly stopSequences?: readonly string[] | undefined
}

/** What `deepseekFim()` resolves to. */
export type DeepSeekFimResult = {
  readonly text: string
  readonly finishReason: FinishReason
  readonly usage: Usage | undefined
  /** Changes to your request that the server's own error message asked for. */
  readonly warnings: readonly Omit<Warning, 'provider'>[]
}

/**
 * Fill in the middle: generates the text between `prompt` and `suffix`, mostly for code completion. DeepSeek only, without
 * reasoning and without a chain: one request, whose failure is a `ProviderError`. Times out after a minute unless a `signal` is
 * given.
 *
 * @example
 * const { text } = await deepseekFim({ prompt: 'def add(a, b):\n', suffix: '\n    return total' })
 */
export async function deepseekFim(options: DeepSeekFimOptions): Promise<DeepSeekFimResult> {
  checkOptions(options, checks, 'deepseekFim')
  text(options.prompt, 'deepseekFim: prompt')
  const { model = 'deepseek-flash', signal } = options
  return requestOnce(options, {
    model,
    signal,
    timeoutMs,
    ask: (endpoint, limit) => askTwice({ ...options, model }, endpoint, limit),
  })
}

const checks: Checks = {
  ...accountChecks,
  prompt: text,
  suffix: text,
  model: text,
  maxOutputTokens: count,
  temperature: level,
  stopSequences: list,
}

const timeoutMs = 60_000

/** F41: if the server states a token limit, the request is sent once more with that limit. */
async function askTwice(options: DeepSeekFimOptions, endpoint: Endpoint, signal: AbortSignal): Promise<DeepSeekFimResult> {
  try {
    return { ...(await complete(options, endpoint, signal)), warnings: [] }
  } catch (error) {
    const most = mostTokens(error)
    const { maxOutputTokens } = options
    if (most === undefined || signal.aborted || (maxOutputTokens !== undefined && maxOutputTokens <= most)) throw error
    const answer = await complete({ ...options, maxOutputTokens: most }, endpoint, signal)
    const message = `The model gives at most ${most} tokens here. The request was sent again with ${most}.`
    return { ...answer, warnings: [{ setting: 'maxOutputTokens', message }] }
  }
}

function mostTokens(error: unknown): number | undefined {
  if (!ProviderError.isInstance(error) || (error.reason !== 'invalid-request' && error.reason !== 'context-length'))
    return undefined
  const { outputCeiling, roomTokens } = failureNumbers(error.said ?? '')
  return outputCeiling ?? roomTokens
}

type Completed = Omit<DeepSeekFimResult, 'warnings'>

async function complete(options: DeepSeekFimOptions, endpoint: Endpoint, signal: AbortSignal): Promise<Completed> {
  const { prompt, suffix, model, maxOutputTokens, temperature, stopSequences } = options
  const pieces: string[] = []
  let head: { status: number; headers: ResponseHeaders } = { status: 0, headers: {} }
  await post({
    url: urlOf(betaOf(endpoint.baseURL), '/completions'),
    headers: endpoint.headers,
    body: wireJson({ model, prompt, suffix, max_tokens: maxOutputTokens, temperature, stop: stopSequences }),
    attempt: { signal, emit: () => true, onDrain() {} },
    connections: endpoint.connections,
    respond: (status, headers) => {
      head = { status, headers }
      return wholeReader(pieces)
    },
  })
  const answer = { ...head, secrets: endpoint.secrets }
  const body = pieces.join('')
  if (head.status < 200 || head.status > 299) throw failureOf({ ...answer, body })
  return resultOf(bodyOf(body, head.status), answer)
}

/** Stops at the document's last bracket, so failures of the body after it do not matter (F2, F3). */
function wholeReader(pieces: string[]): BodyReader {
  const json = startOfJson()
  let isWhole = false
  return {
    write(piece) {
      if (!isWhole) pieces.push(piece)
      isWhole ||= endOfJson(json, piece) !== undefined
      return true
    },
    end() {},
    isOver: () => isWhole,
    lost: () => isWhole,
  }
}

/** DeepSeek sends blank lines while a request is queued; a body with nothing else means that it is busy. */
function bodyOf(body: string, status: number): unknown {
  if (body.trim() === '')
    throw new ProviderError('DeepSeek answered with an empty body, because it is busy.', { reason: 'overloaded', status })
  try {
    return parseJson(body)
  } catch {
    // no `cause`: the parser's message quotes the answer
    const reason = isCutJson(body) ? 'truncated' : 'malformed-response'
    throw new ProviderError('The answer is not JSON, or it was cut.', { reason, status })
  }
}

function resultOf(body: unknown, answer: { readonly status: number; readonly headers: ResponseHeaders }): Completed {
  const fields = asObject(body)
  if (fields !== undefined && (isNamedError(fields) || isFlatError(fields))) throw inBandFailure(fields, answer)
  const choice = choiceOf(fields ?? {})
  const finish = finishIn(fields ?? {}, choice) ?? { finishReason: 'other' as const }
  if (finish.failure !== undefined) throw new ProviderError(finish.message, { reason: finish.failure, status: answer.status })
  const said = choice?.text
  if (typeof said !== 'string') {
    throw new ProviderError('The answer has no text.', {
      reason: 'malformed-response',
      status: answer.status,
    })
  }
  const usage = usageIn(fields ?? {}, choice)
  return { text: said, finishReason: finish.finishReason, usage: said === '' ? usage : reportedUsage(usage, false) }
}
