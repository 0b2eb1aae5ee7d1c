import { suggestion } from '../suggestion.ts'

type Named = { readonly name: string; readonly aliases: readonly string[]; readonly hubId?: string }

/** Finds a row by name in any common spelling: `H100`, `NVIDIA-H100-80GB`, `deepseek-ai/DeepSeek-R1`, `deepseek-r1:32b`. */
export function findRow<Row extends Named>(rows: readonly Row[], written: string, what: string): Row {
  const wanted = plain(written)
  const found = rows.find(row => namesOf(row).some(name => plain(name) === wanted))
  if (found !== undefined) return found
  const names = rows.map(({ name }) => name)
  const hint = suggestion(written, names)
  const known = hint.includes('Write one of') ? hint : `${hint} Write one of ${names.join(', ')}.`
  throw new TypeError(`There is no ${what} '${written.slice(0, 80)}'.${known}`)
}

function namesOf({ name, aliases, hubId }: Named): readonly string[] {
  return hubId === undefined ? [name, ...aliases] : [name, hubId, ...aliases]
}

/** Normalises a name to lower-case letters and digits, without the vendor. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .replace(/^(deepseekai)?(deepseek)?(nvidia|amd|apple|geforce)?(geforce)?/, '')
}
