import { createHash } from 'node:crypto'

import type { Identity } from '../contract.ts'
import type { Failure } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'
import { type Connections, createConnections } from '../http/connections.ts'
import type { ApiKeyFunction, ServiceOptions } from './target.ts'

/** Where a service is and which credentials it gets. Resolved once, when a target is created. */
export type Endpoint = {
  readonly service: string
  readonly baseURL: string
  /** The headers of every request: content type, the key, the user's own headers. */
  readonly headers: Readonly<Record<string, string>>
  readonly identity: Identity
  readonly connections: Connections
  /** Texts that must never appear in an error, whatever the server quotes. */
  readonly secrets: readonly string[]
  /** Calls the `apiKey` function for one request; rejects with an `authentication` failure. Undefined: the key is fixed. */
  readonly askKey: (() => Promise<Credentials>) | undefined
  /** A sentence about what is wrong with the key; undefined when nothing is. */
  readonly missingKey: string | undefined
}

/** The headers of one request, and the texts that must not appear in an error about it. */
type Credentials = Pick<Endpoint, 'headers' | 'secrets'>

type EndpointDefaults = {
  readonly service: string
  readonly baseURL?: string | undefined
  /** The environment variables that may hold the key. The first one that is set is used. */
  readonly keyVariables?: readonly string[] | undefined
  /** Send nothing without a key. @default true where a variable is named */
  readonly keyNeeded?: boolean | undefined
  /** The header that carries the key. @default 'authorization', as a bearer token */
  readonly keyHeader?: string | undefined
  /** The environment variables that may hold the base URL, for services without a fixed one. */
  readonly addressVariables?: readonly string[] | undefined
  /** A page beside `/v1` that the server answers immediately while it works. */
  readonly page?: string | undefined
  /** The server stops listening first and then finishes its requests. @default false */
  readonly drains?: boolean | undefined
  /** The path to append to an address of this host that has none. */
  readonly defaultPath?: { readonly host: RegExp; readonly path: string } | undefined
}

export function createEndpoint(options: ServiceOptions, defaults: EndpointDefaults): Endpoint {
  const { service, keyVariables = [], keyHeader = 'authorization', page, drains } = defaults
  const baseURL = addressOf(options, defaults)
  const own = checkedHeaders(options.headers ?? {}, service)
  const common = {
    service,
    baseURL,
    connections: createConnections({
      dispatcher: options.dispatcher,
      page: page === undefined ? undefined : pathOf(baseURL, page),
      drains,
    }),
  }
  const { apiKey } = options
  if (typeof apiKey === 'function') {
    const headers = headersWith(undefined, keyHeader, own)
    const askIt = () => askKey(apiKey, { service, keyHeader, own })
    return {
      ...common,
      headers,
      identity: identityOf(baseURL, { own, keyFunction: apiKey, name: options.name }),
      secrets: [],
      missingKey: undefined,
      askKey: askIt,
    }
  }
  const key = keyOf(apiKey, keyVariables, service)
  const headers = headersWith(key, keyHeader, own)
  // Azure accepts either a key in its own header or a token
  const credential = headers[keyHeader] ?? headers['authorization']
  return {
    ...common,
    headers,
    identity: identityOf(baseURL, { own: { ...keyHeaders(key, keyHeader), ...own } }),
    secrets: [key, credential].filter(secret => secret !== undefined),
    missingKey: credential === undefined ? missingKey(defaults) : undefined,
    askKey: undefined,
  }
}

function headersWith(
  key: string | undefined,
  keyHeader: string,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const common = { 'content-type': 'application/json', 'user-agent': 'unbusy' }
  // frozen, so that the headers are validated once and not for every request
  return Object.freeze({ ...common, ...keyHeaders(key, keyHeader), ...own })
}

function keyHeaders(key: string | undefined, keyHeader: string): Readonly<Record<string, string>> {
  if (key === undefined) return {}
  // Azure takes a key in its own header, but an Entra token as a bearer token like other services
  const isBearer = keyHeader === 'authorization' || /^eyJ[\w-]+\.[\w-]+\./.test(key)
  return isBearer ? { authorization: `Bearer ${key}` } : { [keyHeader]: key }
}

/** Sends with the current key, which an `apiKey` function may have to fetch first. A fixed key costs no extra promise. */
export function withKey<Result>(endpoint: Endpoint, send: (keyed: Endpoint) => Promise<Result>): Promise<Result> {
  return endpoint.askKey === undefined
    ? send(endpoint)
    : endpoint.askKey().then(credentials => send({ ...endpoint, ...credentials }))
}

/** A key that cannot be fetched now may be available soon, so the target is skipped for seconds and not for minutes. */
const unfetchedMs = 10_000

type Asked = { readonly service: string; readonly keyHeader: string; readonly own: Readonly<Record<string, string>> }

async function askKey(apiKey: ApiKeyFunction, { service, keyHeader, own }: Asked): Promise<Credentials> {
  let key: unknown
  try {
    key = await apiKey()
  } catch (cause) {
    throw unfetched(`The function apiKey of ${service} threw. See the cause.`, { service, cause })
  }
  if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))
    throw unfetched(`The function apiKey of ${service} must return the key as a string without spaces and line breaks.`, {
      service,
    })
  const headers = headersWith(key, keyHeader, own)
  return { headers, secrets: [key, headers['authorization']].filter(secret => secret !== undefined) }
}

function unfetched(message: string, { service, cause }: { readonly service: string; readonly cause?: unknown }): ProviderError {
  return new ProviderError(message, { reason: 'authentication', provider: service, atMostMs: unfetchedMs, cause })
}

