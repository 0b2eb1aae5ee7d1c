import type { Clock, Failure, ProviderEvent, Source } from '../contract.ts'
import type { AnswerForm } from '../output/answer-form.ts'
import { createPartialOutput } from '../output/partial-output.ts'
import type { Repairs } from '../output/repairs.ts'
import type { Fold, GenerateResult, Sink } from './answer.ts'
import type { StreamEvent } from './answer-stream.ts'
import { answerOf, collect, type Collected, keptOf, startCollecting } from './collect.ts'
import {
  type AfterFirstToken,
  type Broken,
  type Continuation,
  continuationFailed,
  type Kept,
  mayContinue,
  overridesFor,
  prefixWasRefused,
} from './continuation.ts'
import { closeQueue, createEventQueue, type EventQueue, pushEvent, whenDrained } from './event-queue.ts'

export type ReaderOptions = {
  readonly clock: Clock
  readonly continuation: Continuation
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
  /** Resolves with the first content, or rejects where there is none. */
  readonly opened: PromiseWithResolvers<void>
  /** The attempt whose events the reader got last. */
  held: Collected | undefined
  /** Why the attempt that produced `held` failed. */
  failure: Failure | undefined
  isOpen: boolean
}

/** One attempt at a stream. What it has for the reader is kept back at first: another may still win, or this one may break early. */
type Outbox = {
  readonly options: ReaderOptions
  readonly reader: Reader
  readonly answer: Collected
  readonly commit: () => void
  /** What the reader is told first. */
  readonly opening: StreamEvent | undefined
  /** Undefined: nothing is kept back any more. */
  early: StreamEvent[] | undefined
  dropped: boolean
  timer: unknown
}

/** Between the walk, which pushes, and the reader, who pulls. */
export type Outlet = {
  readonly options: ReaderOptions
  readonly reader: Reader
  readonly sink: Sink
}

/** The commit of `stream()`: from its first content on, what an attempt emits is the reader's. */
export function open(options: ReaderOptions): Outlet {
  const { continuation, afterFirstToken, from } = options
  const reader: Reader = {
    queue: createEventQueue<StreamEvent>(),
    opened: Promise.withResolvers<void>(),
    held: undefined,
    failure: from?.failure,
    isOpen: from !== undefined,
  }
  const mayBegin = () => !reader.isOpen || afterFirstToken !== 'fail' || isReasoningOnly(heldBy(options, reader))
  const sink: Sink = {
    begin: (source, commit) => streamFold(options, reader, { source, commit }),
    failed(failure, source) {
      // what the reader has cannot be asked for again, unless that was said before
      const isReworded =
        source !== undefined &&
        (prefixWasRefused(continuation, { failure, source, kept: heldBy(options, reader) }) ||
          (mayBegin() && options.repairs?.take(failure, source) === true))
      continuationFailed(continuation)
      // attempts that come later and bring nothing do not change why the reader's text broke off
      if (reader.isOpen) reader.failure ??= failure
      if (isReworded) return 'reword'
      return mayBegin() ? 'policy' : 'stop'
    },
    wantsMore: (answer, source) => answer.finishReason === 'length' && mayContinue(continuation, heldBy(options, reader), source),
    settleFor(answer) {
      const { text, reasoningText } = heldBy(options, reader)
      return { ...answer, text, reasoningText }
    },
  }
  return { options, reader, sink }
}

/** The answer is whole: the reader gets `finish`; of an answer that nobody made, the text first. */
export function finishStream({ reader }: Outlet, { degraded, text, finishReason, usage, response }: GenerateResult): void {
  const { queue } = reader
  if (degraded) pushEvent(queue, { type: 'text-delta', text })
  pushEvent(queue, { type: 'finish', finishReason, usage, providerMetadata: response.providerMetadata })
  closeQueue(queue)
}

/** What the reader holds so far, and why it broke off. */
export function brokenStream({ options, reader }: Outlet): Broken {
  return { kept: heldBy(options, reader), failure: reader.failure }
}
type FoldOptions = { readonly source: Source; readonly commit: () => void }

const nothing: Kept = { text: '', reasoningText: '', tokens: 0, hasToolCall: false, usage: {} }

function heldBy({ from }: ReaderOptions, { held }: Reader): Kept {
  return held === undefined ? (from?.kept ?? nothing) : keptOf(held)
}

/** Nobody builds on thoughts: as long as they are all that the reader has, the answer may begin anew, whatever was said (F8). */
function isReasoningOnly({ text, reasoningText, hasToolCall }: Kept): boolean {
  return text === '' && reasoningText !== '' && !hasToolCall
}

