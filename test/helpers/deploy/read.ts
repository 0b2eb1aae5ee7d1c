import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { peers } from '../peers.ts'

/** What reads and checks the recipes of `examples/deploy`. */
export const deploy = peers('deploy')
export const folder = join(import.meta.dirname, '../../../examples/deploy')

/** A value of a YAML file. The checks look at few fields of many forms, so they ask by path. */
export type Yaml = string | number | boolean | null | readonly Yaml[] | { readonly [key: string]: Yaml }

export const pathsOf = (pattern: string): readonly string[] => globSync(pattern, { cwd: folder }).toSorted()
export const textOf = (path: string): string => readFileSync(join(folder, path), 'utf8')

/** The documents of a text, each as plain data. */
export async function parseYaml(text: string): Promise<readonly Yaml[]> {
  type Parser = { parseAllDocuments(text: string): readonly { readonly errors: readonly Error[]; toJS(): Yaml }[] }
  const { parseAllDocuments } = await deploy.load<Parser>('yaml')
  return parseAllDocuments(text).map(document => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    return document.toJS()
  })
}

/** What stands at a path, for example `at(pod, 'spec', 'containers', 0)`; `undefined` where nothing does. */
export function at(value: Yaml | undefined, ...path: readonly (string | number)[]): Yaml | undefined {
  let found: Yaml | undefined = value
  for (const step of path) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as { readonly [key: string]: Yaml })[String(step)]
  }
  return found
}

export function listAt(value: Yaml | undefined, ...path: readonly (string | number)[]): readonly Yaml[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? (found as readonly Yaml[]) : []
}

export function textAt(value: Yaml | undefined, ...path: readonly (string | number)[]): string {
  return wordOf(at(value, ...path))
}

export function numberAt(value: Yaml | undefined, ...path: readonly (string | number)[]): number | undefined {
  const found = at(value, ...path)
  return typeof found === 'number' ? found : undefined
}

/** A word as it is written; empty for what is none. */
export function wordOf(value: Yaml | undefined): string {
  return typeof value === 'object' || value === undefined ? '' : String(value)
}

export function wordsAt(value: Yaml | undefined, ...path: readonly (string | number)[]): readonly string[] {
  return listAt(value, ...path).map(wordOf)
}

/** `--port=8000` and `--port 8000`. */
export function flagOf(words: readonly Yaml[], name: string): string | undefined {
  for (const [index, word] of words.entries()) {
    if (word === name) return wordOf(words[index + 1])
    if (typeof word === 'string' && word.startsWith(`${name}=`)) return word.slice(name.length + 1)
  }
  return undefined
}

/** A tag that says which one: a colon behind a port is none, and a word without a digit moves. */
export function isPinned(image: string): boolean {
  const tag = /:([^/]*)$/.exec(image)?.[1] ?? ''
  return image.includes('@sha256:') || /\d/.test(tag)
}
