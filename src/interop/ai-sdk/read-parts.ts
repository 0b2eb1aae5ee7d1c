import type { FinishReason, ProviderEvent, ProviderMetadata, Usage } from '../../index.ts'
import { ProviderError } from '../../index.ts'
import { parseJson } from '../../parse-json.ts'
import { createRawEnding, type RawEnding } from '../../providers/chat-answer/raw-ending.ts'
import { failureFrom } from './model-failure.ts'
import type { Part, TurnState } from './write-prompt.ts'

export type Emit = (event: ProviderEvent) => boolean

/** The state of reading one answer. */
export type Reading = {
  readonly emit: Emit
  /** The tools that the model began to call, and what it has written of their inputs. */
  readonly inputs: Map<string, { readonly toolName: string; text: string }>
  /** What the raw chunks say of the end of the answer. */
  readonly ending: RawEnding
  readonly calls: (ProviderEvent & { readonly type: 'tool-call' })[]
  /** Reasoning blocks with the metadata from their service. */
  readonly thoughts: Map<string, { text: string; said: object | undefined }>
  /** The metadata from the service about the text. */
  ofText: object | undefined
  readonly lost: Set<string>
  begun: boolean
  finished: boolean
}

export function startReading(emit: Emit): Reading {
  return {
    emit,
    inputs: new Map(),
    ending: createRawEnding(),
    calls: [],
    thoughts: new Map(),
    ofText: undefined,
    lost: new Set(),
    begun: false,
    finished: false,
  }
}

/** Reads one part of a stream of any version. Returns `false` while the reader lags behind. */
export function readPart(reading: Reading, part: Part): boolean {
  switch (part.type) {
    case 'text-start':
    case 'text-delta':
    case 'text-end':
      return readText(reading, part)
    case 'reasoning-start':
    case 'reasoning-delta':
    case 'reasoning-end':
      return readThought(reading, part)
    case 'tool-input-start':
    case 'tool-input-delta':
      return readInput(reading, part)
    case 'tool-call':
      return readCall(reading, part)
    case 'finish':
      return finish(reading, part)
    case 'error':
      return raise(reading, part)
    default:
      return readOther(reading, part)
  }
}

function raise({ begun }: Reading, { error }: Part): never {
  throw failureFrom(error, { begun, answered: true }) ?? error
}

function readOther(reading: Reading, part: Part): boolean {
  switch (part.type) {
    case 'stream-start':
      for (const warning of list(part['warnings'])) reading.emit(warningOf(warning as Part))
      return true
    case 'response-metadata':
      return reading.emit({ type: 'response-metadata', id: optionalText(part['id']), model: optionalText(part['modelId']) })
    case 'ping':
      return reading.begun ? true : reading.emit({ type: 'queued' })
    case 'raw':
      reading.ending.came(part['rawValue'])
      return true
    case 'custom':
      return part['kind'] === messageStart || tellLost(reading, 'custom')
    default:
      return placeless.has(part.type) ? tellLost(reading, part.type) : true
  }
}

/** With this, the package for Anthropic begins each answer. All of it is in other parts too. */
const messageStart = 'anthropic.message_start'

/** Parts that have no place here. */
const placeless: ReadonlySet<string> = new Set(['source', 'file', 'reasoning-file', 'tool-result', 'tool-approval-request'])

function tellLost({ lost, emit }: Reading, type: string): boolean {
  if (lost.has(type)) return true
  lost.add(type)
  return emit({
    type: 'warning',
    setting: type,
    message: `The model sent a part of the type '${type}'. It was left out, because a result has no field for it.`,
  })
}

function content(reading: Reading, event: ProviderEvent): boolean {
  reading.begun = true
  return reading.emit(event)
}

function readText(reading: Reading, part: Part): boolean {
  const said = saidIn(part)
  if (said !== undefined) reading.ofText = { ...reading.ofText, ...said }
  return part.type !== 'text-delta' || content(reading, { type: 'text-delta', text: text(part['delta']) })
}

/** Returns the metadata of a part, which the service expects back with it. */
function saidIn({ providerMetadata: said }: Part): ProviderMetadata | undefined {
  return typeof said === 'object' && said !== null ? (said as ProviderMetadata) : undefined
}

function readThought(reading: Reading, part: Part): boolean {
  const id = text(part['id'])
  const thought = reading.thoughts.get(id) ?? { text: '', said: undefined }
  reading.thoughts.set(id, thought)
  const said = saidIn(part)
  if (said !== undefined) thought.said = { ...thought.said, ...said }
  if (part.type !== 'reasoning-delta') return true
  const delta = text(part['delta'])
  thought.text += delta
  return content(reading, { type: 'reasoning-delta', text: delta })
}

function readInput(reading: Reading, part: Part): boolean {
  const toolCallId = text(part['id'])
  if (part.type === 'tool-input-start' && part['providerExecuted'] !== true)
    reading.inputs.set(toolCallId, { toolName: text(part['toolName']), text: '' })
  if (part.type === 'tool-input-start') return true
  const input = reading.inputs.get(toolCallId)
  // belongs to a tool that the service runs itself
  if (input === undefined) return true
  const inputText = text(part['delta'])
  input.text += inputText
  return content(reading, { type: 'tool-call-delta', toolCallId, toolName: input.toolName, inputText })
}

