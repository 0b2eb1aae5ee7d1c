import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import type { NodeRedisClient } from '../../../src/redis/redis-client.ts'
import { redisOf } from '../../../src/redis/redis-client.ts'

const listener = { onText() {}, onReady() {}, onLoss() {} }

test('F87: the listening connection of redis keeps no process', () => {
  const unref = vi.fn<() => void>()
  const copy = Object.assign(new EventEmitter(), {
    ...{ isOpen: true, unref, destroy() {} },
    ...{ connect: async () => {}, subscribe: async () => {} },
  })
  const client = { sendCommand: async () => {}, duplicate: () => copy }
  redisOf(client as unknown as NodeRedisClient).subscribe('news', listener)
  expect(unref).toHaveBeenCalledTimes(1)
})

test('F87: nor does that of ioredis, after each connect', () => {
  const stream = new Socket()
  const unref = vi.spyOn(stream, 'unref')
  const copy = Object.assign(new EventEmitter(), {
    ...{ status: 'ready', stream, disconnect() {} },
    ...{ connect: async () => {}, subscribe: async () => {} },
  })
  const client = { call: async () => {}, duplicate: () => copy }
  redisOf(client).subscribe('news', listener)
  copy.emit('connect')
  expect(unref).toHaveBeenCalledTimes(1)
  copy.emit('ready')
  copy.emit('connect')
  expect(unref).toHaveBeenCalledTimes(3)
})
