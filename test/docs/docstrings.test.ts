import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

/**
 * What an editor shows to somebody who writes a call: every exported name says what it is, and every option what it means. `npm run docs`
 * makes pages of the same comments.
 */
const repository = join(import.meta.dirname, '../..')
const entries = Object.entries(packageJson.exports).flatMap(([path, target]) =>
  typeof target === 'string' ? [] : [{ name: `unbusy${path.slice(1)}`, file: join(repository, target['unbusy-source']) }],
)

const { config } = ts.readConfigFile(join(repository, 'tsconfig.json'), path => ts.sys.readFile(path)) as { config: object }
const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, repository)
const program = ts.createProgram(
  entries.map(({ file }) => file),
  options,
)
const checker = program.getTypeChecker()

type Named = { readonly name: string; readonly symbol: ts.Symbol }

function exportsOf(file: string): readonly Named[] {
  const source = program.getSourceFile(file)
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source)
  if (module === undefined) throw new Error(`${file} is no module.`)
  return checker.getExportsOfModule(module).map(symbol => {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0
    return { name: symbol.name, symbol: isAlias ? checker.getAliasedSymbol(symbol) : symbol }
  })
}

/** A re-export has no comment of its own; a function whose overloads have one has it too. */
function isDocumented(symbol: ts.Symbol): boolean {
  return symbol.getDocumentationComment(checker).some(({ text }) => text.trim() !== '') || symbol.getJsDocTags(checker).length > 0
}

/** What users fill in, by the name of its type. */
const isOptions = ({ name }: Named): boolean =>
  /(?:Options|Settings|Input|Definition)$/.test(name) || ['Target', 'Price', 'PriceRule'].includes(name)

/** The fields of a type that our own files declare, those of a union's members too. */
function optionsOf({ symbol }: Named): readonly ts.Symbol[] {
  const type = checker.getDeclaredTypeOfSymbol(symbol)
  const parts = type.isUnion() ? type.types : [type]
  const fields = parts.flatMap(part => checker.getPropertiesOfType(part))
  return fields.filter(
    field => field.declarations?.some(one => one.getSourceFile().fileName.startsWith(join(repository, 'src'))) === true,
  )
}

test.for(entries)('every name that $name exports says what it is', ({ file }) => {
  const silent = exportsOf(file).filter(({ symbol }) => !isDocumented(symbol))
  expect(silent.map(({ name, symbol }) => `${name} (${placeOf(symbol)})`)).toEqual([])
})

test.for(entries)('every option of $name says what it means', ({ file }) => {
  const silent = exportsOf(file)
    .filter(isOptions)
    .flatMap(named => optionsOf(named).map(field => ({ owner: named.name, field })))
    .filter(({ field }) => !isDocumented(field))
  expect([...new Set(silent.map(({ owner, field }) => `${owner}.${field.name} (${placeOf(field)})`))]).toEqual([])
})

test('the comment of a default value is read', () => {
  const target = exportsOf(join(repository, 'src/index.ts')).find(({ name }) => name === 'ClientOptions')
  expect(target === undefined ? [] : optionsOf(target).map(({ name }) => name)).toContain('defaultResponse')
})

function placeOf({ declarations = [] }: ts.Symbol): string {
  const [one] = declarations
  if (one === undefined) return 'nowhere'
  const source = one.getSourceFile()
  return `${source.fileName.slice(repository.length + 1)}:${source.getLineAndCharacterOfPosition(one.getStart()).line + 1}`
}
