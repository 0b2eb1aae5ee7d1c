export type CodeBlock = {
  readonly language: string
  readonly code: string
  /** Of its opening fence, from 1. */
  readonly line: number
  /** What the comment right above it names: `<!-- examples/name.ts -->`, or `<!-- examples/name.ts#region -->` for a part. */
  readonly source: string | undefined
}

/** The fenced code blocks of a page, in order. */
export function codeBlocksOf(page: string): readonly CodeBlock[] {
  const fence = /^(?:<!-- *(?<source>\S+) *-->\n+)?```(?<language>\w*)[^\n]*\n(?<code>.*?)^```$/gms
  return [...page.matchAll(fence)].map(({ groups = {}, index, 0: text }) => ({
    language: groups['language'] ?? '',
    code: groups['code'] ?? '',
    line: page.slice(0, index + text.indexOf('```')).split('\n').length,
    source: groups['source'],
  }))
}

/** A page without its fenced blocks and comments: what a reader reads. */
export function proseOf(page: string): string {
  return page.replaceAll(/^```.*?^```$/gms, '').replaceAll(/<!--.*?-->/gs, '')
}

/** The lines between `// #region name` and its `// #endregion`, moved to the left margin. */
export function regionOf(code: string, name: string): string | undefined {
  const lines = code.split('\n')
  const start = lines.findIndex(line => line.trim() === `// #region ${name}`)
  const end = lines.findIndex((line, index) => index > start && line.trim() === '// #endregion')
  if (start === -1 || end === -1) return undefined
  const margin = /^ */.exec(lines[start] ?? '')?.[0].length ?? 0
  return lines
    .slice(start + 1, end)
    .map(line => `${line.slice(margin)}\n`)
    .join('')
}

/** The rows of the table under `<!-- table: name -->`, head left out, cell by cell without the marks of code. Undefined: no such table. */
export function tableOf(page: string, name: string): readonly (readonly string[])[] | undefined {
  const [, rest] = page.split(`<!-- table: ${name} -->\n`)
  const table = /^\n*(?:\|.*\n)+/.exec(rest ?? '')?.[0].trim()
  return table
    ?.split('\n')
    .slice(2)
    .map(row =>
      row
        .slice(1, -1)
        .split('|')
        .map(cell => cell.trim().replaceAll('`', '')),
    )
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of page.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#{1,6} +(.+)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = text.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
    let unique = anchor
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}
