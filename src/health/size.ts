import type { Call } from '../contract.ts'

/** What tells how large a request is. */
export type Sized = Pick<Call, 'messages' | 'maxOutputTokens' | 'tools'>

const charactersPerToken = 4
/** As much as most services count for one. */
const tokensPerImage = 1_000

/** How many tokens a limit will count for it, roughly: only sizes that were estimated alike are ever compared. */
export function tokensOf({ messages, maxOutputTokens = 0, tools }: Sized): number {
  const characters = messages.reduce((sum, { content }) => sum + charactersOf(content), tools === undefined ? 0 : lengthOf(tools))
  return Math.ceil(characters / charactersPerToken) + maxOutputTokens
}

function charactersOf(content: Call['messages'][number]['content']): number {
  if (typeof content === 'string') return content.length
  return content.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length : tokensPerImage * charactersPerToken), 0)
}

function lengthOf(tools: object): number {
  try {
    return JSON.stringify(tools).length
  } catch {
    return 0
  }
}
