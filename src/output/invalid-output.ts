import type { Issue, ToolCall } from '../contract.ts'
import { ProviderError, shortName } from '../errors.ts'

export type InvalidOutput = {
  /** What the model wrote. The error keeps it, but its message does not contain it: messages end up in logs. */
  readonly text: string
  readonly issues?: readonly Issue[] | undefined
  readonly toolCalls?: readonly ToolCall[] | undefined
  readonly toolCallId?: string | undefined
  readonly how: { readonly requestId: string | undefined }
}

/** Returns the error for an answer that does not match the requested schema. */
export function invalidOutput(what: string, { issues = [], how, ...rest }: InvalidOutput): ProviderError {
  const message = `The answer does not have the requested form: ${what}${placesOf(issues)}.`
  return new ProviderError(message, { reason: 'invalid-output', status: 200, requestId: how.requestId, issues, ...rest })
}

const mostPlaces = 3

/** A key that the model invented may be any text, so a message shows only a short one. */
function placeOf(key: string | number): string {
  const name = typeof key === 'number' ? String(key) : shortName(key)
  return name === '' ? '…' : name
}

/** Returns the paths of the issues, but not their messages, which may quote the answer. */
function placesOf(issues: readonly Issue[]): string {
  if (issues.length === 0) return ''
  const places = issues
    .slice(0, mostPlaces)
    .map(({ path }) => (path.length === 0 ? 'the top level' : path.map(placeOf).join('.')))
  const more = issues.length > mostPlaces ? ` and ${issues.length - mostPlaces} more` : ''
  return ` at ${places.join(', ')}${more} (see issues)`
}
