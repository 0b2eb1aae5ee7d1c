/**
 * What of a server's words may stand in an error: never a key, never the prompt.
 *
 * Servers quote the request when they reject it: llama-server answers `Missing 'role' in message: {"content":"<the prompt>"}` and
 * `last read: '"<the prompt>'`, pydantic (vLLM, SGLang, FastAPI) adds `input_value={...}`, serde (DeepSeek) `string "<the prompt>"`.
 * So a text is taken only as far as it cannot be a quotation:
 * 1. it ends where a JSON or Python value begins: `{`, or a `[` that holds more than numbers;
 * 2. it ends at words that announce one: `input=`, `last read:`, `prompt:` before a quote;
 * 3. quoted text stays only when it is one identifier (`messages`, `deepseek-flash`, `type.object`); a quotation that never closes
 *    ends the text;
 * 4. the secrets that the caller handed in, and everything that looks like a key, are masked;
 * 5. it is cut to a length.
 */
export function safeText(text: string, limit: number, secrets: readonly string[] = []): string {
  let safe = text
  for (const secret of secrets) if (secret.length >= 4) safe = safe.replaceAll(secret, '***')
  safe = safe.slice(0, 4_000).replace(/\s+/g, ' ').trim()
  safe = shorten(maskKeys(withoutQuotations(untilValue(safe))), limit)
  return /[\p{L}\p{N}]/u.test(safe) ? safe : ''
}

/** What an HTML page says: its title, else its words. */
export function textOfHtml(html: string): string {
  const page = html.slice(0, 20_000)
  const title = /<title[^>]*>([^<]*)/i.exec(page)?.[1]?.trim()
  if (title !== undefined && title !== '') return title
  return page.replace(/<(script|style)[^>]*>[^<]*/gi, ' ').replace(/<[^>]*>/g, ' ')
}

const mark = '…'
const valueBegins = /\{|\[(?![\d,\s]*\])/
const valueAnnounced =
  /\b(?:input|input_value|last read|messages?|prompt|content|tools|body|given|received)['"]?\s*[:=]\s*(?=['"`“<])/i

function untilValue(text: string): string {
  const begins = text.search(valueBegins)
  const announced = text.search(valueAnnounced)
  const end = Math.min(begins === -1 ? text.length : begins, announced === -1 ? text.length : announced)
  return end === text.length ? text : `${text.slice(0, end).trimEnd()} ${mark}`
}

const identifier = /^[\w.\-/:@*$+#[\]]{0,64}$/
/** An apostrophe inside a word (`model's`) opens nothing. */
const quotation = /"([^"]*)"|`([^`]*)`|“([^”]*)”|(?<![\p{L}\p{N}])'([^']*(?:(?<=\p{L})'(?=\p{L})[^']*)*)'/gu

function withoutQuotations(text: string): string {
  const paired = text.replace(quotation, (whole: string, ...groups: (string | undefined)[]) => {
    const quoted = groups[0] ?? groups[1] ?? groups[2] ?? groups[3] ?? ''
    return identifier.test(quoted) ? whole.replace(/["`“”']/g, '\u0000') : mark
  })
  const open = paired.search(/["`“]|(?<![\p{L}\p{N}])'(?=\S)/u)
  return (open === -1 ? paired : `${paired.slice(0, open)}${mark}`).replaceAll('\u0000', "'")
}

/** Prefixes of the keys that hosts hand out, JSON web tokens, and what a server already masked but for its end. */
const keys =
  /\b(?:sk|pk|rk|gsk|csk|hf|fw|xai|nvapi|tgp|ghp|gho|r8|pat|glpat|github_pat)[-_][\w*-]{6,}|\bAIza[\w-]{16,}|\beyJ[\w-]{10,}\.[\w.-]+|\*{2,}[\w-]*/g
const credentials = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi

function maskKeys(text: string): string {
  return text.replace(credentials, '$1 ***').replace(keys, '***')
}

function shorten(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).trimEnd()}${mark}`
}
