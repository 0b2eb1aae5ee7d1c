import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { findJson } from '../../../src/output/find-json.ts'

const value = fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()))

test('one value between prose and fences is found', () => {
  fc.assert(
    fc.property(
      value,
      fc.constantFrom(['```json\n', '\n```'], ['Here you are: ', '. Enjoy!'], ['', ''], ['[see below] ', ' {really}']),
      (one, [before, after]) => {
        const text = JSON.stringify(one)
        expect(findJson(`${before}${text}${after}`)).toEqual({ value: JSON.parse(text) })
      },
    ),
  )
})

test('of half a value nothing is found, not even a whole part of it', () => {
  fc.assert(
    fc.property(value, fc.nat(), (one, at) => {
      const text = JSON.stringify(one, undefined, 1)
      expect(findJson(`Here: ${text.slice(0, 1 + (at % (text.length - 1)))}`)).toBeUndefined()
    }),
  )
})

test('between two values nobody chooses', () => {
  expect(findJson('{"a":1} or {"a":2}')).toBeUndefined()
  expect(findJson('no value')).toBeUndefined()
})

test('a text of nothing but brackets takes linear time', () => {
  expect(findJson('[{'.repeat(500_000))).toBeUndefined()
  expect(findJson('{}{'.repeat(300_000))).toBeUndefined()
})
