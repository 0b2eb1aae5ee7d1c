import { type PeerGroup, peerGroups } from '../peers/groups.ts'

/** What not every machine has. A group of peers needs no line here. */
const own = ['redis', 'prometheus', 'chromium', 'promtool', 'llama', 'embedded', 'vllm', 'litellm', 'fastapi', 'ollama'] as const
export const needs = [...own, ...peerGroups]
export type Need = (typeof own)[number] | PeerGroup

export type Needed = {
  /** For `skipIf`. */
  readonly isMissing: boolean
  /** The reason, for the name of what is skipped; empty where nothing is missing. */
  readonly suffix: string
}

/**
 * For every test that is skipped where something is not there. `UNBUSY_MUST` names, with commas between, what must be there: a test file
 * that would skip for the want of it fails instead.
 *
 * @param missing why it is not there; `undefined` where it is
 * @throws where it is missing although `UNBUSY_MUST` names it, or where `UNBUSY_MUST` names what does not exist
 */
export function needed(need: Need, missing: string | undefined, must = process.env['UNBUSY_MUST'] ?? ''): Needed {
  const names = must.split(',').filter(name => name !== '')
  const unknown = names.filter(name => !needs.includes(name as Need))
  if (unknown.length > 0) throw new TypeError(`UNBUSY_MUST names ${unknown.join(', ')}. It can name ${needs.join(', ')}.`)
  if (missing === undefined) return { isMissing: false, suffix: '' }
  if (names.includes(need)) throw new Error(`UNBUSY_MUST names ${need}, so nothing of it may be skipped here. But: ${missing}.`)
  return { isMissing: true, suffix: ` (skipped: ${missing})` }
}
