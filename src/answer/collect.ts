import { addUsage } from '../usage.ts'
import type { ProviderEvent, ProviderMetadata, ToolCall, Usage, Warning } from '../contract.ts'
import type { Source } from '../contract-events.ts'
import { ProviderError } from '../errors.ts'
import { type AnswerForm, inForm } from '../output/answer-form.ts'
import type { Repairs } from '../output/repairs.ts'
import type { Answer, Sink } from './answer.ts'
import { type Continuation, continuationFailed, type Kept, mayContinue, overridesFor, prefixWasRefused } from './continuation.ts'

export type CollectAnswerOptions = {
  readonly continuation: Continuation
  readonly form?: AnswerForm | undefined
  readonly repairs?: Repairs | undefined
}

/**
 * The sink of `generate()`: the caller gets nothing before the answer is complete and valid. The text of a broken attempt is kept, so
 * that the next attempt can continue it instead of paying for it twice.
 */
export function collectAnswer({ continuation, form, repairs }: CollectAnswerOptions): Sink {
  let kept: Kept | undefined
  /** The last attempt of each target: a hedge may run alongside the attempt that answers. */
  let collected: readonly Collected[] = []
  const keep = (part: Kept) => {
    if (part.text.length > (kept?.text.length ?? 0)) kept = part
  }
  return {
    begin(source) {
      // most calls have nothing to continue
      const isFirst = kept === undefined && continuation.asked === undefined
      const overrides = isFirst ? undefined : overridesFor(continuation, kept, source)
      const answer = startCollecting({ source, form, from: overrides === undefined ? undefined : kept })
      collected = [...collected.filter(({ options }) => options.source.targetIndex !== source.targetIndex), answer]
      return {
        overrides: overrides ?? repairs?.overridesFor(source),
        tokensBefore: kept?.tokens,
        emit(event) {
          collect(answer, event)
          return true
        },
        onDrain() {},
        finish: () => answerOf(answer),
        drop: () => keep(keptOf(answer)),
      }
    },
    failed(failure, source) {
      const isReworded =
        source !== undefined &&
        (prefixWasRefused(continuation, { failure, source, kept }) || repairs?.take(failure, source) === true)
      continuationFailed(continuation)
      // invalid or filtered text must not be continued
      if (failure.reason === 'invalid-output' || failure.reason === 'content-filter') kept = undefined
      return isReworded ? 'reword' : 'policy'
    },
    wantsMore(answer, source) {
      if (answer.finishReason !== 'length') return false
      const last = collected.find(({ options }) => options.source.targetIndex === source.targetIndex)
      const part = last === undefined ? undefined : keptOf(last)
      if (part === undefined || !mayContinue(continuation, part, source)) return false
      keep(part)
      return true
    },
    acceptCut: answer => answer,
  }
}

export type CollectOptions = {
  readonly source: Source
  /** Undefined: any plain text is valid. */
  readonly form?: AnswerForm | undefined
  /** The part of the answer that this attempt continues. */
  readonly from?: Kept | undefined
}

/** What one attempt has received so far. */
export type Collected = {
  readonly options: CollectOptions
  text: string
  reasoningText: string
  hasToolCall: boolean
  /** What the service requires back with this turn. */
  providerMetadata: ProviderMetadata | undefined
  chunks: number
  finished: (ProviderEvent & { type: 'finish' }) | undefined
  metadata: Partial<ProviderEvent & { type: 'response-metadata' }>
  readonly toolCalls: ToolCall[]
  warnings: readonly Warning[]
}

/** Starts collecting the events of one attempt into an answer, for `generate()` and for `stream().result()`. */
export function startCollecting(options: CollectOptions): Collected {
  const { text = '', reasoningText = '', hasToolCall = false, providerMetadata } = options.from ?? {}
  const collected: Collected = {
    options,
    text,
    reasoningText,
    hasToolCall,
    providerMetadata,
    chunks: 0,
    finished: undefined,
    metadata: {},
    toolCalls: [],
    warnings: [],
  }
  for (const warning of options.form?.warnings ?? []) collect(collected, warning)
  return collected
}

export function collect(collected: Collected, event: ProviderEvent): void {
  switch (event.type) {
    case 'text-delta':
      collected.text += event.text
      collected.chunks += 1
      break
    case 'reasoning-delta':
      collected.reasoningText += event.text
      if (event.text !== '') collected.chunks += 1
      if (event.providerMetadata !== undefined)
        collected.providerMetadata = { ...collected.providerMetadata, ...event.providerMetadata }
      break
    case 'tool-call-delta':
      collected.hasToolCall = true
      break
    case 'tool-call': {
      const { toolCallId, toolName, input, providerMetadata } = event
      const call = { toolCallId, toolName, input }
      collected.hasToolCall = true
      collected.toolCalls.push(providerMetadata === undefined ? call : { ...call, providerMetadata })
      break
    }
    case 'response-metadata':
      collected.metadata = { ...collected.metadata, ...event }
      break
    case 'warning': {
      const { setting, message } = event
      const provider = collected.options.source.provider.name
      collected.warnings = [...collected.warnings, { provider, setting, message }]
      break
    }
    case 'finish':
      collected.finished = event
      break
    default:
  }
}

/** Returns what was received so far. */
export function keptOf(collected: Collected): Kept {
  const { options, text, reasoningText, hasToolCall, providerMetadata, chunks, finished } = collected
  const { from } = options
  const usage: Usage = finished?.usage ?? {}
  const { outputTokens = 0 } = usage
  // a delta may hold many tokens: the server's count takes precedence over ours, unless it is NaN
  const tokens = (from?.tokens ?? 0) + (outputTokens > chunks ? outputTokens : chunks)
  const used = from === undefined ? usage : addUsage(from.usage, usage)
  return { text, reasoningText, tokens, hasToolCall, providerMetadata, usage: used }
}

/** Returns the complete, valid answer; throws a `ProviderError` that says what is wrong with it. */
export function answerOf(collected: Collected): Answer | Promise<Answer> {
  const { options, text, reasoningText, toolCalls, providerMetadata, warnings, finished, metadata } = collected
  const { form, source } = options
  const finishReason = finished?.finishReason ?? 'other'
  const { id, model, requestId } = metadata
  checkContent({ text, reasoningText, toolCalls, finishReason, requestId })
  const response = { id, model, requestId, providerMetadata: finished?.providerMetadata }
  const { usage } = keptOf(collected)
  const answer = { text, reasoningText, toolCalls, providerMetadata, output: undefined, finishReason, usage, warnings, response }
  if (form === undefined) return answer
  const isForced = source.provider.capabilities?.output === 'json-schema'
  return inForm<Answer>(answer, form, { isForced, finishReason, requestId })
}

type Content = Pick<Answer, 'text' | 'reasoningText' | 'toolCalls' | 'finishReason'> & { readonly requestId: string | undefined }

/** An answer without content is a failed attempt, whatever status it came with. */
function checkContent({ text, reasoningText, toolCalls, finishReason, requestId }: Content): void {
  if (toolCalls.length > 0 || text.trim() !== '') return
  if (finishReason === 'content-filter') {
    const message = "The provider's content filter withheld the answer."
    throw new ProviderError(message, { reason: 'content-filter', status: 200, requestId })
  }
  const message =
    reasoningText === ''
      ? 'The answer has no content.'
      : finishReason === 'length'
        ? 'The model used up its output limit while thinking and never began its answer. Raise maxOutputTokens or lower `reasoning`.'
        : 'The model only thought and gave no answer.'
  throw new ProviderError(message, { reason: 'empty', status: 200, requestId })
}
