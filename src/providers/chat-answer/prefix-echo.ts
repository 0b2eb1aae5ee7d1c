import type { ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'

type Emit = (event: ProviderEvent) => boolean

/** A common beginning of this length cannot be a coincidence: the answer was started again. */
const sureLength = 24

/** A whole prefix of this length comes back by chance only if it is repetitive itself: "la la la " after "la la la ". */
const leastLength = 8

function isSure(prefix: string): boolean {
  return (
    prefix.length >= sureLength || (prefix.length >= leastLength && `${prefix}${prefix}`.indexOf(prefix, 1) === prefix.length)
  )
}

/**
 * Guards the start of a continuation: passes on only the text after the prefix.
 *
 * - A server that is known to repeat the prefix (llama-server, for JSON answers): the exact prefix is removed.
 * - Any other server: nothing is removed unless the answer begins with the whole, exact prefix and the prefix is long enough to
 *   rule out coincidence. DeepSeek's documentation and field reports disagree here, so both behaviours are handled. Never less
 *   than the whole prefix: trimming a partial overlap deletes text (R134).
 * - An answer that begins like a long prefix and then diverges has started again. The two cannot be joined (R32), so the attempt
 *   fails.
 */
export function afterPrefix(prefix: string, knownEcho: boolean, emit: Emit): Emit {
  let pending = ''
  let decided = prefix === '' || (!knownEcho && !isSure(prefix))

  const release = (event: ProviderEvent): boolean => {
    const held = pending
    pending = ''
    if (held !== '') emit({ type: 'text-delta', text: held })
    return emit(event)
  }

  return event => {
    if (decided) return emit(event)
    if (event.type === 'finish' && pending.length >= sureLength) throw startedAgain()
    if (event.type !== 'text-delta') return event.type === 'finish' ? release(event) : emit(event)
    pending += event.text
    if (pending.length < prefix.length && prefix.startsWith(pending)) return true
    decided = true
    if (pending.startsWith(prefix)) {
      const rest = pending.slice(prefix.length)
      pending = ''
      return rest === '' || emit({ type: 'text-delta', text: rest })
    }
    if (commonLength(pending, prefix) >= sureLength) throw startedAgain()
    const text = pending
    pending = ''
    return emit({ type: 'text-delta', text })
  }
}

function commonLength(one: string, other: string): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length += 1
  return length
}

function startedAgain(): ProviderError {
  return new ProviderError('The server was asked to continue a given text, but began the answer again.', {
    reason: 'malformed-response',
    status: 200,
  })
}
