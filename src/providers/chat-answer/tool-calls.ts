import type { ProviderEvent, ProviderMetadata } from '../../contract.ts'
import { ProviderError, shortName } from '../../errors.ts'
import { asObject, type JsonWork, jsonWork } from '../json.ts'
import { callState } from '../service-state.ts'
import { endsInHalf } from './chunk.ts'
import { type Input, inputOf, isEmptyInput, isOther, isPlaceholder, isSame, isWhole, startInput, write } from './tool-input.ts'

export type ToolCallsOptions = {
  emit(event: ProviderEvent): void
  /** Creates an id for a call that has none from the server, or whose id another call already uses. */
  createId(position: number): string
  /** The names of the offered tools. Without them every received name is taken as complete. */
  readonly tools?: readonly string[] | undefined
  /** Ids that earlier turns of the conversation use; no new call gets one of them. */
  readonly takenIds?: ReadonlySet<string> | undefined
}

export type ToolCalls = {
  /** `delta.tool_calls` of one chunk, or `message.tool_calls` of a whole answer. */
  add(fragments: unknown): void
  count(): number
  /** Emits all calls, complete. If one is incomplete, returns what is wrong and emits none: no tool may run on partial input. */
  close(): string | undefined
}

/**
 * No model makes this many calls at once. An answer that does is broken or malicious: each call costs a parse and an execution.
 */
const mostCalls = 1_000

/** The pieces in one event are read in one step. */
const mostFragments = 10_000

function tooMany(what: string): ProviderError {
  return new ProviderError(`The answer contains more than ${what}.`, { reason: 'malformed-response', status: 200 })
}

type Pending = Input & {
  readonly id: string
  readonly sentId: string
  name: string
  announced: boolean
  /** State that the service wants back with this call. */
  state: ProviderMetadata | undefined
}
type Fragment = {
  readonly index: unknown
  readonly id: string
  readonly name: string
  readonly text: string
  readonly state: ProviderMetadata | undefined
}

type Gathering = {
  readonly options: ToolCallsOptions
  readonly offered: Names
  readonly calls: Pending[]
  /** The latest call for each index, and for each id that the server sent. */
  readonly byIndex: Map<number, Pending>
  readonly bySentId: Map<string, Pending>
  readonly ids: Set<string>
  /** Of comparing inputs. What is beyond it is compared as it is written. */
  readonly compared: JsonWork
}

/**
 * Assembles tool calls in the order in which they began (R125). Servers tell the fragments of different calls apart by `index`,
 * by `id`, or not at all when they send complete calls; and one index or id may stand for two calls (F51, F52).
 */
