import { channel } from 'node:diagnostics_channel'
import type { ClientEvent, EventListener } from '../contract-events.ts'

const calls = channel('unbusy:call')
const attempts = channel('unbusy:attempt')

let clients = 0

/**
 * Publishes the events of one client on `node:diagnostics_channel`: events of a whole call on `unbusy:call`, events of one target on
 * `unbusy:attempt`. Each event has a `clientId`, because call ids count per client.
 *
 * @param tell the listener of the client itself
 * @returns a function that is called at the start of each call. It returns the listener for the call's events; undefined while there are
 * no listeners, so that no events need to be created
 */
export function withChannels(tell: EventListener | undefined): () => EventListener | undefined {
  clients += 1
  const clientId = clients
  const publish = (event: ClientEvent): void => {
    const to = channelOf(event)
    if (to?.hasSubscribers === true) to.publish({ clientId, ...event })
  }
  const both = tell === undefined ? publish : (event: ClientEvent) => (tell(event), publish(event))
  return () => (calls.hasSubscribers || attempts.hasSubscribers ? both : tell)
}

function channelOf({ type }: ClientEvent): typeof calls | undefined {
  switch (type) {
    case 'call-start':
    case 'commit':
    case 'call-end':
      return calls
    case 'attempt-start':
    case 'attempt-queued':
    case 'attempt-end':
    case 'target-skip':
    case 'wait':
      return attempts
    default:
      return undefined
  }
}
