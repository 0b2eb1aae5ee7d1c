import { createHash } from 'node:crypto'
import type { Identity } from '../contract.ts'
import type { ApiKeyFunction } from './target.ts'

type Sent = {
  /** The headers that are not the same for everybody: the user's own, and the key where it is fixed. Names are in small letters. */
  readonly own: Readonly<Record<string, string>>
  readonly keyFunction?: ApiKeyFunction | undefined
  /** The target's, which stands for the function in a fleet. */
  readonly name?: string | undefined
}

/**
 * Made once, of what is fixed. Behind one origin several servers may be told apart by the path alone (F90), and several accounts by any
 * header (F91): a tenant, a project, a route of a gateway. A query may do the same, and may hold a key.
 */
export function identityOf(baseURL: string, { own, keyFunction, name }: Sent): Identity {
  const { origin, pathname, search } = new URL(baseURL)
  const headers = Object.entries(own).toSorted(([one], [other]) => (one < other ? -1 : 1))
  const path = pathname.replace(/\/+$/, '')
  // a key that is refused may be refused below every path, but who sends none has nothing in common with others who send none
  const sent = digest(JSON.stringify([search, headers.length === 0 ? path : '', headers]))
  const common = { origin, path }
  if (keyFunction === undefined) return { ...common, credential: sent }
  if (name !== undefined) return { ...common, credential: digest(JSON.stringify([sent, 'by function', name])) }
  return { ...common, credential: `${nameOf(keyFunction)} ${sent}`, inFleet: false }
}

const names = new WeakMap<ApiKeyFunction, string>()
let namesGiven = 0

/** A function counts as itself: what it returns is not known before it is asked, and changes. Another process cannot know it by this name. */
function nameOf(keyFunction: ApiKeyFunction): string {
  const name = names.get(keyFunction) ?? `function ${(namesGiven += 1)}`
  names.set(keyFunction, name)
  return name
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
