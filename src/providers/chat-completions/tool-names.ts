export type Names = {
  /** The name after one more piece of it: joined, grown, or unchanged where the piece is none. */
  join(name: string, piece: string): string
  /** More may come of a name that begins like this. */
  mayGrow(name: string): boolean
}

/** Some servers send a name in pieces (F53). They are joined only where the sum leads to a tool that was offered. */
export function namesOf(tools: readonly string[]): Names {
  const isTool = (name: string) => tools.includes(name)
  const begins = (start: string) => tools.some(tool => tool.startsWith(start))
  return {
    join(name, piece) {
      if (name === '' || piece === '') return name + piece
      if (piece !== name && !isTool(name) && isTool(piece) && piece.startsWith(name)) return piece
      const sum = name + piece
      const isPiece = !isTool(piece) && (isTool(sum) || (begins(sum) && !isTool(name)))
      return isPiece ? sum : name
    },
    mayGrow: name => tools.some(tool => tool !== name && tool.startsWith(name)),
  }
}
