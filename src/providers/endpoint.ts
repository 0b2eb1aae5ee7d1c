import type { Failure, Identity } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { Connections } from '../http/connections.ts'
import { createConnections } from '../http/connections.ts'
import { identityOf } from './identity.ts'
import type { ApiKeyFunction, ServiceOptions } from './target.ts'

/** Where a service is and who asks there: resolved once, when a target is made. */
export type Endpoint = {
  readonly service: string
  readonly baseURL: string
  /** What every request carries: content type, the key, the user's own headers. */
  readonly headers: Readonly<Record<string, string>>
  readonly identity: Identity
  readonly connections: Connections
  /** What must never stand in an error, whatever the server quotes. */
  readonly secrets: readonly string[]
  /** Asks the function that was given as `apiKey`, for one request; rejects with an `authentication` failure. Undefined: the key is fixed. */
  readonly askKey: (() => Promise<Credentials>) | undefined
  /** What is wrong with the key, in a sentence; undefined when nothing is. */
  readonly missingKey: string | undefined
}

/** What one request carries, and what must not stand in an error about it. */
export type Credentials = Pick<Endpoint, 'headers' | 'secrets'>

export type EndpointDefaults = {
  readonly service: string
  readonly baseURL?: string | undefined
  /** The environment variables that may hold the key: the first that is set is taken. */
  readonly keyVariables?: readonly string[] | undefined
  /** Without a key nothing is sent. @default true where a variable is named */
  readonly keyNeeded?: boolean | undefined
  /** The header that carries the key. @default 'authorization', as a bearer token */
  readonly keyHeader?: string | undefined
  /** The environment variables that may hold the base URL, where the service has none of its own. */
  readonly addressVariables?: readonly string[] | undefined
  /** Put behind an address of this host that has no path. */
  readonly defaultPath?: { readonly host: RegExp; readonly path: string } | undefined
}

export function createEndpoint(options: ServiceOptions, defaults: EndpointDefaults): Endpoint {
  const { service, keyVariables = [], keyHeader = 'authorization' } = defaults
  const baseURL = addressOf(options, defaults)
  const own = checkedHeaders(options.headers ?? {}, service)
  const common = {
    service,
    baseURL,
    connections: createConnections(options.dispatcher === undefined ? {} : { dispatcher: options.dispatcher }),
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
  // Azure takes either: a key of its own header, or a token
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
  // frozen: what HTTP can carry of it is checked once, and not for every request
  return Object.freeze({ ...common, ...keyHeaders(key, keyHeader), ...own })
}

function keyHeaders(key: string | undefined, keyHeader: string): Readonly<Record<string, string>> {
  if (key === undefined) return {}
  // Azure takes a key in a header of its own, and a token of Entra as every other service does
  const isBearer = keyHeader === 'authorization' || /^eyJ[\w-]+\.[\w-]+\./.test(key)
  return isBearer ? { authorization: `Bearer ${key}` } : { [keyHeader]: key }
}

/** Sends with the key of this moment, which a function may have to fetch first. One that is fixed costs no promise. */
export function withKey<Result>(endpoint: Endpoint, send: (keyed: Endpoint) => Promise<Result>): Promise<Result> {
  return endpoint.askKey === undefined
    ? send(endpoint)
    : endpoint.askKey().then(credentials => send({ ...endpoint, ...credentials }))
}

/** A key that cannot be fetched now may be there in a moment: nobody is shut out for minutes. */
const unfetchedMs = 10_000

type Asked = { readonly service: string; readonly keyHeader: string; readonly own: Readonly<Record<string, string>> }

async function askKey(apiKey: ApiKeyFunction, { service, keyHeader, own }: Asked): Promise<Credentials> {
  let key: unknown
  try {
    key = await apiKey()
  } catch (cause) {
    throw unfetched(`The function apiKey of ${service} failed. See the cause.`, { service, cause })
  }
  if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))
    throw unfetched(`The function apiKey of ${service} must return the key as a text, without spaces and line breaks.`, {
      service,
    })
  const headers = headersWith(key, keyHeader, own)
  return { headers, secrets: [key, headers['authorization']].filter(secret => secret !== undefined) }
}

function unfetched(message: string, { service, cause }: { readonly service: string; readonly cause?: unknown }): ProviderError {
  return new ProviderError(message, { reason: 'authentication', provider: service, atMostMs: unfetchedMs, cause })
}

/** The option, the service's own address, or the environment. */
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
  const cure = variable === undefined ? '' : `set ${variable} in the environment, or `
  return `There is no key for ${service}: ${cure}give it the option apiKey.`
}

/** The failure of a target that has no key: it is skipped, and the chain goes on. */
export function missingKeyFailure(endpoint: Endpoint, model: string): Failure | undefined {
  if (endpoint.missingKey === undefined) return undefined
  return new ProviderError(endpoint.missingKey, { reason: 'authentication', provider: endpoint.service, model })
}

/** Puts a path behind a base URL; a query of the base URL (`?api-version=...`) stays at the end. */
export function urlOf(baseURL: string, path: string): string {
  const [base = '', ...query] = baseURL.split('?')
  return [`${base.replace(/\/+$/, '')}${path}`, ...query].join('?')
}

/** The server's root: local servers answer `/metrics` and the like beside `/v1`, not below it. */
export function rootOf(baseURL: string): string {
  const url = new URL(baseURL)
  url.pathname = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
  return url.href
}

function checkedURL(
  baseURL: string | undefined,
  { service, addressVariables }: { readonly service: string; readonly addressVariables: readonly string[] },
): string {
  const [variable] = addressVariables
  const cure = variable === undefined ? '' : `, or set ${variable}`
  if (baseURL === undefined)
    throw new TypeError(`${service}: baseURL is missing: where is the server? Write { baseURL: 'http://host:8000/v1' }${cure}.`)
  const url = URL.parse(baseURL)
  // 'localhost:8000' parses as a URL of the scheme 'localhost:'
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError(`${service}: baseURL must begin with http:// or https://, for example 'http://127.0.0.1:8000/v1'.`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`${service}: baseURL holds a user or a password: give them in the option headers or as apiKey instead.`)
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

/** A key read from a file often ends in a newline, which no header may carry. The message never shows the value. */
function checkedKey(key: string, name: string): string {
  if (/^["'`]|["'`]$/.test(key)) {
    throw new TypeError(
      `${name} stands in quotes: remove them. Docker and CI take what stands behind the = as it is, quotes too.`,
    )
  }
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new TypeError(
    `${name} holds a space, a line break or another character that a key cannot have: remove it (a file read as a key often ends in a newline: .trim()).`,
  )
}

function checkedHeaders(headers: Readonly<Record<string, string>>, service: string): Record<string, string> {
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      throw new TypeError(`${service}: headers: '${name}' is not a name that a header may have.`)
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for: a line break would start another header
    if (typeof value !== 'string' || /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/.test(value)) {
      throw new TypeError(`${service}: headers: the value of '${name}' must be a text on one line, in Latin letters.`)
    }
    checked[name.toLowerCase()] = value
  }
  return checked
}
