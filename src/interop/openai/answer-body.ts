import type { FinishReason, GenerateResult, ProviderMetadata, ToolCall, Usage } from '../../index.ts'
import type { CutAnswer } from './cut-answer.ts'

/** The id of an answer and the time at which it was created. */
export type Envelope = { readonly id: string; readonly created: number }

/** Converts a complete answer to the format of OpenAI's API. */
export function answerBody(result: GenerateResult, envelope: Envelope, isTyped: boolean): object {
  const { model, finishReason, usage, response, toolCalls, reasoningText } = result
  const text = isTyped && toolCalls.length === 0 ? JSON.stringify(result.output) : result.text
  const message = {
    role: 'assistant',
    content: text === '' && toolCalls.length > 0 ? null : text,
    refusal: null,
    ...(reasoningText === '' ? undefined : { reasoning_content: reasoningText }),
    ...(toolCalls.length === 0 ? undefined : { tool_calls: toolCalls.map(call => toolCallBody(call)) }),
    ...extraContent(result.message.providerMetadata),
  }
  const logprobs = response.providerMetadata?.['logprobs'] ?? null
  return body({ index: 0, message, logprobs, finish_reason: finishReasonOf(finishReason) }, { envelope, model, usage })
}

/** Converts an answer that was cut at the output limit. */
export function cutBody({ model, text, usage }: CutAnswer, envelope: Envelope): object {
  const message = { role: 'assistant', content: text, refusal: null }
  return body({ index: 0, message, logprobs: null, finish_reason: 'length' }, { envelope, model, usage })
}

type Around = { readonly envelope: Envelope; readonly model: string; readonly usage: Usage }

function body(choice: object, { envelope: { id, created }, model, usage }: Around): object {
  const figures = usageOf(usage)
  return {
    ...{ id, object: 'chat.completion', created, model },
    choices: [choice],
    ...(figures === undefined ? undefined : { usage: figures }),
  }
}

export function toolCallBody(call: ToolCall): object {
  const { toolCallId: id, toolName: name, input, providerMetadata } = call
  return { id, type: 'function', function: { name, arguments: JSON.stringify(input) }, ...extraContent(providerMetadata) }
}

/** The metadata that the service expects back. A client that appends the message unchanged returns it with the next request. */
export function extraContent(state: ProviderMetadata | undefined): object | undefined {
  return state === undefined ? undefined : { extra_content: { unbusy: state } }
}

/** Maps finish reasons that OpenAI does not have to `stop`. */
export function finishReasonOf(reason: FinishReason): string {
  return reason === 'tool-calls'
    ? 'tool_calls'
    : reason === 'content-filter'
      ? 'content_filter'
      : reason === 'other'
        ? 'stop'
        : reason
}

/** Returns undefined, and never zeros, if no usage was reported. */
export function usageOf({
  inputTokens,
  outputTokens,
  totalTokens,
  cachedInputTokens,
  reasoningTokens,
}: Usage): object | undefined {
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens ?? inputTokens + outputTokens,
    ...(cachedInputTokens === undefined ? undefined : { prompt_tokens_details: { cached_tokens: cachedInputTokens } }),
    ...(reasoningTokens === undefined ? undefined : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  }
}
