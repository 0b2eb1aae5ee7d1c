import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const folder = join(import.meta.dirname, '..')
const page = readFileSync(join(folder, 'regressions.md'), 'utf8')
const rows = [...page.matchAll(/^- ([RF]\d+)( \(open\))?: (.*)$/gm)].map(([, number = '', open, sentence = '']) => ({
  ...{ number, sentence },
  isOpen: open !== undefined,
}))
const listed = rows.map(({ number }) => number)
const cited = new Set(globSync('**/*.test.ts', { cwd: folder, exclude: ['peers/*/**'] }).flatMap(citedIn))

test('the page tells each number once, in order, in one sentence', () => {
  expect(new Set(listed).size).toBe(listed.length)
  for (const kind of ['R', 'F']) {
    const numbers = listed.filter(number => number.startsWith(kind)).map(number => Number(number.slice(1)))
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other))
  }
  expect(rows.filter(({ sentence }) => !/^[^.]+\.$/.test(sentence.replaceAll(/`[^`]*`/g, '')))).toEqual([])
})

test('each number that is not open is cited by a test', () => {
  expect(rows.filter(({ number, isOpen }) => !isOpen && !cited.has(number)).map(({ number }) => number)).toEqual([])
})

test('R1 to R140 are told, and none is open', () => {
  const numbers = Array.from({ length: 140 }, (_, index) => `R${index + 1}`)
  expect(listed.filter(number => number.startsWith('R'))).toEqual(numbers)
  expect(rows.filter(({ number, isOpen }) => isOpen && number.startsWith('R'))).toEqual([])
})

test('every number that a test cites is told', () => {
  expect([...cited].filter(number => !listed.includes(number))).toEqual([])
})

/** The numbers in the texts of a test file: its names, and the rows that names are made of. Comments do not count. */
function citedIn(file: string): readonly string[] {
  const texts: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) texts.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, readFileSync(join(folder, file), 'utf8'), ts.ScriptTarget.Latest))
  const number = /(?<![^\s(])[RF][1-9]\d{0,2}(?![^\s:,;.)])/g
  return texts.flatMap(text => text.match(number) ?? [])
}
