import { shortName } from '../../errors.ts'

/**
 * Makes a server's text safe to keep: masks the caller's secrets and anything that looks like a key, and shortens the text. It
 * may still quote the prompt (llama-server answers `Missing 'role' in message: {"content":"<the prompt>"}`), so it goes into
 * `ProviderError.said` and never into a log.
 */
export function masked(text: string, limit: number, secrets: readonly string[] = []): string {
  let safe = text
  for (const secret of secrets) if (secret.length >= 4) safe = safe.replaceAll(secret, '***')
  // a server's text must not send control sequences to a terminal
  safe = safe
    .slice(0, 4_000)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  if (isBinary(safe)) return ''
  safe = shorten(maskKeys(safe), limit)
  return /[\p{L}\p{N}]/u.test(safe) ? safe : ''
}

/** Bytes that are not text, such as a compressed body without a label (F61). */
function isBinary(text: string): boolean {
  return text.split('\uFFFD').length > 2 + text.length / 16
}

/** Makes the value of a field like `code` or `param` safe for a message: returns a short name or number, otherwise `''`. */
export function safeName(value: string, secrets: readonly string[] = []): string {
  if (shortName(value) === '') return ''
  const isSecret = secrets.some(secret => secret.includes(value) || value.includes(secret))
  return isSecret || maskKeys(value) !== value ? '' : value
}

/** How much of an HTML page is read: the relevant text is at the beginning. */
const mostHtml = 16_384

/** The title of an HTML page, or its text. Reads the page once, so the cost is linear for any input. */
export function textOfHtml(html: string): string {
  const page = html.slice(0, mostHtml)
  const title = between(page, /<title[^<>]{0,200}>/i)
  if (title !== '') return title
  // everything from `<` to the next `<` or `>` is a tag, even an unclosed one
  return page.replace(/<(script|style)\b[^<]*/gi, ' ').replace(/<[^<>]*>?/g, ' ')
}

function between(page: string, opening: RegExp): string {
  const found = opening.exec(page)
  if (found === null) return ''
  const start = found.index + found[0].length
  const end = page.indexOf('<', start)
  return page.slice(start, end === -1 ? page.length : end).trim()
}

/** Prefixes of the keys that hosts issue, JSON web tokens, and keys that the server has already masked except for their end. */
const keys =
  /\b(?:sk|pk|rk|gsk|csk|hf|fw|xai|nvapi|tgp|ghp|gho|r8|pat|glpat|github_pat)[-_][\w*-]{6,}|\bAIza[\w-]{16,}|\beyJ[\w-]{10,}\.[\w.-]+|\*{2,}[\w-]*/g
const credentials = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi

function maskKeys(text: string): string {
  return text.replace(credentials, '$1 ***').replace(keys, '***')
}

function shorten(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).trimEnd()}…`
}
