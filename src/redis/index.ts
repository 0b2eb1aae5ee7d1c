import '../require-node.ts'

export { redisHealth, type RedisHealthOptions } from './redis-health.ts'
export type { IoRedisClient, NodeRedisClient, RedisClient } from './redis-client.ts'
