import type { AnswerStream, StreamEvent } from '../../index.ts'
import { CannotTakeBack } from '../cannot-take-back.ts'
import { createTypedText, type TypedText } from '../typed-text.ts'
import { callPart, finishReasonOf, metadataOf, stateOfTurn, usageOf, warningOf } from './answer-parts.ts'
import type { ReadCall } from './read-call.ts'
import type { StreamPart, Warning } from './types.ts'

type Block = { readonly type: 'text' | 'reasoning'; readonly id: string }

type Reading = {
  readonly stream: AnswerStream
  readonly typed: TypedText | undefined
  /** Warnings before the first content go into the first part; later ones (`late`) go into the last part. */
  readonly warnings: Warning[]
  readonly late: Warning[]
  readonly inputs: Set<string>
  readonly response: { id: string | undefined; modelId: string }
  isOpen: boolean
  hasText: boolean
  blocks: number
  block: Block | undefined
}

/** Converts the events of one stream to AI SDK parts. */
export type Parts = {
  of(event: StreamEvent): readonly StreamPart[]
  /** Returns the last parts when the answer is complete. */
  end(): Promise<readonly StreamPart[]>
}

/** @throws {CannotTakeBack} from both functions: content that was already sent has become void or turned out to be wrong */
export function createParts(stream: AnswerStream, { typed, warnings }: ReadCall): Parts {
  const reading: Reading = {
    ...{
      stream,
      warnings: [...warnings],
      late: [],
      inputs: new Set(),
      isOpen: false,
      hasText: false,
      blocks: 0,
      block: undefined,
    },
    typed: typed === undefined ? undefined : createTypedText(typed.mayStream),
    response: { id: undefined, modelId: stream.answeredBy.model },
  }
  return { of: event => partsOf(reading, event), end: () => endOf(reading) }
}

function partsOf(reading: Reading, event: StreamEvent): readonly StreamPart[] {
  switch (event.type) {
    case 'warning':
      return warned(reading, event)
    case 'response-metadata':
      return named(reading, event)
    case 'text-delta':
      return textParts(reading, reading.typed === undefined ? event.text : reading.typed.push(event.text))
    case 'reasoning-delta':
      return event.text === '' ? [] : [...opened(reading), ...delta(reading, 'reasoning', event.text)]
    case 'tool-call-delta':
      return inputParts(reading, event)
    case 'tool-call':
      return callParts(reading, event)
    case 'restart':
      return restarted(reading, event)
    default:
      return []
  }
}

function warned(reading: Reading, { setting, message }: StreamEvent & { readonly type: 'warning' }): readonly StreamPart[] {
  const told = warningOf({ provider: reading.stream.answeredBy.provider, setting, message })
  if (reading.isOpen) reading.late.push(told)
  else reading.warnings.push(told)
  return []
}

function named(
  { response }: Reading,
  { id, model }: StreamEvent & { readonly type: 'response-metadata' },
): readonly StreamPart[] {
  if (id !== undefined) response.id = id
  if (model !== undefined) response.modelId = model
  return []
}

/** Returns the first parts. They are sent with the first content, so that they can include everything known until then. */
function opened(reading: Reading): readonly StreamPart[] {
  if (reading.isOpen) return []
  reading.isOpen = true
  const { id, modelId } = reading.response
  return [
    { type: 'stream-start', warnings: reading.warnings },
    { type: 'response-metadata', modelId, timestamp: new Date(), ...(id === undefined ? undefined : { id }) },
  ]
}

function textParts(reading: Reading, text: string): readonly StreamPart[] {
  if (text === '') return []
  reading.hasText = true
  return [...opened(reading), ...delta(reading, 'text', text)]
}

function delta(reading: Reading, type: Block['type'], text: string): readonly StreamPart[] {
  const { block } = reading
  if (block?.type === type) return [{ type: `${type}-delta`, id: block.id, delta: text }]
  const ended = closed(reading)
  const id = String((reading.blocks += 1))
  reading.block = { type, id }
  return [...ended, { type: `${type}-start`, id }, { type: `${type}-delta`, id, delta: text }]
}

function closed(reading: Reading): readonly StreamPart[] {
  const { block } = reading
  reading.block = undefined
  return block === undefined ? [] : [{ type: `${block.type}-end`, id: block.id }]
}

function inputParts(reading: Reading, event: StreamEvent & { readonly type: 'tool-call-delta' }): readonly StreamPart[] {
  const { toolCallId: id, toolName, inputText } = event
  const isKnown = reading.inputs.has(id)
  reading.inputs.add(id)
  const piece: StreamPart = { type: 'tool-input-delta', id, delta: inputText }
  return isKnown ? [piece] : [...opened(reading), ...closed(reading), { type: 'tool-input-start', id, toolName }, piece]
}

/** The AI SDK uses the input of the complete call; it only displays the pieces before it. */
function callParts(reading: Reading, call: StreamEvent & { readonly type: 'tool-call' }): readonly StreamPart[] {
  const begun: readonly StreamPart[] = reading.inputs.has(call.toolCallId)
    ? [{ type: 'tool-input-end', id: call.toolCallId }]
    : []
  reading.hasText = true
  return [...opened(reading), ...closed(reading), ...begun, callPart(call)]
}

/**
 * Lost reasoning ends its block, and new reasoning gets a block of its own. Lost text cannot be reported, because the AI SDK joins all text.
 */
function restarted(reading: Reading, { lost, reason, model }: StreamEvent & { readonly type: 'restart' }): readonly StreamPart[] {
  const isFree = lost === 'reasoning' || (!reading.hasText && reading.inputs.size === 0)
  if (!isFree || reading.typed?.restart() === false) throw new CannotTakeBack(reason)
  reading.response.modelId = model
  return closed(reading)
}

async function endOf(reading: Reading): Promise<readonly StreamPart[]> {
  const result = await reading.stream.result()
  const { typed, late } = reading
  const rest = typed === undefined || result.toolCalls.length > 0 ? '' : typed.end(result.output)
  if (rest === undefined) throw new CannotTakeBack('malformed-response')
  const text = textParts(reading, rest)
  const kept = stateOfTurn(result)
  const id = 'state'
  const state: readonly StreamPart[] =
    kept === undefined
      ? []
      : [
          { type: 'reasoning-start', id },
          { type: 'reasoning-end', id, ...kept },
        ]
  return [
    ...opened(reading),
    ...text,
    ...closed(reading),
    ...state,
    {
      type: 'finish',
      finishReason: finishReasonOf(result.finishReason),
      usage: usageOf(result.usage),
      providerMetadata: metadataOf(result, late),
    },
  ]
}
