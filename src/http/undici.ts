/**
 * The only door to undici. Bun answers the bare name `undici` with a module of its own that has no way to dispatch; the path into the
 * package is undici itself everywhere.
 */
export { Agent, Client, EnvHttpProxyAgent, Pool } from 'undici/index.js'
export type { buildConnector, Dispatcher } from 'undici/index.js'
