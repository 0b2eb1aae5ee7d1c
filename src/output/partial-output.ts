import { createPartialJson } from './partial-json.ts'
import { type OutputSpec, unwrap } from './output-spec.ts'
import type { Checked } from './standard-schema.ts'

/** The same type with everything in it optional: an incomplete value of a stream. */
export type DeepPartial<Value> = Value extends readonly (infer Item)[]
  ? readonly DeepPartial<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value]?: DeepPartial<Value[Key]> }
    : Value

export type PartialEvent =
  | { readonly type: 'partial-output'; readonly output: unknown }
  | { readonly type: 'element'; readonly element: unknown; readonly index: number }

/** Parses the typed answer of one attempt while it arrives. */
export type PartialOutput = {
  /** Takes the next piece of the answer's text. Returns the events for the reader of the stream. */
  feed(text: string): readonly PartialEvent[]
  /** Resolves when all items with an asynchronous schema have been reported. Undefined when none is pending. */
  settled(): Promise<unknown> | undefined
}

/** @param tellLater for items whose schema is asynchronous */
export function createPartialOutput(spec: OutputSpec, tellLater: (event: PartialEvent) => void): PartialOutput {
  const json = createPartialJson()
  let started = false
  let told = 0
  let isValid = true
  let pending: Promise<unknown> | undefined

  const toEvent = (index: number, checked: Checked): PartialEvent | undefined => {
    // after an invalid item nothing more is reported: the answer as a whole will be invalid too
    isValid &&= 'value' in checked
    return isValid && 'value' in checked ? { type: 'element', element: checked.value, index } : undefined
  }
  const elementsOf = (list: readonly unknown[]): PartialEvent[] => {
    const events: PartialEvent[] = []
    const { checkElement } = spec
    const whole = checkElement === undefined ? 0 : json.wholeItems(list)
    while (checkElement !== undefined && isValid && told < whole) {
      const index = told++
      const checked = checkElement(list[index])
      if (checked instanceof Promise || pending !== undefined) {
        pending = Promise.all([checked, pending]).then(([settled]) => {
          const event = toEvent(index, settled)
          if (event !== undefined) tellLater(event)
        })
        // the rejection reaches the caller of `settled()`
        pending.catch(() => {})
      } else events.push(...[toEvent(index, checked)].filter(event => event !== undefined))
    }
    return events
  }
  return {
    feed(text) {
      const piece = started ? text : fromOpening(text)
      started ||= piece !== ''
      if (piece === '' || !json.feed(piece)) return []
      const output = unwrap(json.value(), spec.field)
      if (output === undefined || (spec.field !== undefined && output === json.value())) return []
      const partial: PartialEvent = { type: 'partial-output', output }
      return Array.isArray(output) ? [partial, ...elementsOf(output)] : [partial]
    },
    settled: () => pending,
  }
}

/** Skips the prose or the fence before the first bracket. */
function fromOpening(text: string): string {
  const start = text.search(/[{[]/)
  return start === -1 ? '' : text.slice(start)
}