/** Folds one attempt's events and hands them on, from the moment at which they are the reader's. */
function streamFold(options: ReaderOptions, reader: Reader, { source, commit }: FoldOptions): Fold {
  const { form, repairs, continuation } = options
  const before = heldBy(options, reader)
  const overrides = reader.isOpen ? overridesFor(continuation, before, source) : undefined
  const answer = startCollecting({ source, form, from: overrides === undefined ? undefined : before })
  const opening = reader.isOpen ? resumeEvent(reader, { source, before, isContinued: overrides !== undefined }) : undefined
  const outbox: Outbox = { options, reader, answer, commit, opening, early: [], dropped: false, timer: undefined }
  const partial = form?.output?.hasPartials === true ? createPartialOutput(form.output, event => push(outbox, event)) : undefined

  return {
    overrides: overrides ?? repairs?.overridesFor(source),
    emit(event) {
      collect(answer, event)
      // a tool call is handed out when its input was validated
      if (!isForReader(event) || (event.type === 'tool-call' && form?.tools !== undefined)) return true
      const isFlowing = push(outbox, event)
      return partial === undefined || event.type !== 'text-delta'
        ? isFlowing
        : pushAll(outbox, partial.feed(event.text), isFlowing)
    },
    onDrain: listener => whenDrained(reader.queue, listener),
    async finish() {
      await partial?.settled()
      const whole = await answerOf(answer)
      release(outbox)
      if (form?.tools !== undefined) for (const call of whole.toolCalls) push(outbox, { type: 'tool-call', ...call })
      return whole
    },
    drop() {
      // the attempt is over without an answer: what it still has is nobody's
      outbox.dropped = true
      options.clock.clearTimeout(outbox.timer)
    },
  }
}

function pushAll(outbox: Outbox, events: readonly StreamEvent[], isFlowing: boolean): boolean {
  let flowing = isFlowing
  for (const event of events) flowing = push(outbox, event)
  return flowing
}

/** Answers `false` while the reader is behind. */
function push(outbox: Outbox, event: StreamEvent): boolean {
  const { options, reader, early } = outbox
  if (outbox.dropped) return true
  if (early === undefined) return pushEvent(reader.queue, event)
  early.push(event)
  if (!isContent(event)) return true
  if (isEnough(outbox)) release(outbox)
  else if (options.holdBackMs > 0) outbox.timer ??= options.clock.setTimeout(() => release(outbox), options.holdBackMs)
  return true
}

function isEnough({ options, reader, answer }: Outbox): boolean {
  const { holdBackMs, holdBackChars } = options
  if (reader.isOpen || holdBackMs + holdBackChars === 0) return true
  return holdBackChars > 0 && answer.text.length + answer.reasoningText.length >= holdBackChars
}

/** Nothing is kept back any more. */
function release(outbox: Outbox): void {
  const { options, reader, early, opening, dropped } = outbox
  options.clock.clearTimeout(outbox.timer)
  if (early === undefined || dropped) return
  if (opening !== undefined) pushEvent(reader.queue, opening)
  for (const event of early) pushEvent(reader.queue, event)
  outbox.early = undefined
  reader.held = outbox.answer
  reader.failure = undefined
  reader.isOpen = true
  outbox.commit()
  reader.opened.resolve()
}

type OfProvider = Extract<ProviderEvent, { type: 'response-metadata' | 'warning' | `${string}-delta` | 'tool-call' }>

function isForReader(event: ProviderEvent): event is OfProvider {
  return isContent(event) || event.type === 'response-metadata' || event.type === 'warning'
}

function isContent({ type }: ProviderEvent | StreamEvent): boolean {
  return type === 'text-delta' || type === 'reasoning-delta' || type === 'tool-call-delta' || type === 'tool-call'
}

/** Says to the reader what becomes of the text it has. */
function resumeEvent({ failure }: Reader, at: { source: Source; before: Kept; isContinued: boolean }): StreamEvent {
  const { provider, model, targetIndex, attempt } = at.source
  // without a failure it stopped at its target's own limit
  const of = { provider: provider.name, model, targetIndex, attempt, reason: failure?.reason ?? 'truncated' }
  const { text, reasoningText } = at.before
  if (at.isContinued) return { type: 'continue', ...of, characters: text.length }
  const restart: StreamEvent = { type: 'restart', ...of, discardedCharacters: text.length + reasoningText.length }
  return isReasoningOnly(at.before) ? { ...restart, lost: 'reasoning' } : restart
}
