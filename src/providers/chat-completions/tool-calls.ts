import type { ProviderEvent } from '../../contract.ts'
import { shortName } from '../../errors.ts'
import { asObject, parseJson } from './parse-json.ts'

export type ToolCallsOptions = {
  emit(event: ProviderEvent): void
  /** For calls that the server gives no id. */
  createId(position: number): string
}

export type ToolCalls = {
  /** `delta.tool_calls` of one chunk, or `message.tool_calls` of a whole answer. */
  add(fragments: unknown): void
  count(): number
  /** Emits every call whole. Answers what is wrong with one that is not, before any is emitted: no tool runs on half its input. */
  close(): string | undefined
}

type Pending = { readonly index: unknown; id: string; readonly sentId: string; name: string; text: string; announced: boolean }
type Fragment = { readonly index: unknown; readonly id: string; readonly name: string; readonly text: string }

/**
 * Puts tool calls together in the order in which they began (R125). Servers tell the pieces of one apart by `index`, by `id`, or,
 * when they send whole calls, not at all.
 */
export function createToolCalls({ emit, createId }: ToolCallsOptions): ToolCalls {
  const calls: Pending[] = []

  const add = (fragment: Fragment) => {
    const call = locate(fragment) ?? begin(fragment)
    if (fragment.name !== '' && isWhole(call.text)) return // sent again, whole, at the end
    if (call.name === '') call.name = fragment.name
    call.text += fragment.text
    if (call.name === '' || (call.announced && fragment.text === '')) return
    const inputText = call.announced ? fragment.text : call.text
    call.announced = true
    emit({ type: 'tool-call-delta', toolCallId: call.id, toolName: call.name, inputText })
  }

  const locate = (fragment: Fragment): Pending | undefined => {
    if (typeof fragment.index === 'number') {
      const call = calls.findLast(({ index }) => index === fragment.index)
      return call === undefined || isAnother(fragment, call) ? undefined : call
    }
    if (fragment.id !== '') return calls.find(call => call.sentId === fragment.id)
    const last = calls.at(-1)
    return last === undefined || isAnother(fragment, last) ? undefined : last
  }

  const begin = ({ index, id, name }: Fragment): Pending => {
    const call = { index, id: id === '' ? createId(calls.length) : id, sentId: id, name, text: '', announced: false }
    calls.push(call)
    return call
  }

  return {
    add(fragments) {
      if (!Array.isArray(fragments)) return
      for (const raw of fragments) {
        const fragment = fragmentOf(raw)
        if (fragment !== undefined) add(fragment)
      }
    },
    count: () => calls.length,
    close() {
      const whole: ProviderEvent[] = []
      for (const call of calls) {
        const input = call.name === '' ? undefined : inputOf(call.text)
        if (input === undefined) return faultOf(call)
        whole.push({ type: 'tool-call', toolCallId: call.id, toolName: call.name, input })
      }
      for (const event of whole) emit(event)
      return undefined
    },
  }
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

/** Some gateways number every call 0, or not at all; then another id with a name, or a name after a whole call, begins the next. */
function isAnother({ id, name, text }: Fragment, call: Pending): boolean {
  if (name === '') return false
  if (id !== '' && call.sentId !== '') return id !== call.sentId
  return text !== '' && isWhole(call.text)
}

function isWhole(text: string): boolean {
  return text !== '' && inputOf(text) !== undefined
}

/**
 * The input of a call: an object, or none at all, which servers write as `""` or `null`. Anything else is undefined: half an input
 * never becomes `{}` (R126).
 */
function inputOf(text: string): { readonly [key: string]: unknown } | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed === 'null') return {}
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return undefined
  try {
    return asObject(parseJson(trimmed))
  } catch {
    return undefined
  }
}

function faultOf({ name, text }: Pending): string {
  if (name === '') return 'a tool call has no name'
  const called = shortName(name)
  return `the input of ${called === '' ? 'a tool call' : `the tool call '${called}'`} is no JSON object (${text.length} characters came)`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
