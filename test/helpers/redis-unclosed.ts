/** A process that ends its own connection to Redis and never closes its client. Started with a library and a port. */

import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from 'unbusy'
import { redisHealth } from 'unbusy/redis'
import { fakeTarget } from 'unbusy/testing'
import { loadRedis, type RedisLibrary } from './redis-clients.ts'

const [library, port] = process.argv.slice(2)
const { client, command, disconnect } = (await loadRedis(library as RedisLibrary))(Number(port))
const unclosed = createClient({ chain: [fakeTarget('Hi.')], health: redisHealth(client) })
await unclosed.generate('Hi')
// both connections are there
while (!String(await command('PUBSUB', 'NUMSUB', 'unbusy:news')).endsWith('1')) await delay(10)
disconnect()
process.stdout.write('done')
