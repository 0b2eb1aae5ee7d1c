import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { compareWays, sizeDeployment } from 'unbusy/sizing'
import { sizesIn } from '../helpers/deploy/sizes.ts'
import { anchorsOf, codeBlocksOf, proseOf, regionOf } from './markdown.ts'

const repository = join(import.meta.dirname, '../..')
const pagesForUsers = ['README.md', 'README.zh-CN.md', 'CHANGELOG.md', 'docs/*.md', 'docs/zh-CN/*.md', 'examples/**/*.md']
const forUsers = globSync(pagesForUsers, { cwd: repository })
const forUs = [...globSync('test/*/README.md', { cwd: repository }), 'CONTRIBUTING.md', 'SECURITY.md']
const read = (path: string): string => readFileSync(join(repository, path), 'utf8')

test('the README shows its first code by line 15', () => {
  const first = codeBlocksOf(read('README.md')).find(block => block.language === 'ts')
  expect(first?.line).toBeLessThanOrEqual(15)
})

test('the start page of the docs leads to every page', () => {
  const start = read('docs/README.md')
  const pages = globSync('*.md', { cwd: join(repository, 'docs') }).filter(page => page !== 'README.md')
  expect(pages.filter(page => !start.includes(`(${page})`))).toEqual([])
})

test.for(forUsers)('%s: all TypeScript on it is an example, word for word', path => {
  for (const block of codeBlocksOf(read(path)).filter(({ language }) => language === 'ts')) {
    const at = `${path}:${block.line}`
    expect(block.source, `${at} has no <!-- examples/name.ts --> above it`).toBeDefined()
    const [file = '', region] = block.source?.split('#') ?? []
    expect(globSync('examples/**/*.ts', { cwd: repository }), at).toContain(file)
    const example = read(file)
    expect(block.code, at).toBe(region === undefined ? example : regionOf(example, region))
  }
})

/** Chinese pages and what they are translations of; the quickstart has the code of the README. */
test.for([
  ['README.zh-CN.md', 'README.md'],
  ['docs/zh-CN/quickstart.md', 'README.md'],
  ['docs/zh-CN/private.md', 'docs/private.md'],
  ['docs/zh-CN/choose.md', 'docs/choose.md'],
] as const)('%s has the code of %s, and of a whole translation all of it in the same order', ([chinese, english]) => {
  const sources = (path: string) => codeBlocksOf(read(path)).flatMap(({ source }) => source ?? [])
  if (english === 'README.md') expect(sources(english)).toEqual(expect.arrayContaining([...sources(chinese)]))
  else expect(sources(chinese)).toEqual(sources(english))
  const commands = (path: string) => [...read(path).matchAll(/^(?:docker|export|npx) .*$|`npx unbusy [^`]*`/gm)].map(String)
  if (english !== 'README.md') expect(commands(chinese)).toEqual(commands(english))
  const headings = (path: string) => [...proseOf(read(path)).matchAll(/^## /gm)].length
  if (english !== 'README.md') expect(headings(chinese)).toBe(headings(english))
})

test.each(['docs/choose.md', 'docs/zh-CN/choose.md'])('%s has the figures that size --compare prints', path => {
  const [r1, flash] = compareWays().sets
  const cached = compareWays({ cacheHits: 0.7 }).sets[0]
  const perSecond = [r1, cached].flatMap(set => set?.breakEven.map(each => each.outputTokensPerSecond))
  const reach = [r1, flash].flatMap(set => set?.reach.map(tokens => tokens / 2_628_000))
  const numbers = [...read(path).matchAll(/\d[\d,]*/g)].map(([number]) => Number(number.replaceAll(',', '')))
  const isOnPage = (figure = 0) => numbers.some(number => Math.abs(number / figure - 1) < 0.01)
  expect([...perSecond, ...reach].filter(figure => !isOnPage(figure))).toEqual([])
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

  test('the files in its commands exist', () => {
    const commands = codeBlocksOf(page).filter(({ language }) => language === 'sh')
    const named = commands.flatMap(({ code }) => [...code.matchAll(/ (?<file>examples\/[\w./-]+)/g)]).map(match => match[1] ?? '')
    expect(named.filter(file => !existsSync(join(repository, file)))).toEqual([])
  })

  test('the sizes that it names can be worked out', () => {
    // not `MODEL --gpu NAME`, and not `--compare` alone
    const named = sizesIn(page).filter(({ model }) => model !== undefined && !/^(?:MODEL$|--)/.test(model))
    for (const size of named) expect(() => sizeDeployment(size), JSON.stringify(size)).not.toThrow()
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
