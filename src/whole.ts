import type { Answer } from './answer.ts'
import type { Sink } from './contract.ts'
import type { AnswerForm } from './output/answer-form.ts'
import type { Repairs } from './output/repairs.ts'
import { collect, type Collector } from './result.ts'
import type { Kept, Seam } from './seam.ts'

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
  /** By target: a hedge may run beside the one that answers. */
  const collectors = new Map<number, Collector>()
  const keep = (part: Kept) => {
    if (part.text.length > (kept?.text.length ?? 0)) kept = part
  }
  return {
    begin(source) {
      const resume = seam.resumeOn(kept, source)
      const from = resume === undefined ? undefined : kept
      const answer = collect({ source, form, from })
      collectors.set(source.targetIndex, answer)
      return { ...answer, resume: resume ?? repairs?.resumeOn(source), drop: () => keep(answer.kept()) }
    },
    repairs: (failure, source) => seam.beginsAnew(failure, source, kept) || repairs?.take(failure, source) === true,
    mayGoOn(failure) {
      seam.failed()
      // what does not fit or was withheld is nothing to go on from
      if (failure.reason === 'invalid-output' || failure.reason === 'content-filter') kept = undefined
      return true
    },
    wantsMore(answer, source) {
      const part = collectors.get(source.targetIndex)?.kept()
      if (answer.finishReason !== 'length' || part === undefined || !seam.takeLength(part, source)) return false
      keep(part)
      return true
    },
  }
}
