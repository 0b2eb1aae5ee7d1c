/** Where a request goes: what undici wants of a URL. */
export type Destination = { readonly origin: string; readonly path: string }

/** A process asks few addresses, again and again; parsing one takes longer than anything else in a request. */
const known = new Map<string, Destination>()
const mostKnown = 256

/** Takes an absolute http or https URL apart. Throws a `TypeError` that says what to write instead. */
export function destinationOf(url: string): Destination {
  const before = known.get(url)
  if (before !== undefined) return before
  const destination = takeApart(url)
  if (known.size < mostKnown) known.set(url, destination)
  return destination
}

function takeApart(url: string): Destination {
  const parsed = URL.parse(url)
  if (parsed === null)
    throw new TypeError(`${shown(url)} is not an absolute URL. Write one like https://api.deepseek.com/chat/completions.`)
  const { protocol, username, password, origin, pathname, search } = parsed
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new TypeError(`A URL that begins with ${protocol} cannot be asked. Write one that begins with https:// or http://.`)
  }
  if (username !== '' || password !== '') {
    throw new TypeError(
      `The URL of ${origin} holds a user name or a password. Write them into a header instead, for example authorization.`,
    )
  }
  return { origin, path: `${pathname}${search}` }
}

/** Headers that were checked once, by the object they came in: a provider hands in the same for every request. */
const checked = new WeakMap<Readonly<Record<string, string>>, readonly string[]>()

/** Header names and values in turn, as undici takes them. Throws a `TypeError` that names the header and never shows its value. */
export function wireHeaders(headers: Readonly<Record<string, string>>): string[] {
  const pairs = checked.get(headers) ?? pairsOf(headers)
  if (Object.isFrozen(headers)) checked.set(headers, pairs)
  return [...pairs]
}

function pairsOf(headers: Readonly<Record<string, string>>): string[] {
  const pairs: string[] = []
  let encodingAsked = false
  for (const name of Object.keys(headers)) {
    const value: unknown = headers[name]
    checkHeader(name, value)
    if (name.toLowerCase() === 'accept-encoding') encodingAsked = true
    pairs.push(name, value)
  }
  // compressed, tokens would wait until a block is full
  if (!encodingAsked) pairs.push('accept-encoding', 'identity')
  return pairs
}

/** Throws a `TypeError` for a header that HTTP cannot carry. */
function checkHeader(name: string, value: unknown): asserts value is string {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new TypeError(
      'The name of a header is empty or holds a character that names cannot have. Write letters, digits and hyphens.',
    )
  }
  if (typeof value !== 'string') throw new TypeError(`The header ${name} is of type ${typeof value}. Write a string.`)
  const position = value.search(/[^\t\u0020-\u007e\u0080-\u00ff]/)
  if (position === -1) return
  throw new TypeError(
    `The header ${name} holds ${kindOf(value.charCodeAt(position))} at position ${position}, which HTTP cannot carry. ` +
      'Look at where its value comes from: a key read from a file often ends with a line break.',
  )
}

function kindOf(code: number): string {
  if (code === 10 || code === 13) return 'a line break'
  return code < 0x80 ? 'a control character' : 'a character outside of Latin-1'
}

/** The URL without what may be secret in it. */
function shown(url: string): string {
  const [start = ''] = url.split(/[?#]/, 1)
  return start === '' || start.includes('@') ? 'The URL' : `"${start}"`
}
