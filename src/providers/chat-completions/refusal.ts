import type { Call, Capabilities, Failure } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Endpoint } from '../endpoint.ts'
import { missingKeyFailure } from '../endpoint.ts'
import { hasTools } from './dialect.ts'
import { prefixOf } from './history.ts'

/** What can be told without a request: the target is skipped with this failure and the chain goes on. */
export function refusal(call: Call, capabilities: Capabilities, endpoint: Endpoint): Failure | undefined {
  const message = impossible(call, capabilities)
  if (message === undefined) return missingKeyFailure(endpoint, call.model)
  return new ProviderError(`${endpoint.service} ${call.model} ${message}`, {
    reason: 'invalid-request',
    provider: endpoint.service,
    model: call.model,
  })
}

function impossible(call: Call, capabilities: Capabilities): string | undefined {
  if (capabilities.images === false && hasImage(call)) return 'cannot see images: a target that can is needed for this call.'
  if (capabilities.tools === false && hasTools(call)) return 'cannot call tools: a target that can is needed for this call.'
  // a server without a true continuation answers 400, or starts again and glues a second beginning to the first (R30, R36)
  if (capabilities.prefix !== true && prefixOf(call) !== undefined) return 'cannot go on from a given beginning (message.prefix).'
  return undefined
}

function hasImage(call: Call): boolean {
  return call.messages.some(message => typeof message.content !== 'string' && message.content.some(part => part.type === 'image'))
}