/** Collects a tool call, which is emitted once the answer has ended correctly. */
function readCall(reading: Reading, part: Part): boolean {
  if (part['providerExecuted'] === true) return tellLost(reading, 'tool-call of the service')
  reading.begun = true
  const toolCallId = text(part['toolCallId'])
  const toolName = text(part['toolName'])
  const said = saidIn(part)
  const state = said === undefined ? undefined : { providerMetadata: said }
  reading.calls.push({ type: 'tool-call', toolCallId, toolName, input: inputOf(part['input']), ...state })
  return true
}

function inputOf(input: unknown): unknown {
  if (typeof input !== 'string') return input
  if (input.trim() === '') return {}
  try {
    return parseJson(input)
  } catch {
    throw new ProviderError('The input of a tool call is not JSON.', { reason: 'malformed-response', status: 200 })
  }
}

function finish(reading: Reading, part: Part): boolean {
  const { unified, raw } = reasonOf(part['finishReason'])
  if (unified === 'interrupted' || ((unified === 'other' || unified === 'unknown') && raw === undefined))
    throw new ProviderError('The answer broke off before its end.', { reason: 'truncated', status: 200 })
  if (unified === 'error') throw failed(raw)
  tellState(reading)
  for (const call of reading.calls) reading.emit(call)
  reading.finished = true
  const said = part['providerMetadata'] as { readonly [key: string]: unknown } | undefined
  return reading.emit({
    type: 'finish',
    finishReason: known.has(unified) ? (unified as FinishReason) : 'other',
    usage: usageOf(part['usage']),
    ...(said === undefined ? undefined : { providerMetadata: said }),
  })
}

/** Ends an answer whose service has said that it is done, but whose model has not: the body stays open, or its connection was lost. */
export function conclude(reading: Reading): void {
  const { ending, emit, calls, inputs, thoughts } = reading
  const finishReason = ending.finishReason()
  if (reading.finished || finishReason === undefined) return
  tellState(reading)
  for (const call of calls) emit(call)
  const isOpen = (toolCallId: string): boolean => calls.every(call => call.toolCallId !== toolCallId)
  for (const [toolCallId, { toolName, text: written }] of inputs)
    if (isOpen(toolCallId)) emit({ type: 'tool-call', toolCallId, toolName, input: inputOf(written) })
  reading.finished = true
  emit({ type: 'finish', finishReason, usage: ending.usage(thoughts.size > 0) })
}

/** Emits the metadata that the service expects back with this turn: its reasoning blocks, their metadata and that of the text. */
function tellState({ thoughts, ofText, emit }: Reading): void {
  const all = [...thoughts.values()]
  if (ofText === undefined && all.every(({ said }) => said === undefined)) return
  const parts = all.map(({ text: thought, said }) => ({
    ...{ type: 'reasoning', text: thought },
    ...(said === undefined ? undefined : { providerOptions: said }),
  }))
  const state: TurnState = { parts, ...(ofText === undefined ? undefined : { text: ofText }) }
  emit({ type: 'reasoning-delta', text: '', providerMetadata: state })
}

const known: ReadonlySet<string> = new Set(['stop', 'length', 'tool-calls', 'content-filter'] satisfies FinishReason[])

/** The finish reason is a string in version 2 and an object in later versions. */
function reasonOf(reason: unknown): { readonly unified: string; readonly raw: string | undefined } {
  if (typeof reason === 'string') return { unified: reason, raw: undefined }
  const { unified = 'other', raw } = (reason ?? {}) as { readonly unified?: string; readonly raw?: string }
  return { unified, raw }
}

function failed(raw: string | undefined): ProviderError {
  if (raw === 'insufficient_system_resource')
    return new ProviderError('The service stopped the answer, because it was out of resources.', {
      reason: 'overloaded',
      status: 200,
    })
  return new ProviderError('The service stopped the answer.', { reason: 'server-error', status: 200 })
}

/** The usage is flat in version 2 and nested in later versions. Values that were not reported are undefined. */
function usageOf(usage: unknown): Usage | undefined {
  const { inputTokens: input, outputTokens: output, ...flat } = (usage ?? {}) as Readonly<Record<string, unknown>>
  const ofInput = nested(input)
  const ofOutput = nested(output)
  const [inputTokens, outputTokens] = [count(ofInput['total']), count(ofOutput['total'])]
  if (inputTokens === undefined && outputTokens === undefined) return undefined
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: count(ofInput['cacheRead'] ?? flat['cachedInputTokens']),
    reasoningTokens: count(ofOutput['reasoning'] ?? flat['reasoningTokens']),
    totalTokens: count(flat['totalTokens']) ?? (inputTokens ?? 0) + (outputTokens ?? 0),
  }
}

function nested(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : { total: value }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** The field is `feature` in version 4, and `setting` or `tool` in earlier versions. */
function warningOf(warning: Part): ProviderEvent {
  const { type, feature, setting, tool, details, message } = warning
  const about = [feature, setting, (tool as { readonly name?: unknown } | undefined)?.name].find(one => typeof one === 'string')
  const said = [details, message].find(one => typeof one === 'string')
  return { type: 'warning', setting: text(about ?? type), message: text(said ?? 'The model of the AI SDK does not support it.') }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
