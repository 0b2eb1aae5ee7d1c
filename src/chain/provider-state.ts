import type { Call, Message, Provider, ProviderEvent, ProviderMetadata, ToolCall } from '../contract.ts'

type Stateful = ProviderEvent & { type: 'reasoning-delta' | 'tool-call' }

/**
 * Data that a service requires back is stored under the service's name. A turn can then be stored, sent as JSON and continued by another
 * target, and each service still gets only its own data (F57). The name contains neither key nor model: keys are rotated, and another
 * model of the same service requires the data too.
 */
export function serviceOf({ name, identity }: Provider): string {
  return identity === undefined ? name : `${name} ${identity.origin}`
}

/** Returns the event for the caller, with the service's name around the data that the provider emitted. */
export function withServiceName<Event extends Stateful>(event: Event, provider: Provider): Event {
  return { ...event, providerMetadata: Object.fromEntries([[serviceOf(provider), event.providerMetadata]]) }
}

/** Returns the call for this provider: each turn keeps this service's data and loses that of others. */
export function withOwnState(call: Call, provider: Provider): Call {
  if (!call.messages.some(hasState)) return call
  const service = serviceOf(provider)
  return { ...call, messages: call.messages.map(message => (hasState(message) ? ownTurn(message, service) : message)) }
}

type Turn = Extract<Message, { role: 'assistant' }>

function hasState(message: Message): message is Turn {
  if (message.role !== 'assistant') return false
  const { providerMetadata, toolCalls = [] } = message
  return providerMetadata !== undefined || toolCalls.some(call => call.providerMetadata !== undefined)
}

function ownTurn({ providerMetadata, toolCalls, ...turn }: Turn, service: string): Turn {
  return {
    ...turn,
    ...(toolCalls === undefined ? undefined : { toolCalls: toolCalls.map(call => ownCall(call, service)) }),
    ...ownState(providerMetadata, service),
  }
}

function ownCall({ providerMetadata, ...call }: ToolCall, service: string): ToolCall {
  return { ...call, ...ownState(providerMetadata, service) }
}

function ownState(
  all: ProviderMetadata | undefined,
  service: string,
): { readonly providerMetadata: ProviderMetadata } | undefined {
  const own = all !== undefined && Object.hasOwn(all, service) ? all[service] : undefined
  return typeof own === 'object' && own !== null ? { providerMetadata: own as ProviderMetadata } : undefined
}
