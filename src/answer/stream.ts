import type { Clock, ProviderEvent } from '../contract.ts'
import type { Source } from '../contract-events.ts'
import type { Failure } from '../contract-failures.ts'
import type { AnswerForm } from '../output/answer-form.ts'
import { createPartialOutput } from '../output/partial-output.ts'
import type { Repairs } from '../output/repairs.ts'
import type { Fold, GenerateResult, Sink } from './answer.ts'
import type { Part } from './answer-stream.ts'
import type { StreamEvent } from './stream-event.ts'
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
import { closeQueue, countOf, createEventQueue, type EventQueue, pushEvent, whenDrained } from './event-queue.ts'

export type ReaderOptions = {
  readonly clock: Clock
  readonly continuation: Continuation
  readonly afterFirstToken: AfterFirstToken
  readonly form?: AnswerForm | undefined
  readonly repairs?: Repairs | undefined
  /** How long the first content is held back, in milliseconds, so that the reader does not notice an early break. */
  readonly holdBackMs: number
  /** Content is held back until it has this many characters. */
  readonly holdBackChars: number
  /** What the reader already has, from an earlier stream. */
  readonly from?: Broken | undefined
}

/** What the reader has received. All attempts of one stream share it. */
export type Reader = {
  readonly queue: EventQueue<StreamEvent>
  /** Resolves at the first content, or rejects if there is none. */
  readonly opened: PromiseWithResolvers<void>
  /** The attempt whose events the reader received last. */
  held: Collected | undefined
  /** Which attempt produced which events of the queue. */
  sources: readonly Part[]
  /** Why the attempt that produced `held` failed. */
  failure: Failure | undefined
  isOpen: boolean
}

/** The answer before the attempt, and why it broke off. */
type Opening = { readonly failure: Failure | undefined; readonly before: Kept; readonly isContinued: boolean }

/** One attempt's output. It is held back at first: another attempt may still win, or this one may break early. */
type Outbox = {
  readonly options: ReaderOptions
  readonly reader: Reader
  readonly answer: Collected
  readonly commit: () => void
  /** What the event before the attempt's content reports; undefined: there is none. */
  readonly opening: Opening | undefined
  /** The events held back; undefined: nothing is held back any more. */
  early: StreamEvent[] | undefined
  dropped: boolean
  timer: unknown
}

/** Connects the walk, which pushes events, with the reader, which pulls them. */
export type Outlet = {
  readonly options: ReaderOptions
  readonly reader: Reader
  readonly sink: Sink
}

/** The sink of `stream()`: from its first content on, the reader gets what an attempt emits. */
export function open(options: ReaderOptions): Outlet {
  const { continuation, afterFirstToken, from } = options
  const reader: Reader = {
    queue: createEventQueue<StreamEvent>(),
    opened: Promise.withResolvers<void>(),
    held: undefined,
    sources: [],
    failure: from?.failure,
    isOpen: from !== undefined,
  }
  const mayBegin = () => !reader.isOpen || afterFirstToken !== 'fail' || isReasoningOnly(heldBy(options, reader))
  const sink: Sink = {
    begin: (source, commit) => streamFold(options, reader, { source, commit }),
    failed(failure, source) {
      // content that the reader has cannot be requested again, unless the caller allowed it
      const isReworded =
        source !== undefined &&
        (prefixWasRefused(continuation, { failure, source, kept: heldBy(options, reader) }) ||
          (mayBegin() && options.repairs?.take(failure, source) === true))
      continuationFailed(continuation)
      // later attempts without content do not change why the reader's text broke off
      if (reader.isOpen) reader.failure ??= failure
      if (isReworded) return 'reword'
      return mayBegin() ? 'policy' : 'stop'
    },
    wantsMore: (answer, source) => answer.finishReason === 'length' && mayContinue(continuation, heldBy(options, reader), source),
    acceptCut(answer) {
      const { text, reasoningText } = heldBy(options, reader)
      return { ...answer, text, reasoningText }
    },
  }
  return { options, reader, sink }
}

/** The answer is complete: the reader gets `finish`, and before it the text of a default response. */
export function finishStream({ reader }: Outlet, { degraded, text, finishReason, usage, response }: GenerateResult): void {
  const { queue } = reader
  if (degraded) pushEvent(queue, { type: 'text-delta', text })
  pushEvent(queue, { type: 'finish', finishReason, usage, providerMetadata: response.providerMetadata })
  closeQueue(queue)
}

