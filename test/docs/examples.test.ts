import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { codeBlocksOf } from './markdown.ts'

/**
 * Runs every example as a reader would, without keys and without a network. It must end with exit code 0, and what stands behind
 * each `//=>` must be a line of its output, in that order; `…` stands for anything.
 * With `UNBUSY_EXAMPLES=dist` they run on the built package instead of the sources.
 */
const repository = join(import.meta.dirname, '../..')
const examples = globSync('examples/*.ts', { cwd: repository }).toSorted()
const conditions = process.env['UNBUSY_EXAMPLES'] === 'dist' ? [] : ['--conditions=unbusy-source']

test('the README shows examples', () => {
  const blocks = codeBlocksOf(readFileSync(join(repository, 'README.md'), 'utf8'))
  const shown = new Set(blocks.map(block => block.source?.split('#')[0]))
  expect(examples.filter(example => shown.has(example))).not.toEqual([])
})

test.for(examples)('%s runs and prints what it says', { timeout: 30_000 }, async example => {
  const source = readFileSync(join(repository, example), 'utf8')
  const expected = [...source.matchAll(/\/\/=> ?(.*)$/gm)].map(([, line = '']) => line.trim())
  const output = await run(example)
  expect(firstMissing(expected, output), `a line that ${example} promises is not in its output:\n${output}`).toBeUndefined()
})

async function run(example: string): Promise<string> {
  const child = promisify(execFile)(process.execPath, [...conditions, example], {
    cwd: repository,
    env: keyless(),
    timeout: 25_000,
  })
  child.child.stdin?.end()
  const { stdout } = await child
  return stdout
}

/** The environment of a reader who has no account anywhere. */
function keyless(): NodeJS.ProcessEnv {
  const isSecret = (name: string): boolean => /API_KEY$|_PROXY$|^UNBUSY_/i.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSecret(name)))
}

/** The first expected line that does not come after the ones before it. */
function firstMissing(expected: readonly string[], output: string): string | undefined {
  const lines = output.split('\n').map(line => line.trim())
  let from = 0
  return expected.find(pattern => {
    const index = lines.findIndex((line, at) => at >= from && matches(line, pattern))
    from = index + 1
    return index === -1
  })
}

function matches(line: string, pattern: string): boolean {
  const parts = pattern.split('…').map(part => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join('.*')}$`).test(line)
}
