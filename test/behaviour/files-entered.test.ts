import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { answer, startServer } from 'unbusy/testing'
import type { EnteredFile } from '../helpers/one-call.ts'

const root = join(import.meta.dirname, '../..')

/** `lines`: of the files of the root, `answer/` and `chain/` that the call enters, comments included. Whoever follows one call reads them. */
type Reading = { readonly files: number; readonly lines: number }

/**
 * The most that one happy call may enter. A change that needs more raises the number here, and says why in its commit message.
 */
const most: Readonly<Record<'text' | 'options', Reading>> = {
  text: { files: 50, lines: 1_900 },
  // its check, its copy and its options come on top
  options: { files: 55, lines: 2_500 },
}

async function filesEntered(form: 'text' | 'options'): Promise<readonly EnteredFile[]> {
  await using server = await startServer(answer('Light scatters on the air.'), { format: 'deepseek' })
  const words = ['--conditions=unbusy-source', join(root, 'test/helpers/one-call.ts'), server.baseURL, form]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return JSON.parse(stdout) as EnteredFile[]
}

test('without a listener a call makes no event', async () => {
  const entered = (await filesEntered('options')).map(({ file }) => file)
  expect(entered).toContain('call.ts')
  // what makes the events of a call and of its requests, and what passes them on
  const makers = ['call-events.ts', 'chain/attempt-start.ts', 'telemetry/events.ts', 'telemetry/telemetry.ts', 'telemetry/log.ts']
  expect(makers.filter(file => entered.includes(file))).toEqual([])
})

test.each(['text', 'options'] as const)('a call with %s enters few files, and few lines of the road', async form => {
  const entered = await filesEntered(form)
  const isOfRoad = (file: string) => !file.includes('/') || file.startsWith('answer/') || file.startsWith('chain/')
  const rows = entered.map(({ file, functions }) => {
    const lines = readFileSync(join(root, 'src', file), 'utf8').split('\n').length - 1
    return { file, lines, isOfRoad: isOfRoad(file), functions: functions.length }
  })
  const lines = rows.filter(row => row.isOfRoad).reduce((sum, row) => sum + row.lines, 0)
  const list = rows.map(row => `${row.isOfRoad ? '*' : ' '} ${row.file} (${row.lines} lines, ${row.functions} functions)`)
  console.info(`generate() with ${form}: ${rows.length} files of src, * ${lines} lines\n${list.toSorted().join('\n')}`)
  expect(rows.map(row => row.file)).toEqual(
    expect.arrayContaining(['call.ts', 'chain/walk.ts', 'answer/collect.ts', 'http/post.ts']),
  )
  expect(rows.length).toBeLessThanOrEqual(most[form].files)
  expect(lines).toBeLessThanOrEqual(most[form].lines)
})
