import { expect, onTestFinished, test } from 'vitest'
import { askConditions, isAllowed, withConditions } from '../../../src/chain/conditions.ts'
import type { ChainTarget } from '../../../src/chain/state.ts'
import type { Call } from '../../../src/contract.ts'

const call: Call = { model: '', messages: [], metadata: { level: 3 } }

function targetOf(targetIndex: number, when?: (given: Call) => unknown): ChainTarget {
  return { targetIndex, provider: { name: 'own' }, model: `m${targetIndex}`, when } as unknown as ChainTarget
}

test('every condition is asked once, with the model of its target, and holds for the whole call', () => {
  const asked: Call[] = []
  const when = (answer: boolean) => (given: Call) => {
    asked.push(given)
    return answer
  }
  const targets = [targetOf(0), targetOf(1, when(false)), targetOf(2, when(true)), targetOf(5)]
  const conditions = askConditions(targets, call)
  expect(asked).toEqual([
    { ...call, model: 'm1' },
    { ...call, model: 'm2' },
  ])
  expect(targets.map(target => isAllowed(target, conditions))).toEqual([true, false, true, true])
  const held = withConditions(targets, conditions)
  expect(held.map(({ targetIndex, when: then }) => [targetIndex, then?.(call)])).toEqual([
    [0, undefined],
    [1, false],
    [2, undefined],
    [5, undefined],
  ])
  expect(asked).toHaveLength(2)
})

test('a chain without conditions is passed on as it is', () => {
  const targets = [targetOf(0), targetOf(1)]
  expect(askConditions(targets, call)).toBeUndefined()
  expect(isAllowed(targetOf(0), undefined)).toBe(true)
  expect(withConditions(targets, undefined)).toBe(targets)
})

test('a condition that returns neither true nor false is a TypeError that says what it returned (F80)', async () => {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
  const said = (answer: unknown) => () => askConditions([targetOf(4, () => answer)], call)
  expect(said(Promise.reject(new Error('too late')))).toThrow('The `when` of own m4 returned a promise: it must')
  expect(said(null)).toThrow('returned null: it must')
  expect(said({})).toThrow('returned a value of type object: it must')
  expect(said(undefined)).toThrow('returned a value of type undefined: it must')
  expect(said(() => true)).toThrow('returned a value of type function: it must')
  await new Promise(resolve => setImmediate(resolve))
  expect(unhandled).toEqual([])
})
