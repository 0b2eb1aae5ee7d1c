import { addUsage } from '../add-usage.ts'
import type { ProviderEvent, Source, ToolCall, Warning } from '../contract.ts'
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
 * The commit of `generate()`: nothing is the caller's before the answer is there, complete and valid. What came of a broken attempt is
 * kept, so that the next may continue it instead of paying for it twice.
 */
export function collectAnswer({ continuation, form, repairs }: CollectAnswerOptions): Sink {
  let kept: Kept | undefined
  /** The last of each target: a hedge may run beside the one that answers. */
  let collected: readonly Collected[] = []
  const keep = (part: Kept) => {
    if (part.text.length > (kept?.text.length ?? 0)) kept = part
  }
  return {
    begin(source) {
      const overrides = overridesFor(continuation, kept, source)
      const answer = startCollecting({ source, form, from: overrides === undefined ? undefined : kept })
      collected = [...collected.filter(({ options }) => options.source.targetIndex !== source.targetIndex), answer]
      return {
        overrides: overrides ?? repairs?.overridesFor(source),
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
      // what does not fit or was withheld is nothing to continue
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
    settleFor: answer => answer,
  }
}

export type CollectOptions = {
  readonly source: Source
  /** Undefined: a plain text will do. */
  readonly form?: AnswerForm | undefined
  /** What there is already of the answer that this attempt goes on with. */
  readonly from?: Kept | undefined
}

/** What the events of one attempt have brought so far. */
export type Collected = {
  readonly options: CollectOptions
  text: string
  reasoningText: string
  hasToolCall: boolean
  chunks: number
  finished: (ProviderEvent & { type: 'finish' }) | undefined
  metadata: Partial<ProviderEvent & { type: 'response-metadata' }>
  readonly toolCalls: ToolCall[]
  warnings: readonly Warning[]
}

/** Folds the events of one attempt into an answer, for `generate()` and for `stream().result()`. */
export function startCollecting(options: CollectOptions): Collected {
  const { text = '', reasoningText = '', hasToolCall = false } = options.from ?? {}
  return {
    options,
    text,
    reasoningText,
    hasToolCall,
    chunks: 0,
    finished: undefined,
    metadata: {},
    toolCalls: [],
    warnings: [],
  }
}

export function collect(collected: Collected, event: ProviderEvent): void {
  switch (event.type) {
    case 'text-delta':
      collected.text += event.text
      collected.chunks += 1
      break
    case 'reasoning-delta':
      collected.reasoningText += event.text
      collected.chunks += 1
      break
    case 'tool-call-delta':
      collected.hasToolCall = true
      break
    case 'tool-call': {
      const { toolCallId, toolName, input } = event
      collected.hasToolCall = true
      collected.toolCalls.push({ toolCallId, toolName, input })
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

/** What there is by now. */
export function keptOf({ options, text, reasoningText, hasToolCall, chunks, finished }: Collected): Kept {
  const { from } = options
  const usage = addUsage(from?.usage ?? {}, finished?.usage ?? {})
  // a delta may hold many tokens: what the server counted comes before what we did
  const tokens = (from?.tokens ?? 0) + Math.max(chunks, finished?.usage?.outputTokens ?? 0)
  return { text, reasoningText, tokens, hasToolCall, usage }
}

/** The whole answer, valid; throws a `ProviderError` that says what is wrong with it. */
export function answerOf(collected: Collected): Answer | Promise<Answer> {
  const { options, text, reasoningText, toolCalls, warnings, finished, metadata } = collected
  const { form, source } = options
  const finishReason = finished?.finishReason ?? 'other'
  const { id, model, requestId } = metadata
  checkContent({ text, reasoningText, toolCalls, finishReason, requestId })
  const response = { id, model, requestId, providerMetadata: finished?.providerMetadata }
  const { usage } = keptOf(collected)
  const answer = { text, reasoningText, toolCalls, output: undefined, finishReason, usage, warnings, response }
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
        ? 'The model used up its output limit while thinking and never came to an answer. Raise maxOutputTokens or lower `reasoning`.'
        : 'The model only thought and gave no answer.'
  throw new ProviderError(message, { reason: 'empty', status: 200, requestId })
}
