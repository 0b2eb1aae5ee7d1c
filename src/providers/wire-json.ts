/**
 * JSON for a request. Half a surrogate pair, as a text that was cut between two characters holds, becomes U+FFFD (F58): many servers
 * answer 400 to the whole request, or break, where one stands. Also in names, and in JSON that stands in a text.
 */
export function wireJson(value: unknown): string {
  const json = JSON.stringify(value)
  // JSON.stringify escapes a lone half, and nothing else that begins like this
  return json !== undefined && json.includes('\\ud') ? JSON.stringify(wellFormed(value)) : json
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value !== 'object' || value === null) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return wellFormed(JSON.parse(JSON.stringify(value)))
  if (Array.isArray(value)) return value.map(wellFormed)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toWellFormed(), wellFormed(inner)]))
}
