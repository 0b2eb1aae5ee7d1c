import { expect, test } from 'vitest'
import { type ChainPool, orderPool, pool } from '../../../src/chain/pool.ts'
import type { ChainTarget } from '../../../src/chain/state.ts'
import type { Call } from '../../../src/contract.ts'

type Replica = {
  readonly inFlight?: number
  /** The queue that its server reports. */
  readonly queue?: number
  /** The usual time until its first token; undefined: it has had none. */
  readonly usualMs?: number
  readonly isUnsure?: boolean
}

const call: Call = { model: '', messages: [], metadata: {} }

/** A pool of replicas that are named by their index. */
function poolOf(replicas: readonly Replica[], options: Partial<ChainPool> = {}): ChainPool {
  const targets = replicas.map(({ inFlight = 0, usualMs, isUnsure = false }, targetIndex) => {
    const firstChunk = () => (usualMs === undefined ? undefined : { p50: usualMs, p98: usualMs })
    const health = { inFlight: () => inFlight, firstChunk, isUnsure: () => isUnsure }
    return { targetIndex, health } as unknown as ChainTarget
  })
  const queueOf = ({ targetIndex }: ChainTarget) => replicas[targetIndex]?.queue ?? 0
  return { targets, queues: { refresh: () => {}, of: queueOf } as unknown as ChainPool['queues'], ...options }
}

/** The order in which a call asks the replicas, when chance draws these numbers for them, one after the other. */
function order(of: ChainPool, draws: readonly number[], given: Partial<Call> = {}): readonly number[] {
  const left = [...draws]
  const random = () => left.shift() ?? 0
  return orderPool(of, { ...call, ...given }, { random, conditions: undefined }).map(({ targetIndex }) => targetIndex)
}

test('the options of a pool are an object', () => {
  expect(pool([], { strategy: 'latency' })).toEqual({ pool: [], strategy: 'latency' })
  expect(pool([])).toEqual({ pool: [] })
  for (const options of ['latency', null, ['latency']]) expect(() => pool([], options as never)).toThrow(TypeError)
})

test('the least busy replica comes first, then the one with the shortest queue, then chance decides', () => {
  expect(order(poolOf([{ inFlight: 2 }, { inFlight: 1, queue: 9 }, {}]), [0.1, 0.2, 0.3])).toEqual([2, 1, 0])
  expect(order(poolOf([{ queue: 5 }, { queue: 3 }, { queue: 4 }]), [0.1, 0.2, 0.3])).toEqual([1, 2, 0])
  expect(order(poolOf([{}, {}, {}]), [0.5, 0.9, 0.1])).toEqual([2, 0, 1])
  expect(order(poolOf([{}, {}, {}], { strategy: 'least-busy' }), [0.5, 0.1, 0.9])).toEqual([1, 0, 2])
})

test('a replica in doubt comes last, but for every tenth call', () => {
  const replicas = [{ isUnsure: true }, { inFlight: 3 }, { inFlight: 1 }]
  expect(order(poolOf(replicas), [0.89, 0.1, 0.1])).toEqual([2, 1, 0])
  expect(order(poolOf(replicas), [0.9, 0.1, 0.1])).toEqual([0, 2, 1])
})

test('weights are shares: the first place goes to each replica in proportion, and with 0 only when no other is left', () => {
  const firsts = (weights: readonly number[] | undefined, shares: number) => {
    const counts = [0, 0, 0]
    const of = poolOf([{}, {}, {}], { strategy: 'weighted', weights })
    // every pair of draws on a grid, so that the shares are exact but for the grid
    for (let one = 0.5; one < shares; one += 1)
      for (let other = 0.5; other < shares; other += 1)
        counts[order(of, [one / shares, other / shares, 0.5])[0] ?? -1]! += 1 / shares ** 2
    return counts
  }
  const [first = 0, second = 0, never] = firsts([3, 1, 0], 60)
  expect(never).toBe(0)
  expect([first, second].map(share => Math.round(share * 100))).toEqual([75, 25])
  expect(order(poolOf([{}, {}, {}], { strategy: 'weighted', weights: [0, 0, 1] }), [0, 0, 0.999])).toEqual([2, 0, 1])
  // without weights all are the same
  expect(order(poolOf([{}, {}, {}], { strategy: 'weighted' }), [0.5, 0.9, 0.1])).toEqual([2, 0, 1])
})

test('of two random replicas the quicker one comes first; the others follow at random', () => {
  const latency = { strategy: 'latency' } as const
  const replicas = [{ usualMs: 300 }, { usualMs: 200 }, { usualMs: 100 }]
  expect(order(poolOf(replicas, latency), [0.1, 0.2, 0.3])).toEqual([1, 0, 2])
  expect(order(poolOf(replicas, latency), [0.3, 0.1, 0.2])).toEqual([2, 1, 0])
  expect(order(poolOf([{ usualMs: 100 }, { usualMs: 100 }], latency), [0.1, 0.2])).toEqual([0, 1])
  // one that has had no answer yet is tried
  expect(order(poolOf([{ usualMs: 100 }, {}], latency), [0.1, 0.2])).toEqual([1, 0])
  expect([order(poolOf([{}], latency), [0.1]), order(poolOf([], latency), [])]).toEqual([[0], []])
})

test('calls with the same key ask the same replicas in the same order, whatever is busy and whatever chance draws', () => {
  const ofKey = (key: string, draws: readonly number[], replicas: readonly Replica[] = [{}, {}, {}]) =>
    order(poolOf(replicas, { affinity: ({ metadata }) => metadata['session'] as string }), draws, { metadata: { session: key } })
  for (const key of ['', 'a', 'session-7']) {
    const usual = ofKey(key, [0.1, 0.2, 0.3])
    expect(ofKey(key, [0.9, 0.5, 0.1], [{ inFlight: 9 }, {}, { isUnsure: true }])).toEqual(usual)
    // a replica less: the keys of the others stay where they are
    expect(ofKey(key, [0.1, 0.2], [{}, {}])).toEqual(usual.filter(index => index < 2))
  }
})

test('keys are spread evenly, also those that differ in one character only', () => {
  const counts = [0, 0, 0]
  const of = poolOf([{}, {}, {}])
  for (let key = 0; key < 3_000; key += 1) counts[order(of, [], { tag: `user-${key}` })[0] ?? -1]! += 1
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(120)
})

test('the key is the tag of a call without `affinity`, and none where `affinity` says so', () => {
  const tagged = { tag: 'user-1' }
  expect(order(poolOf([{}, {}]), [0.1, 0.2], tagged)).toEqual(order(poolOf([{}, {}]), [0.2, 0.1], tagged))
  const without = poolOf([{}, {}], { affinity: () => undefined })
  expect([order(without, [0.1, 0.2], tagged), order(without, [0.2, 0.1], tagged)]).toEqual([
    [0, 1],
    [1, 0],
  ])
  const later = poolOf([{}], { affinity: (async () => 'a') as never })
  expect(() => order(later, [])).toThrow('must return a string or undefined')
})
