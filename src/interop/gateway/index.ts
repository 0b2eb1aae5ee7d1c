/** `unbusy/gateway`: serves a chain as an OpenAI-compatible endpoint on a port, for every language. On the command line: `npx unbusy serve`. */

import '../../require-node.ts'

export { serve } from './serve.ts'
export type { Gateway } from './serve.ts'
export type { GatewayConfig, GatewayKey, GatewaySettings, RouteConfig } from './config.ts'
