import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { anchorsOf, codeBlocksOf, proseOf, regionOf } from './markdown.ts'

const repository = join(import.meta.dirname, '../..')
const forUsers = globSync(['README.md', 'CHANGELOG.md', 'docs/**/*.md', 'examples/*.md'], { cwd: repository })
const forUs = globSync('test/*/README.md', { cwd: repository })
const read = (path: string): string => readFileSync(join(repository, path), 'utf8')

test('the README shows its first code by line 15', () => {
  const first = codeBlocksOf(read('README.md')).find(block => block.language === 'ts')
  expect(first?.line).toBeLessThanOrEqual(15)
})

test.for(forUsers)('%s: all TypeScript on it is an example, word for word', path => {
  for (const block of codeBlocksOf(read(path)).filter(({ language }) => language === 'ts')) {
    const at = `${path}:${block.line}`
    expect(block.source, `${at} has no <!-- examples/name.ts --> above it`).toBeDefined()
    const [file = '', region] = block.source?.split('#') ?? []
    expect(globSync('examples/*.ts', { cwd: repository }), at).toContain(file)
    const example = read(file)
    expect(block.code, at).toBe(region === undefined ? example : regionOf(example, region))
  }
})

describe.each([...forUsers, ...forUs])('%s', path => {
  const page = read(path)

  test('what its links lead to exists', () => {
    const broken = [...proseOf(page).matchAll(/\]\((?<target>[^)\s]+)\)/g)]
      .map(match => match[1] ?? '')
      .filter(target => !leads(path, target))
    expect(broken).toEqual([])
  })

  test('the files that it names exist', () => {
    const named = [...proseOf(page).matchAll(/`(?<file>(?:src|test|examples|docs)\/[\w./-]+)`/g)].map(match => match[1] ?? '')
    expect(named.filter(file => !existsSync(join(repository, file)))).toEqual([])
  })

  test('the npm scripts that it names exist', () => {
    const named = [...page.matchAll(/\bnpm run (?<script>[\w:-]+)/g)].map(match => match[1] ?? '')
    expect(named.filter(script => !(script in packageJson.scripts))).toEqual([])
  })
})

function leads(from: string, target: string): boolean {
  if (/^[a-z]+:/.test(target)) return target.startsWith('https://')
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? from : relative(repository, join(repository, dirname(from), file))
  if (!existsSync(join(repository, path))) return false
  return anchor === undefined || (path.endsWith('.md') && anchorsOf(read(path)).has(anchor))
}
