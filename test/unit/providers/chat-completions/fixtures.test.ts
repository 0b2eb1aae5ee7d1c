import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fixtureAnswers } from './fixture-answers.ts'
import { recordedAnswers } from './recorded-answers.ts'
import { replay, summaryOf } from './replay.ts'

const folder = new URL('../../../fixtures/', import.meta.url)
const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)))
const answers = { ...fixtureAnswers, ...recordedAnswers }
const rows = Object.entries(answers).map(([name, answer]) => ({
  name,
  ...answer,
  bytes: bytesOf(name),
}))

test.each(rows)('$name: $says', ({ bytes, gives, options }) => {
  expect(summaryOf(replay([bytes], options))).toEqual(gives)
})

test.each(rows)('$name is read the same byte by byte, and event by event', ({ bytes, options }) => {
  const whole = replay([bytes], options)
  expect(replay(cutAt(bytes, everyByte(bytes)), options)).toEqual(whole)
  expect(replay(cutAt(bytes, afterEveryLine(bytes)), options)).toEqual(whole)
})

test.each(rows)('$name is read the same however it is cut', ({ bytes, options }) => {
  const whole = replay([bytes], options)
  const cuts = fc.uniqueArray(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 })
  fc.assert(
    fc.property(cuts, places => {
      const pieces = cutAt(
        bytes,
        places.toSorted((one, other) => one - other),
      )
      expect(replay(pieces, options)).toEqual(whole)
    }),
    { numRuns: 15 },
  )
})

test.each(rows)('$name: finish comes once and last, and metadata once', ({ bytes, options }) => {
  const { events, error } = replay([bytes], options)
  const types = events.map(event => event.type)
  const finish = types.indexOf('finish')
  expect(finish).toBe(error === undefined ? types.length - 1 : -1)
  expect(types.filter(type => type === 'response-metadata').length).toBeLessThanOrEqual(1)
})

test('every answer among the fixtures has a row, and its source in the README', () => {
  const names = readdirSync(folder).filter(name => name !== 'README.md')
  const readme = readFileSync(new URL('README.md', folder), 'utf8')
  expect(names.filter(name => !readme.includes(`\`${name}\``))).toEqual([])
  // errors with a status of their own have their rows in failure-rows.ts and recorded-failures.test.ts
  expect(names.filter(name => !/-error-.*\.json$/.test(name) && !(name in answers))).toEqual([])
})

function everyByte(bytes: Uint8Array): number[] {
  return Array.from(bytes, (_, at) => at)
}

function afterEveryLine(bytes: Uint8Array): number[] {
  return everyByte(bytes).filter(at => bytes[at - 1] === 10 && bytes[at] !== 10)
}

function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  return [...places, bytes.length].map((end, at) => bytes.subarray(at === 0 ? 0 : places[at - 1], end))
}
