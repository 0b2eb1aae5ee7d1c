import { createClient as createRedis } from 'redis'
import { createClient } from 'unbusy'
import { redisHealth } from 'unbusy/redis'
import { fakeTarget } from 'unbusy/testing'

const redis = createRedis({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' })
redis.on('error', () => {}) // log it here; without a listener Node ends the process when Redis goes away
redis.connect().catch(() => {}) // no need to wait for it: no call does

const client = createClient({
  chain: [fakeTarget('Hello.')],
  health: redisHealth(redis, { prefix: 'shop' }),
  onEvent(event) {
    if (event.type === 'health-store') console.warn(event.message) // lost, and later back
  },
})

const { text } = await client.generate('Hi.')
console.log(text) // with Redis and without it
await client.close() // leaves the fleet; the connection stays yours
redis.destroy()
//=> Hello.
