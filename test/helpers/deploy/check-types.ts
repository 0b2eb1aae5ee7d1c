import { join } from 'node:path'
import ts from 'typescript'

const options: ts.CompilerOptions = {
  ...{ noEmit: true, allowImportingTsExtensions: true, strict: true, skipLibCheck: true, types: [] },
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
}

/** Files of packages and of the language, read once for all checks. */
const read = new Map<string, ts.SourceFile | undefined>()
let last: ts.Program | undefined

/** What the compiler says of a module that stands in a folder, and is written nowhere. */
export function checkTypes(code: string, folder: string): readonly string[] {
  const file = join(folder, 'literal.mts')
  const host = ts.createCompilerHost(options)
  const source = ts.createSourceFile(file, code, {
    languageVersion: ts.ScriptTarget.ES2022,
    impliedNodeFormat: ts.ModuleKind.ESNext,
  })
  const program = ts.createProgram(
    [file],
    options,
    {
      ...host,
      fileExists: name => name === file || host.fileExists(name),
      readFile: name => (name === file ? code : host.readFile(name)),
      getSourceFile(name, languageVersion) {
        if (name === file) return source
        if (!read.has(name)) read.set(name, host.getSourceFile(name, languageVersion))
        return read.get(name)
      },
    },
    last,
  )
  last = program
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
}
