import { expect, test } from 'vitest'
import { closeQueue, createEventQueue, nextEvent, pushEvent, takeEvents } from '../../../src/answer/event-queue.ts'

test('the source is asked to pause at 64 events that wait; those that were read do not count', async () => {
  const queue = createEventQueue<number>()
  for (let event = 1; event < 64; event += 1) expect(pushEvent(queue, event)).toBe(true)
  expect(pushEvent(queue, 64)).toBe(false)
  for (let event = 1; event <= 2; event += 1) expect(await nextEvent(queue)).toEqual({ value: event, done: false })
  expect(pushEvent(queue, 65)).toBe(true)
  expect(pushEvent(queue, 66)).toBe(false)
  expect(takeEvents(queue)).toHaveLength(64)
})

test('reads that are asked for at once get one event each, in their order, and the end', async () => {
  const queue = createEventQueue<number>()
  const reads = [1, 2, 3, 4].map(async () => nextEvent(queue))
  pushEvent(queue, 1)
  pushEvent(queue, 2)
  closeQueue(queue)
  const end = { value: undefined, done: true }
  expect(await Promise.all(reads)).toEqual([{ value: 1, done: false }, { value: 2, done: false }, end, end])
})

test('an error reaches one read, and the end those behind it', async () => {
  const queue = createEventQueue<number>()
  const reads = [1, 2].map(async () => nextEvent(queue))
  const error = new Error('It broke.')
  closeQueue(queue, error)
  expect(await Promise.allSettled([...reads, nextEvent(queue)])).toEqual([
    { status: 'rejected', reason: error },
    { status: 'fulfilled', value: { value: undefined, done: true } },
    { status: 'fulfilled', value: { value: undefined, done: true } },
  ])
})
