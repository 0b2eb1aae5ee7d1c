import type { FailureReason, FinishReason } from '../../contract.ts'

/** What is known of an answer when nothing more will come. */
export type AnswerState = {
  /** What came at best: no chunk, chunks of some other format, `choices` that were null or empty, a choice. */
  readonly seen: 'nothing' | 'other' | 'choices' | 'choice'
  /** Undefined as long as the server has not said that it is done. */
  readonly finishReason: FinishReason | undefined
  /** One whole JSON document, so that nothing of it can be missing. */
  readonly complete: boolean
  /** More than blanks. */
  readonly hasText: boolean
  readonly hasReasoning: boolean
  readonly refusal: string
  readonly toolCalls: number
  readonly allowEmpty: boolean
}

export type Verdict = { readonly finishReason: FinishReason } | { readonly failure: FailureReason; readonly message: string }

/**
 * Whether that is an answer (R28, R37 to R41, R44).
 *
 * - A stream without a finish reason was cut. A JSON document is whole without one; its finish reason is then `other`.
 * - No choice ever: `empty`. No `choices` at all: something that does not speak chat completions.
 * - A filter or a refusal that left nothing is a failure, `content-filter`, which no other target is asked about. One that left text
 *   is an answer with the finish reason `content-filter`: the caller has that text, and is told that it is not all.
 * - Blanks only, as JSON mode writes under load, or reasoning only: `empty`. With the finish reason `length` the message says so,
 *   because then the limit is the cure.
 */
export function verdictOf(state: AnswerState): Verdict {
  if (state.seen === 'other') return foreign
  if (state.seen === 'choices') return noChoice
  if (state.finishReason === undefined && !state.complete) return cut
  const said = state.finishReason ?? 'other'
  if (state.toolCalls > 0) return withToolCalls(said)
  if (said === 'content-filter' || state.refusal !== '') return filtered(state)
  // a server that announces calls and sends none has said what it had to say
  return state.hasText ? { finishReason: said === 'tool-calls' ? 'stop' : said } : whenEmpty(state, said)
}

const cut: Verdict = { failure: 'truncated', message: 'The answer was cut: the stream ended without a finish reason.' }

const noChoice: Verdict = { failure: 'empty', message: 'The answer is empty: the server sent no choice.' }

const foreign: Verdict = {
  failure: 'malformed-response',
  message: 'The answer does not have the chat completions format: it has no choices. Check the base URL.',
}

/** Some servers end them with `stop`. A `length` stays: there may have been more to come. */
function withToolCalls(said: FinishReason): Verdict {
  return { finishReason: said === 'stop' || said === 'other' ? 'tool-calls' : said }
}

function filtered({ hasText, refusal }: AnswerState): Verdict {
  if (hasText) return { finishReason: 'content-filter' }
  const what = refusal === '' ? 'The content filter of the service left nothing of the answer.' : 'The model refused to answer.'
  return { failure: 'content-filter', message: `${what} No other target is asked.` }
}

function whenEmpty({ allowEmpty, hasReasoning }: AnswerState, said: FinishReason): Verdict {
  if (allowEmpty && !hasReasoning) return { finishReason: said }
  if (said !== 'length') {
    return {
      failure: 'empty',
      message: hasReasoning ? 'The model thought, but gave no answer.' : 'The model stopped without any content.',
    }
  }
  const [by, cure] = hasReasoning ? [' by reasoning', ', or ask for less reasoning'] : ['', '']
  return { failure: 'empty', message: `The token limit was used up${by} before the answer began. Raise maxOutputTokens${cure}.` }
}
