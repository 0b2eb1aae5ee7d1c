import type { StreamEvent } from './answer-stream.ts'
import type { Answer } from './answer.ts'
import type { Clock, Failure, Fold, ProviderEvent, Source } from './contract.ts'
import type { EventQueue } from './event-queue.ts'
import type { AnswerForm } from './output/answer-form.ts'
import { createPartialOutput } from './output/partial-output.ts'
import type { Repairs } from './output/repairs.ts'
import { collect, type Collector } from './result.ts'
import type { AfterFirstToken, Broken, Kept, Seam } from './seam.ts'

export type ReaderOptions = {
  readonly clock: Clock
  readonly seam: Seam
  readonly afterFirstToken: AfterFirstToken
  readonly form?: AnswerForm | undefined
  readonly repairs?: Repairs | undefined
  /** The first content is kept back for so long, in milliseconds, so that an early break is healed unseen. */
  readonly holdBackMs: number
  /** It is kept back until it has so many characters. */
  readonly holdBackChars: number
  /** What the reader holds already, from an earlier stream. */
  readonly from?: Broken | undefined
}

/** What the reader holds, and whether any of it has been handed out. Common to all attempts of one stream. */
export type Reader = {
  readonly queue: EventQueue<StreamEvent>
  readonly opened: PromiseWithResolvers<void>
  held: () => Kept
  /** Why the attempt broke off that what it holds comes from. */
  failure: Failure | undefined
  isOpen: boolean
}

type Begun = { readonly source: Source; readonly commit: () => void }

/** Folds one attempt's events and hands them on, from the moment at which they are the reader's. */
export function streamFold(options: ReaderOptions, reader: Reader, begun: Begun): Fold<Answer> {
  const { source } = begun
  const { form, repairs } = options
  const before = reader.held()
  const resume = reader.isOpen ? options.seam.resumeOn(before, source) : undefined
  const answer = collect({ source, form, from: resume === undefined ? undefined : before })
  const opening = reader.isOpen && seamEvent(reader, { source, before, isContinued: resume !== undefined })
  const outbox = createOutbox(options, reader, { ...begun, answer, opening: opening === false ? undefined : opening })
  const partial = form?.output?.hasPartials === true ? createPartialOutput(form.output, outbox.push) : undefined

  return {
    resume: resume ?? repairs?.resumeOn(source),
    emit(event) {
      answer.emit(event)
      // a tool call is handed out when its input was validated
      if (!isForReader(event) || (event.type === 'tool-call' && form?.tools !== undefined)) return true
      const isFlowing = outbox.push(event)
      return partial === undefined || event.type !== 'text-delta'
        ? isFlowing
        : pushAll(outbox, partial.feed(event.text), isFlowing)
    },
    onDrain: reader.queue.onDrain,
    async finish() {
      await partial?.settled()
      const whole = await answer.finish()
      outbox.open()
      if (form?.tools !== undefined) for (const call of whole.toolCalls) outbox.push({ type: 'tool-call', ...call })
      return whole
    },
    drop: outbox.drop,
  }
}

function pushAll(outbox: Outbox, events: readonly StreamEvent[], isFlowing: boolean): boolean {
  let flowing = isFlowing
  for (const event of events) flowing = outbox.push(event)
  return flowing
}

/** What one attempt has for the reader. It is kept back at first: another may still win, or this one may break early. */
type Outbox = {
  /** Answers `false` while the reader is behind. */
  push(event: StreamEvent): boolean
  /** Nothing is kept back any more. */
  open(): void
  /** The attempt is over without an answer: what it still has is nobody's. */
  drop(): void
}

type Filled = Begun & {
  readonly answer: Collector
  /** What the reader is told first. */ readonly opening: StreamEvent | undefined
}

function createOutbox(options: ReaderOptions, reader: Reader, { commit, answer, opening }: Filled): Outbox {
  const { queue } = reader
  const { clock, holdBackMs, holdBackChars } = options
  let early: StreamEvent[] | undefined = []
  let dropped = false
  let timer: unknown

  const release = () => {
    clock.clearTimeout(timer)
    if (early === undefined || dropped) return
    if (opening !== undefined) queue.push(opening)
    for (const event of early) queue.push(event)
    early = undefined
    reader.held = answer.kept
    reader.failure = undefined
    reader.isOpen = true
    commit()
    reader.opened.resolve()
  }
  const isEnough = () => {
    if (reader.isOpen || holdBackMs + holdBackChars === 0) return true
    const { text, reasoningText } = answer.kept()
    return holdBackChars > 0 && text.length + reasoningText.length >= holdBackChars
  }
  return {
    open: release,
    push(event) {
      if (dropped) return true
      if (early === undefined) return queue.push(event)
      early.push(event)
      if (!isContent(event)) return true
      if (isEnough()) release()
      else if (holdBackMs > 0) timer ??= clock.setTimeout(release, holdBackMs)
      return true
    },
    drop() {
      dropped = true
      clock.clearTimeout(timer)
    },
  }
}

type OfProvider = Extract<ProviderEvent, { type: 'response-metadata' | 'warning' | `${string}-delta` | 'tool-call' }>

function isForReader(event: ProviderEvent): event is OfProvider {
  return isContent(event) || event.type === 'response-metadata' || event.type === 'warning'
}

function isContent({ type }: ProviderEvent | StreamEvent): boolean {
  return type === 'text-delta' || type === 'reasoning-delta' || type === 'tool-call-delta' || type === 'tool-call'
}

/** Says to the reader what becomes of the text it has. */
function seamEvent({ failure }: Reader, at: { source: Source; before: Kept; isContinued: boolean }): StreamEvent {
  const { provider, model, targetIndex, attempt } = at.source
  // without a failure it stopped at its target's own limit
  const of = { provider: provider.name, model, targetIndex, attempt, reason: failure?.reason ?? 'truncated' }
  const { text, reasoningText } = at.before
  if (at.isContinued) return { type: 'continue', ...of, characters: text.length }
  return { type: 'restart', ...of, discardedCharacters: text.length + reasoningText.length }
}
