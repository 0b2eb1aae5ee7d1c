import type { ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'

type Emit = (event: ProviderEvent) => boolean

/** So many characters in common are no chance: the answer was begun again. */
const sureLength = 24

/** A whole prefix of so many characters comes back by chance only if it repeats itself already: "la la la " after "la la la ". */
const leastLength = 8

function isSure(prefix: string): boolean {
  return (
    prefix.length >= sureLength || (prefix.length >= leastLength && `${prefix}${prefix}`.indexOf(prefix, 1) === prefix.length)
  )
}

/**
 * Guards the seam of a continuation: passes on only what comes after the prefix.
 *
 * - A server that is known to repeat the prefix (llama-server, for an answer as JSON): the exact prefix is cut off.
 * - Any other: nothing is cut, unless the answer begins with the whole prefix, exactly, and it is long enough that this is no chance.
 *   DeepSeek's documentation and field reports differ here, so both readings hold. Never less than the whole prefix: trimming a
 *   mere overlap deletes text (R134).
 * - An answer that begins like a long prefix and then leaves it has started again: that seam cannot be glued (R32), the attempt fails.
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
  return new ProviderError('The server was asked to go on from a given text and began the answer again instead.', {
    reason: 'malformed-response',
    status: 200,
  })
}
