import { ChainExhaustedError, type GenerateResult, type ProviderError, StreamInterruptedError } from '../../index.ts'

/** An answer in JSON that ended at the output limit. */
export type CutAnswer = Pick<GenerateResult, 'provider' | 'model' | 'targetIndex' | 'attempts' | 'usage' | 'text'>

/**
 * Returns the answer in JSON that was cut at the output limit, if that is all that is wrong. Clients of OpenAI's API expect it with the finish
 * reason `length`: it was paid for, and an error would not tell them that a higher limit helps.
 */
export function cutAnswer(error: unknown): CutAnswer | undefined {
  if (!ChainExhaustedError.isInstance(error) && !StreamInterruptedError.isInstance(error)) return undefined
  const failure = ChainExhaustedError.isInstance(error) ? onlyFailure(error) : error.failure
  const last = error.attempts.at(-1)
  if (failure?.reason !== 'invalid-output' || failure.toolCalls !== undefined || last?.finishReason !== 'length') return undefined
  const { provider, model, targetIndex, usage = unknown } = last
  return { provider, model, targetIndex, attempts: error.attempts, usage, text: failure.text ?? '' }
}

/** With several kinds of failures, another target may still answer, and the sum of them is told instead. */
function onlyFailure({ reason, failures }: ChainExhaustedError): ProviderError | undefined {
  return reason === 'invalid-output' ? failures.at(-1) : undefined
}

const unknown: GenerateResult['usage'] = {
  ...{ inputTokens: undefined, outputTokens: undefined, totalTokens: undefined },
  ...{ cachedInputTokens: undefined, reasoningTokens: undefined },
}
