import type { FinishReason as OurFinishReason, GenerateResult, Usage, Warning as OurWarning } from '../../index.ts'
import { callState, keptOf } from './read-prompt.ts'
import type { FinishReason, Generated, Metadata, Warning } from './types.ts'

type Content = Generated['content'][number]

/** Converts a complete answer to the AI SDK's format. */
export function contentOf(result: GenerateResult, isTyped: boolean): Content[] {
  const { reasoningText, toolCalls } = result
  const text = isTyped && toolCalls.length === 0 ? JSON.stringify(result.output) : result.text
  const kept = stateOfTurn(result)
  const content: Content[] = []
  // a service may expect metadata back without showing any reasoning
  if (reasoningText !== '' || kept !== undefined) content.push({ type: 'reasoning', text: reasoningText, ...kept })
  if (text !== '') content.push({ type: 'text', text })
  return [...content, ...toolCalls.map(callPart)]
}

export function stateOfTurn(result: GenerateResult): { readonly providerMetadata: Metadata } | undefined {
  const message = result.message.providerMetadata
  return message === undefined ? undefined : { providerMetadata: keptOf({ message }) as Metadata }
}

export function callPart(call: GenerateResult['toolCalls'][number]): Extract<Content, { readonly type: 'tool-call' }> {
  const { toolCallId, toolName, input } = call
  const kept = callState(call)
  return {
    ...{ type: 'tool-call', toolCallId, toolName, input: JSON.stringify(input) },
    ...(kept === undefined ? undefined : { providerMetadata: kept as Metadata }),
  }
}

export function finishReasonOf(reason: OurFinishReason): FinishReason {
  return { unified: reason, raw: reason }
}

export function usageOf({ inputTokens, cachedInputTokens, outputTokens, reasoningTokens }: Usage): Generated['usage'] {
  const without = (total: number | undefined, part: number | undefined) =>
    total === undefined || part === undefined ? undefined : Math.max(0, total - part)
  return {
    inputTokens: {
      ...{
        total: inputTokens,
        noCache: without(inputTokens, cachedInputTokens),
        cacheRead: cachedInputTokens,
        cacheWrite: undefined,
      },
    },
    outputTokens: { total: outputTokens, text: without(outputTokens, reasoningTokens), reasoning: reasoningTokens },
  }
}

/** Converts a warning about a setting that a target does not support. */
export function warningOf({ provider, setting, message }: OurWarning): Warning {
  return { type: 'unsupported', feature: setting, details: `${provider}: ${message}` }
}

/** This metadata often reaches a browser, so it contains no messages of attempts and no ids of services. */
export function metadataOf(result: GenerateResult, late: readonly Warning[] = []): Metadata {
  const { provider, model, name, targetIndex, step, cost, degraded, attempts } = result
  const told = attempts.map(
    ({ provider: asked, model: of, targetIndex: index, attempt, outcome, reason, status, waitMs, durationMs }) => ({
      ...{ provider: asked, model: of, targetIndex: index, attempt, outcome, reason, status },
      ...{ waitMs: Math.round(waitMs), durationMs: Math.round(durationMs) },
    }),
  )
  const unbusy = {
    ...{ provider, model, name, targetIndex, step, cost, degraded, attempts: told },
    ...(late.length === 0 ? undefined : { warnings: late }),
  }
  // removes `undefined`, which JSON does not have: applications store this metadata in databases
  return { unbusy: JSON.parse(JSON.stringify(unbusy)) as Metadata[string] }
}
