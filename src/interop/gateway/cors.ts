import type { IncomingMessage } from 'node:http'
import type { Headers } from '../openai/reply.ts'
import type { GatewaySettings } from './config.ts'

/** Returns the headers that let a page of this origin read the answer; no headers if it may not. */
export function corsHeaders({ headers }: IncomingMessage, cors: GatewaySettings['cors']): Headers {
  const { origin } = headers
  if (cors === undefined || cors === false || origin === undefined) return {}
  if (cors !== true && !cors.includes(origin)) return { vary: 'origin' }
  return {
    'access-control-allow-origin': cors === true ? '*' : origin,
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'authorization, content-type, x-request-id, traceparent',
    'access-control-expose-headers':
      'x-request-id, x-unbusy-target, x-unbusy-provider, x-unbusy-model, x-unbusy-attempts, x-unbusy-ignored, x-unbusy-warnings, retry-after',
    'access-control-max-age': '600',
    vary: 'origin',
  }
}

/** Detects a CORS preflight, which a browser sends without a key. */
export function isPreflight({ method, headers }: IncomingMessage, cors: GatewaySettings['cors']): boolean {
  return method === 'OPTIONS' && cors !== undefined && cors !== false && headers['access-control-request-method'] !== undefined
}
