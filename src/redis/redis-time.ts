import type { Clock } from '../contract.ts'
import type { Ask } from './bounded.ts'

/**
 * The time of the Redis server, in milliseconds: the one clock that all processes have in common. It is known up to the length of one
 * round trip, and the careful side of it is taken: a time that a server named must not end early anywhere.
 */
export type RedisTime = {
  read(ask: Ask): Promise<void>
  /** It is not earlier than this. */
  earliest(): number
  /** It is not later than this. */
  latest(): number
}

export function createRedisTime(clock: Clock): RedisTime {
  let behind = 0
  let ahead = 0
  return {
    async read(ask) {
      const sentAt = clock.now()
      const reply = await ask('TIME')
      const [seconds, microseconds] = Array.isArray(reply) ? reply.map(Number) : []
      const redisMs = (seconds ?? Number.NaN) * 1_000 + (microseconds ?? Number.NaN) / 1_000
      if (!Number.isFinite(redisMs)) throw new Error('TIME was not answered with a time')
      behind = redisMs - clock.now()
      ahead = redisMs - sentAt
    },
    earliest: () => Math.floor(clock.now() + behind),
    latest: () => Math.ceil(clock.now() + ahead),
  }
}
