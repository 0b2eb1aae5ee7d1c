import { ChainExhaustedError } from '../../../src/errors.ts'
import { createClient } from '../../../src/index.ts'
import type { ClientEvent } from '../../../src/contract-events.ts'
import { deadlineMs } from '../scenarios.ts'
import { inputTokens } from '../world/server.ts'
import { type CallerOptions, degraded, type Policy } from '../policy.ts'

/** As long as the model's calls are, because what a hedge may waste is estimated from it. */
const prompt = 'Tell. '.repeat((inputTokens * 4) / 6)

/** The shipped client with its defaults, through the public door. */
export const unbusy: Policy = {
  name: 'unbusy',
  hasDeadline: true,
  isFailure: error => ChainExhaustedError.isInstance(error),
  create({ chain, clock, random, trace, hasDefault }) {
    const client = createClient({
      chain,
      clock,
      random,
      timeout: { totalMs: deadlineMs },
      defaultResponse: hasDefault ? 'Busy.' : undefined,
      onEvent: trace === undefined ? undefined : createListener(trace),
    })
    return {
      async generate(metadata) {
        const { text, degraded: isDefault } = await client.generate({ prompt, metadata })
        return isDefault ? degraded : text
      },
      inFlight: () => client.health().reduce((total, { inFlight }) => total + inFlight, 0),
      close: () => client.close(),
    }
  },
}

/** Tells a client's events under the numbers that the world gave to the calls. */
function createListener(trace: NonNullable<CallerOptions['trace']>): (event: ClientEvent) => void {
  const numbers = new Map<number, number>()
  return event => {
    if (event.type === 'call-start') numbers.set(event.callId, event.metadata['number'] as number)
    const number = 'callId' in event ? numbers.get(event.callId) : undefined
    trace(describe(event), number)
    if (event.type === 'call-end') numbers.delete(event.callId)
  }
}

function describe({ type, ...event }: ClientEvent): string {
  const shown = Object.entries(event).filter(([name, value]) => value !== undefined && !hidden.has(name))
  return `${type} ${shown.map(([name, value]) => `${name} ${brief(value)}`).join(', ')}`
}

const hidden: ReadonlySet<string> = new Set(['at', 'callId', 'model', 'targetIndex', 'metadata', 'attempts', 'usage'])

function brief(value: unknown): string {
  if (typeof value !== 'object') return JSON.stringify(value)
  if (value instanceof Error) return value.message.split('\n')[0] ?? ''
  const { outcome, reason, clock, durationMs, firstChunkMs } = value as { [name: string]: unknown }
  const parts = { outcome, reason, clock, durationMs, firstChunkMs }
  return JSON.stringify(parts, (_, part: unknown) => (typeof part === 'number' ? Math.round(part) : part))
}
