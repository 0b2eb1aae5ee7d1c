import type { FinishReason, Usage } from '../../contract.ts'
import { asObject } from '../json.ts'
import { type Choice, choiceOf, type Chunk, reasoningOf } from './chunk.ts'
import { contentCame, createEnding, finishSaid, takeLinger, usageCame, usageClosed } from './ending.ts'
import { finishIn } from './finish.ts'
import { isNothing, reportedUsage, usageIn } from './usage.ts'

/** The end of an answer, as its raw chunks tell it. */
export type RawEnding = {
  /** Reads one chunk. A chunk of another format than chat completions changes nothing. */
  came(raw: unknown): void
  /** The finish reason; undefined while the answer is open. */
  finishReason(): FinishReason | undefined
  /** How long to wait for more data since the last chunk; undefined if that has not changed. */
  lingerMs(): number | undefined
  usage(hasReasoning: boolean): Usage | undefined
}

/**
 * For a client of someone else that decodes the answer, but reports its finish only when the body has ended, which some servers never do. The
 * raw chunk has it at once.
 */
export function createRawEnding(): RawEnding {
  const ending = createEnding()
  return {
    came(raw) {
      const chunk: Chunk | undefined = asObject(raw)
      if (!Array.isArray(chunk?.choices)) return
      const choice = choiceOf(chunk)
      const usage = usageIn(chunk, choice)
      usageCame(ending, usage)
      const content = choice !== undefined && hasContent(choice)
      if (content) contentCame(ending)
      const finish = finishIn(chunk, choice)
      // a failure is left to the other client, which reports it when the body ends
      if (finish?.finishReason !== undefined) finishSaid(ending, finish.finishReason, { content, opening: false })
      if (usage !== undefined && !isNothing(usage)) usageClosed(ending, choice === undefined)
    },
    finishReason: () => (ending.state === 'finished' ? ending.finishReason : undefined),
    lingerMs: () => takeLinger(ending),
    usage: hasReasoning => reportedUsage(ending.usage, hasReasoning),
  }
}

function hasContent({ delta }: Choice): boolean {
  if (delta === undefined || delta === null) return false
  const { content, tool_calls: calls } = delta
  const hasText = typeof content === 'string' ? content.trim() !== '' : Array.isArray(content) && content.length > 0
  return hasText || reasoningOf(delta) !== '' || (Array.isArray(calls) && calls.length > 0)
}
