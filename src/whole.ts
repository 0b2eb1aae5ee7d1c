import type { Answer } from './answer.ts'
import type { Sink } from './contract.ts'
import type { AnswerForm } from './output/answer-form.ts'
import type { Repairs } from './output/repairs.ts'
import { answerOf, collect, type Collected, keptOf, startCollecting } from './result.ts'
import { beginsAnew, type Kept, resumeOn, type Seam, seamFailed, takeLength } from './seam.ts'

export type WholeOptions = {
  readonly seam: Seam
  readonly form?: AnswerForm | undefined
  readonly repairs?: Repairs | undefined
}

/**
 * The commit of `generate()`: nothing is the caller's before the answer is there, complete and valid. What came of a broken attempt is
 * kept, so that the next may go on from there instead of paying for it twice.
 */
export function whole({ seam, form, repairs }: WholeOptions): Sink<Answer> {
  let kept: Kept | undefined
  /** The last of each target: a hedge may run beside the one that answers. */
  let collected: readonly Collected[] = []
  const keep = (part: Kept) => {
    if (part.text.length > (kept?.text.length ?? 0)) kept = part
  }
  return {
    begin(source) {
      const resume = resumeOn(seam, kept, source)
      const answer = startCollecting({ source, form, from: resume === undefined ? undefined : kept })
      collected = [...collected.filter(({ options }) => options.source.targetIndex !== source.targetIndex), answer]
      return {
        resume: resume ?? repairs?.resumeOn(source),
        emit(event) {
          collect(answer, event)
          return true
        },
        onDrain() {},
        finish: () => answerOf(answer),
        drop: () => keep(keptOf(answer)),
      }
    },
    repairs: (failure, source) => beginsAnew(seam, { failure, source, kept }) || repairs?.take(failure, source) === true,
    mayGoOn(failure) {
      seamFailed(seam)
      // what does not fit or was withheld is nothing to go on from
      if (failure.reason === 'invalid-output' || failure.reason === 'content-filter') kept = undefined
      return true
    },
    wantsMore(answer, source) {
      if (answer.finishReason !== 'length') return false
      const last = collected.find(({ options }) => options.source.targetIndex === source.targetIndex)
      const part = last === undefined ? undefined : keptOf(last)
      if (part === undefined || !takeLength(seam, part, source)) return false
      keep(part)
      return true
    },
  }
}
