import type { Issue, ToolCall } from '../contract.ts'
import { ProviderError, shortName } from '../errors.ts'

export type InvalidOutput = {
  /** What the model wrote. It is kept on the error, and is no part of its message: messages end up in logs. */
  readonly text: string
  readonly issues?: readonly Issue[] | undefined
  readonly toolCalls?: readonly ToolCall[] | undefined
  readonly toolCallId?: string | undefined
  readonly how: { readonly requestId: string | undefined }
}

/** The answer came and is not of the form that was asked for. */
export function invalidOutput(what: string, { issues = [], how, ...rest }: InvalidOutput): ProviderError {
  const message = `The answer is not as asked: ${what}${placesOf(issues)}.`
  return new ProviderError(message, { reason: 'invalid-output', status: 200, requestId: how.requestId, issues, ...rest })
}

const mostPlaces = 3

/** A key that the model made up may be anything. */
function placeOf(key: string | number): string {
  const name = typeof key === 'number' ? String(key) : shortName(key)
  return name === '' ? '…' : name
}

/** Where, but not what stood there: an issue's own message may quote the answer. */
function placesOf(issues: readonly Issue[]): string {
  if (issues.length === 0) return ''
  const places = issues.slice(0, mostPlaces).map(({ path }) => (path.length === 0 ? 'the whole' : path.map(placeOf).join('.')))
  const more = issues.length > mostPlaces ? ` and ${issues.length - mostPlaces} more` : ''
  return ` at ${places.join(', ')}${more} (see issues)`
}
