import { createRequire } from 'node:module'
import { join } from 'node:path'
// a namespace import: an older Node lacks the named export, and would fail here before require-node.ts can report its version
import * as util from 'node:util'

/**
 * Loads an optional peer dependency when it is needed, not when an entry point is imported.
 *
 * @throws {Error} The package is not installed. The message says how to install it.
 */
export function loadPackage(name: string, entry: string): unknown {
  let cause: unknown
  for (const place of places()) {
    try {
      return createRequire(place)(name)
    } catch (error) {
      cause ??= error
    }
  }
  throw new Error(`${entry} needs the package ${name}, which cannot be loaded. Install it: npm install ${name}`, { cause })
}

/** The places from which the package is resolved: this file, the main script, and the working directory, because this file may be bundled. */
function places(): readonly string[] {
  const here = thisFile()
  const program = process.argv[1]
  return [here, program, join(process.cwd(), 'package.json')].filter(place => place !== undefined)
}

/** Reads the path from the stack, because `import.meta` does not exist in test runners that compile every module to CommonJS. */
function thisFile(): string | undefined {
  try {
    const [site] = util.getCallSites(1)
    return site !== undefined && /^(?:file:|[/\\]|[a-z]:)/i.test(site.scriptName) ? site.scriptName : undefined
  } catch {
    return undefined
  }
}
