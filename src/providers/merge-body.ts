type Fields = Readonly<Record<string, unknown>>

/**
 * The fields of a body, and over them those of the caller: an object is merged one level deep with ours of the same name, anything else
 * takes its place, and `undefined` removes it (F66).
 */
export function mergeBody(own: Fields, ...extras: readonly (Fields | undefined)[]): Fields {
  const merged: Record<string, unknown> = { ...own }
  for (const extra of extras) {
    for (const [name, value] of Object.entries(extra ?? {})) {
      const before = merged[name]
      merged[name] = isPlain(before) && isPlain(value) && isSameKind(before, value) ? { ...before, ...value } : value
    }
  }
  return merged
}

/** `{ type: 'json_object' }` over `{ type: 'json_schema', json_schema }` is another thing, and not a part of ours. */
function isSameKind({ type: before }: Fields, { type }: Fields): boolean {
  return before === undefined || type === undefined || before === type
}

function isPlain(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