/** The address from the options, the service's default, or the environment. */
function addressOf(options: ServiceOptions, { service, baseURL, addressVariables = [], defaultPath }: EndpointDefaults): string {
  const named = addressVariables.map(variable => process.env[variable]).find(value => value !== undefined && value !== '')
  const address = checkedURL(options.baseURL ?? baseURL ?? named, { service, addressVariables })
  const url = new URL(address)
  if (defaultPath === undefined || url.pathname !== '/' || !defaultPath.host.test(url.hostname)) return address
  url.pathname = defaultPath.path
  return url.href
}

function missingKey({ service, keyVariables = [], keyNeeded = keyVariables.length > 0 }: EndpointDefaults): string | undefined {
  if (!keyNeeded) return undefined
  const [variable] = keyVariables
  const cure = variable === undefined ? 'Write the' : `Set ${variable} in the environment, or write the`
  return `There is no key for ${service}. ${cure} option apiKey.`
}

/** The failure of a target without a key: the target is skipped, and the chain continues. */
export function missingKeyFailure(endpoint: Endpoint, model: string): Failure | undefined {
  if (endpoint.missingKey === undefined) return undefined
  return new ProviderError(endpoint.missingKey, { reason: 'authentication', provider: endpoint.service, model })
}

/** Appends a path to a base URL; a query in the base URL (`?api-version=...`) stays at the end. */
export function urlOf(baseURL: string, path: string): string {
  const [base = '', ...query] = baseURL.split('?')
  return [`${base.replace(/\/+$/, '')}${path}`, ...query].join('?')
}

/** The server's root: local servers serve `/metrics` and similar pages beside `/v1`, not below it. */
export function rootOf(baseURL: string): string {
  const url = new URL(baseURL)
  url.pathname = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
  return url.href
}

function pathOf(baseURL: string, page: string): string {
  return new URL(urlOf(rootOf(baseURL), page)).pathname
}

function checkedURL(
  baseURL: string | undefined,
  { service, addressVariables }: { readonly service: string; readonly addressVariables: readonly string[] },
): string {
  const [variable] = addressVariables
  const cure = variable === undefined ? '' : `, or set ${variable}`
  if (baseURL === undefined)
    throw new TypeError(
      `${service}: baseURL is missing. Write the address of the server, for example { baseURL: 'http://host:8000/v1' }${cure}.`,
    )
  const url = URL.parse(baseURL)
  // 'localhost:8000' parses as a URL with the scheme 'localhost:'
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError(`${service}: baseURL must begin with http:// or https://, for example 'http://127.0.0.1:8000/v1'.`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`${service}: baseURL contains a user or a password. Put them in the option headers or apiKey instead.`)
  }
  return baseURL
}

function keyOf(apiKey: string | undefined, keyVariables: readonly string[], service: string): string | undefined {
  if (apiKey !== undefined && apiKey !== '') return checkedKey(apiKey, `${service}: apiKey`)
  for (const variable of keyVariables) {
    const value = process.env[variable]
    if (value !== undefined && value !== '') return checkedKey(value, `${service}: the environment variable ${variable}`)
  }
  return undefined
}

/**
 * Rejects quotes and line breaks: a key read from a file often ends in a newline, which no header may carry. The message never
 * shows the value.
 */
function checkedKey(key: string, name: string): string {
  if (/^["'`]|["'`]$/.test(key)) {
    throw new TypeError(`${name} is in quotes. Remove them: Docker and CI use everything after the = as the value, quotes too.`)
  }
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new TypeError(
    `${name} contains a space, a line break or another character that a key cannot have. Remove it: a key read from a file often ends with a line break, which .trim() removes.`,
  )
}

function checkedHeaders(headers: Readonly<Record<string, string>>, service: string): Record<string, string> {
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      throw new TypeError(
        `${service}: headers: a name is empty or contains a character that is not allowed. Write letters, digits and hyphens.`,
      )
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for: a line break would start another header
    if (typeof value !== 'string' || /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/.test(value)) {
      throw new TypeError(`${service}: headers: the value of '${name}' must be a string of one line in Latin letters.`)
    }
    checked[name.toLowerCase()] = value
  }
  return checked
}

type Sent = {
  /** The headers that differ between users: the caller's own, and the key if it is fixed. Names are in lower case. */
  readonly own: Readonly<Record<string, string>>
  readonly keyFunction?: ApiKeyFunction | undefined
  /** The target's name, which identifies the `apiKey` function within a fleet. */
  readonly name?: string | undefined
}

/**
 * Computed once, from the fixed parts. One origin may serve several servers that differ only by path (F90), and several accounts
 * that differ by any header (F91): a tenant, a project, a gateway route. A query may do the same, and may hold a key.
 */
function identityOf(baseURL: string, { own, keyFunction, name }: Sent): Identity {
  const { origin, pathname, search } = new URL(baseURL)
  const headers = Object.entries(own).toSorted(([one], [other]) => (one < other ? -1 : 1))
  const path = pathname.replace(/\/+$/, '')
  // a refused key is refused under every path, but callers without a key share nothing across paths
  const sent = digest(JSON.stringify([search, headers.length === 0 ? path : '', headers]))
  const common = { origin, path }
  if (keyFunction === undefined) return { ...common, credential: sent }
  if (name !== undefined) return { ...common, credential: digest(JSON.stringify([sent, 'by function', name])) }
  return { ...common, credential: `${nameOf(keyFunction)} ${sent}`, inFleet: false }
}

const names = new WeakMap<ApiKeyFunction, string>()
let namesGiven = 0

/**
 * The function itself is the identity: its result is unknown before the call, and changes. Other processes cannot use the name.
 */
function nameOf(keyFunction: ApiKeyFunction): string {
  const name = names.get(keyFunction) ?? `function ${(namesGiven += 1)}`
  names.set(keyFunction, name)
  return name
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
