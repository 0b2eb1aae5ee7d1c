import type { Clock } from '../contract.ts'
import type { Ask } from './bounded.ts'
import type { RedisTime } from './redis-time.ts'

/** How many processes are alive: each says so every few seconds, and is forgotten when it does not. */
export type Census = {
  /** Says that this process is alive, and counts. */
  beat(ask: Ask): Promise<void>
  leave(ask: Ask): Promise<unknown>
  count(): number
}

export type CensusOptions = {
  readonly id: string
  readonly key: string
  readonly clock: Clock
  readonly time: RedisTime
  readonly onChange: () => void
  /** Redis did not know this process any more: it was flushed, or has started anew. */
  readonly onForgotten: () => void
}

/** How often a process says that it is alive, and when it counts as dead: after two beats that were lost. */
export const beatMs = 5_000
const lifetimeMs = 15_000

export function createCensus({ id, key, clock, time, onChange, onForgotten }: CensusOptions): Census {
  let count = 1
  let isKnown = false
  let forgottenAt = Number.NEGATIVE_INFINITY

  function forget(): void {
    forgottenAt = clock.now()
    onForgotten()
  }

  async function beat(ask: Ask): Promise<void> {
    await time.read(ask)
    const now = time.latest()
    const [added, counted] = await Promise.all([
      ask('ZADD', key, String(now), id),
      ask('ZCOUNT', key, String(now - lifetimeMs), String(now + lifetimeMs)),
      ask('ZREMRANGEBYSCORE', key, '-inf', String(now - 4 * lifetimeMs)),
      ask('PEXPIRE', key, String(4 * lifetimeMs)),
    ])
    if (isKnown && Number(added) === 1) forget()
    isKnown = true
    const living = Number(counted)
    update(living >= 1 ? living : 1)
  }

  /** After Redis has forgotten all of them the others take a while to come back: their shares must not be given away meanwhile. */
  function update(counted: number): void {
    const before = count
    count = clock.now() - forgottenAt < lifetimeMs ? Math.max(count, counted) : counted
    if (count !== before) onChange()
  }

  return { beat, leave: ask => ask('ZREM', key, id), count: () => count }
}
