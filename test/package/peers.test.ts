import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { needed, needs } from '../helpers/needed.ts'
import { peers } from '../helpers/peers.ts'
import { peerGroups } from '../peers/groups.ts'

const tests = join(import.meta.dirname, '..')

test('every folder of test/peers is a group, and the other way round', () => {
  const folders = readdirSync(join(tests, 'peers'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  expect(folders.map(({ name }) => name).toSorted()).toEqual(peerGroups.toSorted())
})

test('what UNBUSY_MUST can name is asked for by a test', () => {
  const code = globSync('**/*.ts', { cwd: tests, exclude: ['peers/*/**', 'package/peers.test.ts'] }).map(file =>
    readFileSync(join(tests, file), 'utf8'),
  )
  const asked = new Set(
    code.flatMap(text => [...text.matchAll(/\b(?:needed|peers|live)\(\s*'([^']+)'/g)].map(([, name]) => name)),
  )
  expect(needs.filter(need => need !== 'bench' && !asked.has(need))).toEqual([])
})

describe('what is missing', () => {
  test('is skipped, with the reason', () => {
    expect(needed('redis', 'there is none', '')).toEqual({ isMissing: true, suffix: ' (skipped: there is none)' })
    expect(needed('redis', 'there is none', 'llama,embedded').isMissing).toBe(true)
  })

  test('is a failure where UNBUSY_MUST names it', () => {
    expect(() => needed('redis', 'there is none', 'llama,redis')).toThrow(/nothing of it may be skipped here. But: there is none/)
  })

  test('is not missed where it is there', () => {
    expect(needed('redis', undefined, 'redis')).toEqual({ isMissing: false, suffix: '' })
  })

  test('cannot be named wrongly', () => {
    expect(() => needed('redis', undefined, 'redsi')).toThrow(`UNBUSY_MUST names redsi. It can name ${needs.join(', ')}.`)
  })
})

const redis5 = peers('redis-5')
const bundlers = peers('bundlers')

test.skipIf(redis5.isMissing)(`a package of a group is loaded from there, not from the project${redis5.suffix}`, async () => {
  const { default: manifest } = await redis5.load<{ readonly default: { readonly version: string } }>('redis-5/package.json')
  expect(manifest.version).toMatch(/^5\./)
})

test.skipIf(bundlers.isMissing)(`of two files it is the one for import that is loaded${bundlers.suffix}`, async () => {
  // its other file is CommonJS, where everything stands in `default` as well
  expect(Object.keys(await bundlers.load<object>('rollup'))).not.toContain('default')
})
