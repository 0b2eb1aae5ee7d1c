/**
 * The only file that imports undici. For the bare name `undici`, Bun provides a module of its own, which cannot dispatch. A path into the
 * package loads undici itself on every runtime.
 */
export { Agent, Client, EnvHttpProxyAgent, Pool } from 'undici/index.js'
export type { buildConnector, Dispatcher } from 'undici/index.js'
