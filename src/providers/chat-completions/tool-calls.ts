import { endsInHalf } from './whole-characters.ts'
import type { ProviderEvent } from '../../contract.ts'
import { ProviderError, shortName } from '../../errors.ts'
import { asObject } from './parse-json.ts'
import type { Input } from './tool-input.ts'
import { inputOf, isEmptyInput, isOther, isPlaceholder, isWhole, startInput, write } from './tool-input.ts'
import type { Names } from './tool-names.ts'
import { namesOf } from './tool-names.ts'

export type ToolCallsOptions = {
  emit(event: ProviderEvent): void
  /** For calls that the server gives no id, or one that another call has. */
  createId(position: number): string
  /** The names of the tools that were offered. Without them every name that comes is taken for a whole one. */
  readonly tools?: readonly string[] | undefined
  /** Ids that earlier turns of the conversation use: no call gets one of them again. */
  readonly takenIds?: ReadonlySet<string> | undefined
}

export type ToolCalls = {
  /** `delta.tool_calls` of one chunk, or `message.tool_calls` of a whole answer. */
  add(fragments: unknown): void
  count(): number
  /** Emits every call whole. Answers what is wrong with one that is not, before any is emitted: no tool runs on half its input. */
  close(): string | undefined
}

/** No model asks for so many at once. An answer that does is broken, or means harm: each call costs a parse and an execution. */
const mostCalls = 1_000

type Pending = Input & { readonly id: string; readonly sentId: string; name: string; announced: boolean }
type Fragment = { readonly index: unknown; readonly id: string; readonly name: string; readonly text: string }

type Gathering = {
  readonly options: ToolCallsOptions
  readonly offered: Names
  readonly calls: Pending[]
  /** The latest call of each number, and of each id that the server sent. */
  readonly byIndex: Map<number, Pending>
  readonly bySentId: Map<string, Pending>
  readonly ids: Set<string>
}

/**
 * Puts tool calls together in the order in which they began (R125). Servers tell the pieces of one apart by `index`, by `id`, or,
 * when they send whole calls, not at all; and one number or one id may stand for two calls (F51, F52).
 */
export function createToolCalls(options: ToolCallsOptions): ToolCalls {
  const gathering: Gathering = {
    options,
    offered: namesOf(options.tools ?? []),
    calls: [],
    byIndex: new Map(),
    bySentId: new Map(),
    ids: new Set(),
  }
  return {
    add(fragments) {
      if (!Array.isArray(fragments)) return
      for (const raw of fragments) {
        const fragment = fragmentOf(raw)
        if (fragment !== undefined) addFragment(gathering, fragment)
      }
    },
    count: () => gathering.calls.length,
    close: () => handOut(gathering),
  }
}

function addFragment(gathering: Gathering, fragment: Fragment): void {
  const call = locate(gathering, fragment) ?? begin(gathering, fragment)
  call.name = gathering.offered.join(call.name, fragment.name)
  if (isSentAgain(fragment, call)) return
  write(call, fragment.text)
  tell(gathering, call)
}

function tell({ options, offered }: Gathering, call: Pending): void {
  if (call.name === '' || (call.text === '' && offered.mayGrow(call.name))) return
  // `{}` may be thrown away yet (F50), so it waits for what follows
  const held = isPlaceholder(call.text) ? '' : call.held
  // half a character waits for its other half (F62)
  const inputText = endsInHalf(held) ? held.slice(0, -1) : held
  if (call.announced && inputText === '') return
  // the whole text is not cut up for it: it is put together once, at the end
  if (inputText !== '') call.held = held.slice(inputText.length)
  call.announced = true
  options.emit({ type: 'tool-call-delta', toolCallId: call.id, toolName: call.name, inputText })
}

function locate({ calls, byIndex, bySentId, offered }: Gathering, fragment: Fragment): Pending | undefined {
  const { index, id } = fragment
  const byId = () => (id === '' ? calls.at(-1) : bySentId.get(id))
  const call = typeof index === 'number' ? byIndex.get(index) : byId()
  return call === undefined || isAnother(fragment, call, offered) ? undefined : call
}

/** Some servers number every call 0, give every call the same id, or neither. A name that cannot belong to the last call begins the next. */
function isAnother(fragment: Fragment, call: Pending, offered: Names): boolean {
  const { id, name, text } = fragment
  if (name === '') return false
  if (id !== '' && call.sentId !== '' && id !== call.sentId) return true
  if (isAnotherName(name, call.name, offered) || isOther(text, call)) return true
  return !isToldById(fragment, call) && text !== '' && isWhole(call)
}

function isAnotherName(name: string, known: string, offered: Names): boolean {
  return known !== '' && name !== known && offered.join(known, name) === known
}

function isToldById({ id, index }: Fragment, { sentId }: Pending): boolean {
  return id !== '' && (id === sentId || typeof index !== 'number')
}

function begin(gathering: Gathering, { index, id: sentId }: Fragment): Pending {
  const { calls, byIndex, bySentId, ids } = gathering
  if (calls.length >= mostCalls) {
    throw new ProviderError(`The answer holds more than ${mostCalls} tool calls.`, { reason: 'malformed-response', status: 200 })
  }
  const call: Pending = { ...startInput(), id: uniqueId(gathering, sentId), sentId, name: '', announced: false }
  calls.push(call)
  ids.add(call.id)
  if (typeof index === 'number') byIndex.set(index, call)
  if (sentId !== '') bySentId.set(sentId, call)
  return call
}

function uniqueId({ options, ids, calls }: Gathering, sent: string): string {
  const isTaken = (id: string) => id === '' || ids.has(id) || options.takenIds?.has(id) === true
  if (!isTaken(sent)) return sent
  const made = options.createId(calls.length)
  let id = made
  for (let more = 2; isTaken(id); more++) id = `${made}_${more}`
  return id
}

function handOut({ calls, options }: Gathering): string | undefined {
  const whole: ProviderEvent[] = []
  for (const call of calls) {
    const input = call.name === '' ? undefined : inputOf(call.text)
    if (input === undefined) return faultOf(call)
    const { id: toolCallId, name: toolName, held, announced } = call
    if (held.trim() !== '' || !announced)
      whole.push({ type: 'tool-call-delta', toolCallId, toolName, inputText: held.toWellFormed() })
    whole.push({ type: 'tool-call', toolCallId, toolName, input })
  }
  for (const event of whole) options.emit(event)
  return undefined
}

function fragmentOf(raw: unknown): Fragment | undefined {
  const fragment = asObject(raw)
  if (fragment === undefined) return undefined
  const called = asObject(fragment['function']) ?? fragment
  const input = called['arguments']
  return {
    index: fragment['index'],
    id: textOf(fragment['id']),
    name: textOf(called['name']),
    // Ollama's native form, and some gateways, send the arguments as an object
    text: typeof input === 'object' && input !== null ? JSON.stringify(input) : textOf(input),
  }
}

/** A call that is whole comes once more at the end of some answers, whole; or an empty input behind it. */
function isSentAgain({ name, text }: Fragment, call: Pending): boolean {
  if (!isWhole(call)) return false
  if (isEmptyInput(text)) return true
  return name !== '' && !isPlaceholder(call.text)
}

function faultOf({ name, text }: Pending): string {
  if (name === '') return 'a tool call has no name'
  const called = shortName(name)
  return `the input of ${called === '' ? 'a tool call' : `the tool call '${called}'`} is no JSON object (${text.length} characters came)`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
