import { shortName } from '../../errors.ts'

/**
 * The words of others, made fit to be kept: the secrets that the caller handed in, and everything that looks like a key, are masked, and
 * the text is cut. It may still quote the prompt (llama-server answers `Missing 'role' in message: {"content":"<the prompt>"}`), so it
 * goes into `ProviderError.said` and into nothing that is logged.
 */
export function masked(text: string, limit: number, secrets: readonly string[] = []): string {
  let safe = text
  for (const secret of secrets) if (secret.length >= 4) safe = safe.replaceAll(secret, '***')
  // a terminal must not be driven by what a server says
  safe = safe
    .slice(0, 4_000)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  safe = shorten(maskKeys(safe), limit)
  return /[\p{L}\p{N}]/u.test(safe) ? safe : ''
}

/** A value of a field like `code` or `param` as it may stand in a message: a short name or number, else `''`. */
export function safeName(value: string, secrets: readonly string[] = []): string {
  if (shortName(value) === '') return ''
  const isSecret = secrets.some(secret => secret.includes(value) || value.includes(secret))
  return isSecret || maskKeys(value) !== value ? '' : value
}

/** How much of an HTML page is looked at: what it says stands at its beginning. */
const mostHtml = 16_384

/** What an HTML page says: its title, else its words. Goes through the text once, whatever it is made of. */
export function textOfHtml(html: string): string {
  const page = html.slice(0, mostHtml)
  const title = between(page, /<title[^<>]{0,200}>/i)
  if (title !== '') return title
  // what follows `<` up to the next `<` or `>` is a tag, also one that never closes
  return page.replace(/<(script|style)\b[^<]*/gi, ' ').replace(/<[^<>]*>?/g, ' ')
}

function between(page: string, opening: RegExp): string {
  const found = opening.exec(page)
  if (found === null) return ''
  const start = found.index + found[0].length
  const end = page.indexOf('<', start)
  return page.slice(start, end === -1 ? page.length : end).trim()
}

/** Prefixes of the keys that hosts hand out, JSON web tokens, and what a server already masked but for its end. */
const keys =
  /\b(?:sk|pk|rk|gsk|csk|hf|fw|xai|nvapi|tgp|ghp|gho|r8|pat|glpat|github_pat)[-_][\w*-]{6,}|\bAIza[\w-]{16,}|\beyJ[\w-]{10,}\.[\w.-]+|\*{2,}[\w-]*/g
const credentials = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi

function maskKeys(text: string): string {
  return text.replace(credentials, '$1 ***').replace(keys, '***')
}

function shorten(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).trimEnd()}…`
}