export function createToolCalls(options: ToolCallsOptions): ToolCalls {
  const gathering: Gathering = {
    options,
    offered: namesOf(options.tools ?? []),
    calls: [],
    byIndex: new Map(),
    bySentId: new Map(),
    ids: new Set(),
    compared: jsonWork(4),
  }
  return {
    add(fragments) {
      if (!Array.isArray(fragments)) return
      if (fragments.length > mostFragments) throw tooMany(`${mostFragments} pieces of tool calls in one event`)
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
  if (fragment.state !== undefined) call.state = { ...call.state, ...fragment.state }
  if (isSentAgain(fragment, call)) return
  write(call, fragment.text)
  tell(gathering, call)
}

function tell({ options, offered }: Gathering, call: Pending): void {
  if (call.name === '' || (call.text === '' && offered.mayGrow(call.name))) return
  // `{}` may turn out to be a placeholder (F50), so it waits for more
  const held = isPlaceholder(call.text) ? '' : call.held
  // half a surrogate pair waits for its other half (F62)
  const inputText = endsInHalf(held) ? held.slice(0, -1) : held
  if (call.announced && inputText === '') return
  // the full text is not sliced here: it is joined once, at the end
  if (inputText !== '') call.held = held.slice(inputText.length)
  call.announced = true
  options.emit({ type: 'tool-call-delta', toolCallId: call.id, toolName: call.name, inputText })
}

function locate(gathering: Gathering, fragment: Fragment): Pending | undefined {
  const { calls, byIndex, bySentId } = gathering
  const { index, id } = fragment
  const byId = () => (id === '' ? calls.at(-1) : bySentId.get(id))
  const call = typeof index === 'number' ? byIndex.get(index) : byId()
  return call === undefined || isAnother(gathering, fragment, call) ? undefined : call
}

/**
 * Some servers give every call the index 0, or the same id, or neither. A name that cannot extend the last call starts a new one.
 */
function isAnother({ offered, compared }: Gathering, fragment: Fragment, call: Pending): boolean {
  const { id, name, text } = fragment
  if (name === '') return false
  if (id !== '' && call.sentId !== '' && id !== call.sentId) return true
  if (isAnotherName(name, call.name, offered) || isOther(text, call, compared)) return true
  if (isRepeated(fragment, call, compared)) return false
  return !isToldById(fragment, call) && text !== '' && isWhole(call)
}

/** The same input at the same index: no tool may run twice for it. */
function isRepeated({ index, id, text }: Fragment, call: Pending, work: JsonWork): boolean {
  return typeof index === 'number' && (id === '' || id === call.sentId) && isSame(text, call, work)
}

function isAnotherName(name: string, known: string, offered: Names): boolean {
  return known !== '' && name !== known && offered.join(known, name) === known
}

function isToldById({ id, index }: Fragment, { sentId }: Pending): boolean {
  return id !== '' && (id === sentId || typeof index !== 'number')
}

function begin(gathering: Gathering, { index, id: sentId }: Fragment): Pending {
  const { calls, byIndex, bySentId, ids } = gathering
  if (calls.length >= mostCalls) throw tooMany(`${mostCalls} tool calls`)
  const call: Pending = { ...startInput(), id: uniqueId(gathering, sentId), sentId, name: '', announced: false, state: undefined }
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
  // the answer that holds the inputs is parsed in the same step
  const work = jsonWork(2)
  for (const call of calls) {
    const input = call.name === '' ? undefined : inputOf(call.text, work)
    if (input === undefined) return faultOf(call)
    const { id: toolCallId, name: toolName, held, announced, state } = call
    if (held.trim() !== '' || !announced)
      whole.push({ type: 'tool-call-delta', toolCallId, toolName, inputText: held.toWellFormed() })
    const event: ProviderEvent = { type: 'tool-call', toolCallId, toolName, input }
    whole.push(state === undefined ? event : { ...event, providerMetadata: state })
  }
  for (const event of whole) options.emit(event)
  return undefined
}

function fragmentOf(raw: unknown): Fragment | undefined {
  const fragment = asObject(raw)
  if (fragment === undefined) return undefined
  const called = asObject(fragment['function']) ?? fragment
  // R126: an input under another name is still one, and no tool may run without it
  const input = called['arguments'] ?? called['parameters'] ?? called['input']
  const { index } = fragment
  return {
    index: typeof index === 'string' && /^\d{1,4}$/.test(index) ? Number(index) : index,
    id: textOf(fragment['id']),
    name: nameOf(called['name']),
    // Ollama's native format and some gateways send the arguments as an object, and gateways in PHP a piece of digits as a number
    text: (typeof input === 'object' && input !== null) || Number.isFinite(input) ? JSON.stringify(input) : textOf(input),
    state: callState(fragment),
  }
}

/** Some servers repeat a complete call at the end of the answer, in full or with an empty input. */
function isSentAgain({ name, text }: Fragment, call: Pending): boolean {
  if (!isWhole(call)) return false
  if (isEmptyInput(text) || (name === '' && text.length === call.text.length && text === call.text)) return true
  return name !== '' && !isPlaceholder(call.text)
}

function faultOf({ name, text }: Pending): string {
  if (name === '') return 'a tool call has no name'
  const called = shortName(name)
  return `the input of ${called === '' ? 'a tool call' : `the tool call '${called}'`} is not a JSON object (${text.length} characters arrived)`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** vLLM leaves tokens of gpt-oss behind the name: `get_weather<|channel|>commentary`. */
function nameOf(value: unknown): string {
  const name = textOf(value).trim()
  const token = name.indexOf('<|')
  return token === -1 ? name : name.slice(0, token)
}

type Names = {
  /**
   * The name after one more fragment: extended, replaced by a longer one, or unchanged when the fragment is no part of a name.
   */
  join(name: string, piece: string): string
  /** Whether a name with this beginning may be incomplete. */
  mayGrow(name: string): boolean
}

/** Kimi's own format, which its server may hand on: `functions.get_weather:0`. */
function withoutPrefix(name: string): string {
  return name.startsWith('functions.') ? name.slice('functions.'.length).replace(/:\d+$/, '') : name
}

/** Some servers send a name in fragments (F53). They are joined only if the result begins the name of an offered tool. */
function namesOf(tools: readonly string[]): Names {
  const isTool = (name: string) => tools.includes(name)
  const begins = (start: string) => tools.some(tool => tool.startsWith(start))
  return {
    join(name, given) {
      const piece = isTool(withoutPrefix(given)) ? withoutPrefix(given) : given
      if (name === '' || piece === '') return name + piece
      if (piece !== name && !isTool(name) && piece.startsWith(name) && begins(piece)) return piece
      const sum = name + piece
      const isPiece = !isTool(piece) && (isTool(sum) || (begins(sum) && !isTool(name)))
      return isPiece ? sum : name
    },
    mayGrow: name => tools.some(tool => tool !== name && tool.startsWith(name)),
  }
}