/** Returns what the reader has so far, and why the answer broke off. */
export function brokenStream({ options, reader }: Outlet): Broken {
  return { kept: heldBy(options, reader), failure: reader.failure }
}
type FoldOptions = { readonly source: Source; readonly commit: () => void }

const nothing: Kept = { text: '', reasoningText: '', tokens: 0, hasToolCall: false, usage: {} }

function heldBy({ from }: ReaderOptions, { held }: Reader): Kept {
  return held === undefined ? (from?.kept ?? nothing) : keptOf(held)
}

/** While the reader has only reasoning, the answer may restart under any `afterFirstToken`: no reader depends on reasoning (F8). */
function isReasoningOnly({ text, reasoningText, hasToolCall }: Kept): boolean {
  return text === '' && reasoningText !== '' && !hasToolCall
}

/** Collects one attempt's events, and passes them to the reader once the attempt is committed. */
function streamFold(options: ReaderOptions, reader: Reader, { source, commit }: FoldOptions): Fold {
  const { form, repairs, continuation } = options
  const before = heldBy(options, reader)
  const overrides = reader.isOpen ? overridesFor(continuation, before, source) : undefined
  const answer = startCollecting({ source, form, from: overrides === undefined ? undefined : before })
  const { failure } = reader
  const opening = reader.isOpen ? { failure, before, isContinued: overrides !== undefined } : undefined
  const outbox: Outbox = { options, reader, answer, commit, opening, early: [], dropped: false, timer: undefined }
  const partial = form?.output?.hasPartials === true ? createPartialOutput(form.output, event => push(outbox, event)) : undefined
  for (const warning of form?.warnings ?? []) push(outbox, warning)

  return {
    overrides: overrides ?? repairs?.overridesFor(source),
    tokensBefore: before.tokens,
    emit(event) {
      collect(answer, event)
      // a tool call is passed on only after its input was validated
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
      // the attempt ended without an answer: events that it still holds back are dropped
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

/** Returns `false` while the reader is behind. */
function push(outbox: Outbox, event: StreamEvent): boolean {
  const { options, reader, early } = outbox
  if (outbox.dropped) return true
  if (early === undefined) return pushEvent(reader.queue, event)
  early.push(event)
  if (!isContent(event) || isEmpty(event)) return true
  if (isEnough(outbox)) release(outbox)
  else if (options.holdBackMs > 0) outbox.timer ??= options.clock.setTimeout(() => release(outbox), options.holdBackMs)
  return true
}

function isEnough({ options, reader, answer }: Outbox): boolean {
  const { holdBackMs, holdBackChars } = options
  if (reader.isOpen || holdBackMs + holdBackChars === 0) return true
  return holdBackChars > 0 && answer.text.length + answer.reasoningText.length >= holdBackChars
}

/** Passes on what was held back, and holds nothing back any more. */
function release(outbox: Outbox): void {
  const { options, reader, early, opening, dropped } = outbox
  options.clock.clearTimeout(outbox.timer)
  if (early === undefined || dropped) return
  const { source } = outbox.answer.options
  reader.sources = [...reader.sources, { source, from: countOf(reader.queue) }]
  if (opening !== undefined) pushEvent(reader.queue, openingEvent(source, opening))
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

/** Whether the event only carries what the service requires back. */
function isEmpty(event: StreamEvent): boolean {
  return event.type === 'reasoning-delta' && event.text === ''
}

/** Returns the event that tells the reader whether to keep or discard its text. */
function openingEvent({ provider, model, targetIndex, attempt }: Source, opening: Opening): StreamEvent {
  const { failure, before, isContinued } = opening
  // without a failure, the answer stopped at its target's own limit
  const of = { provider: provider.name, model, targetIndex, attempt, reason: failure?.reason ?? 'truncated' }
  const { text, reasoningText } = before
  if (isContinued) return { type: 'continue', ...of, characters: text.length }
  const restart: StreamEvent = { type: 'restart', ...of, discardedCharacters: text.length + reasoningText.length }
  return isReasoningOnly(before) ? { ...restart, lost: 'reasoning' } : restart
}
