import { type AnswerStream, type StreamEvent, toAnswerStream } from './answer-stream.ts'
import type { Answer, GenerateResult } from './answer.ts'
import type { Clock, Fold, ProviderEvent, Sink, Source } from './contract.ts'
import { createEventQueue, type EventQueue } from './event-queue.ts'
import { collect, type ReadOutput } from './result.ts'
import type { AfterFirstToken, Kept, Seam } from './seam.ts'

export type OutletOptions = {
  readonly clock: Clock
  readonly seam: Seam
  readonly afterFirstToken: AfterFirstToken
  readonly readOutput?: ReadOutput | undefined
  /** The first content is kept back for so long, in milliseconds, so that an early break is healed unseen. */
  readonly holdBackMs: number
  /** It is kept back until it has so many characters. */
  readonly holdBackChars: number
  /** What the reader holds already, from an earlier stream. */
  readonly from?: Kept | undefined
}

/** Between the walk, which pushes, and the reader, who pulls. */
export type Outlet = {
  readonly sink: Sink<Answer>
  /** Resolves when the first content is the reader's. */
  readonly opened: Promise<void>
  isOpen(): boolean
  /** The answer is whole: the reader gets `finish`; of an answer that nobody made, the text first. */
  finish(answer: GenerateResult): void
  /** The reader gets this error after what has come. */
  fail(error: unknown): void
  /** What the reader holds so far. */
  kept(): Kept
  stream(result: Promise<GenerateResult>, leave: () => void): AnswerStream
}

const nothing: Kept = { text: '', reasoningText: '', chunks: 0, hasToolCall: false, usage: {} }

/** What the reader holds, and whether any of it has been handed out. Common to all attempts of one stream. */
type Reader = {
  readonly queue: EventQueue<StreamEvent>
  readonly opened: PromiseWithResolvers<void>
  held: () => Kept
  isOpen: boolean
}

/** The commit of `stream()`: from its first content on, what an attempt emits is the reader's. */
export function open(options: OutletOptions): Outlet {
  const { seam, afterFirstToken, from } = options
  const queue = createEventQueue<StreamEvent>()
  const opened = Promise.withResolvers<void>()
  const reader: Reader = { queue, opened, held: () => from ?? nothing, isOpen: from !== undefined }
  return {
    sink: {
      begin: (source, commit) => streamFold(options, reader, { source, commit }),
      mayGoOn(failure) {
        seam.failed(failure)
        // what the reader has cannot be taken back unless it was said before that it may be
        return !reader.isOpen || afterFirstToken !== 'fail'
      },
      wantsMore: (answer, source) => answer.finishReason === 'length' && seam.takeLength(reader.held(), source),
      settleFor(answer) {
        const { text, reasoningText } = reader.held()
        return { ...answer, text, reasoningText }
      },
    },
    opened: opened.promise,
    isOpen: () => reader.isOpen,
    finish({ degraded, text, finishReason, usage, response }) {
      if (degraded) queue.push({ type: 'text-delta', text })
      queue.push({ type: 'finish', finishReason, usage, providerMetadata: response.providerMetadata })
      queue.close()
    },
    fail: queue.close,
    kept: () => reader.held(),
    stream: (result, leave) => toAnswerStream(queue, result, leave),
  }
}

type Begun = { readonly source: Source; readonly commit: () => void }

/** Folds one attempt's events and hands them on, from the moment at which they are the reader's. */
function streamFold(options: OutletOptions, reader: Reader, { source, commit }: Begun): Fold<Answer> {
  const { queue } = reader
  const before = reader.held()
  const resume = reader.isOpen ? options.seam.resumeOn(before, source) : undefined
  const { provider } = source
  const answer = collect({
    provider: provider.name,
    readOutput: options.readOutput,
    from: resume === undefined ? undefined : before,
  })
  // What comes before that moment is kept back: another attempt may still win, or this one may break early.
  let early: StreamEvent[] | undefined = []
  let timer: unknown

  const release = () => {
    options.clock.clearTimeout(timer)
    if (reader.isOpen) queue.push(seamEvent(options.seam, { source, before, isContinued: resume !== undefined }))
    for (const event of early ?? []) queue.push(event)
    early = undefined
    reader.held = answer.kept
    reader.isOpen = true
    commit()
    reader.opened.resolve()
  }
  const hold = (event: StreamEvent, content: Kept): boolean => {
    early?.push(event)
    const { holdBackMs, holdBackChars } = options
    const isEnough = content.text.length + content.reasoningText.length >= holdBackChars
    if (reader.isOpen || holdBackMs + holdBackChars === 0 || (holdBackChars > 0 && isEnough)) release()
    else if (holdBackMs > 0) timer ??= options.clock.setTimeout(release, holdBackMs)
    return true
  }
  return {
    resume,
    emit(event) {
      answer.emit(event)
      if (!isForReader(event)) return true
      if (early === undefined) return queue.push(event)
      if (isContent(event)) return hold(event, answer.kept())
      return early.push(event) > 0
    },
    onDrain: queue.onDrain,
    async finish() {
      const whole = await answer.finish()
      if (early !== undefined) release()
      return whole
    },
    drop: () => options.clock.clearTimeout(timer),
  }
}

function isForReader(event: ProviderEvent): event is Exclude<StreamEvent, { type: 'finish' | 'restart' | 'continue' }> {
  return isContent(event) || event.type === 'response-metadata' || event.type === 'warning'
}

function isContent({ type }: ProviderEvent): boolean {
  return type === 'text-delta' || type === 'reasoning-delta' || type === 'tool-call-delta' || type === 'tool-call'
}

/** Says to the reader what becomes of the text it has. */
function seamEvent(seam: Seam, at: { source: Source; before: Kept; isContinued: boolean }): StreamEvent {
  const { provider, model, targetIndex, attempt } = at.source
  const of = { provider: provider.name, model, targetIndex, attempt, reason: seam.reason() }
  const { text, reasoningText } = at.before
  if (at.isContinued) return { type: 'continue', ...of, characters: text.length }
  return { type: 'restart', ...of, discardedCharacters: text.length + reasoningText.length }
}
