import { ProviderError } from '../../../src/errors.ts'
import type { CallerOptions, Step } from '../policy.ts'

export type Ask = (step: Step, number: number) => Promise<string>

export type AskOptions = Pick<CallerOptions, 'clock'> & {
  /** Ends an attempt that has not begun to answer by then. */
  readonly timeoutMs?: number | undefined
  readonly watch: { inFlight: number }
}

/**
 * One plain request, as a peer makes it. In the peers' favour a cut that looks like a normal end counts as an error here, though
 * most of them take it for an answer.
 */
export function createAsk({ clock, timeoutMs, watch }: AskOptions): Ask {
  return async (step, number) => {
    const controller = new AbortController()
    const timer = timeoutMs === undefined ? undefined : clock.setTimeout(() => controller.abort(timedOut()), timeoutMs)
    let text = ''
    let isFinished = false
    watch.inFlight++
    try {
      await step.provider.stream(
        { model: step.model, messages: [{ role: 'user', content: 'Hi.' }], metadata: { number } },
        {
          signal: controller.signal,
          emit(event) {
            if (event.type === 'text-delta') {
              if (text === '') clock.clearTimeout(timer)
              text += event.text
            }
            if (event.type === 'finish') isFinished = true
            return true
          },
          onDrain() {},
        },
      )
    } catch (error) {
      throw text === '' ? error : new ProviderError('The answer was cut.', { reason: 'truncated', cause: error })
    } finally {
      watch.inFlight--
      clock.clearTimeout(timer)
    }
    if (isFinished) return text
    throw new ProviderError('The answer was cut.', { reason: text === '' ? 'network' : 'truncated' })
  }
}

function timedOut(): ProviderError {
  return new ProviderError('The request timed out.', { reason: 'timeout' })
}
