import { expect, test } from 'vitest'
import {
  isHealthStore,
  isSharedHealth,
  sharedHealth,
  type SharedHealthOptions,
  storeOf,
} from '../../../src/health/shared-health.ts'
import type { HealthStore } from '../../../src/health/store.ts'

const store: HealthStore = { publish: () => {}, subscribe: () => () => {}, lease: async () => true }

test('the store of a client is what it was given, or that of its shared health', () => {
  expect([storeOf(store), storeOf(sharedHealth({ store })), storeOf(sharedHealth()), storeOf(undefined)]).toEqual([
    store,
    store,
    undefined,
    undefined,
  ])
})

test.each([undefined, null, 5, 'redis', () => {}, {}, { publish: () => {} }, { ...store, lease: true }])(
  '%o is neither a store nor shared health',
  value => {
    expect([isHealthStore(value), isSharedHealth(value)]).toEqual([false, false])
  },
)

test('a store, and shared health, are told apart', () => {
  expect([isHealthStore(store), isSharedHealth(store)]).toEqual([true, false])
  expect([isHealthStore(sharedHealth()), isSharedHealth(sharedHealth())]).toEqual([false, true])
})

test.each<[unknown, string]>([
  [store, 'Write sharedHealth({ store })'],
  [null, 'options must be an object'],
  ['redis', 'options must be an object'],
  [() => {}, 'options must be an object'],
  [[], 'options must be an object'],
  [{ redis: store }, "there is no option 'redis'"],
  [{ store: {} }, 'store must be a store'],
])('sharedHealth(%o) is a TypeError: %s', (options, message) => {
  expect(() => sharedHealth(options as SharedHealthOptions)).toThrow(message)
})
