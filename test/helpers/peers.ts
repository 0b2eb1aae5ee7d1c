import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { folderOf, type PeerGroup, whyMissing } from '../peers/groups.ts'
import { type Needed, needed } from './needed.ts'

export type Peers = Needed & {
  readonly folder: string
  /** What `import(name)` would be in the folder of the group. */
  load<Module>(name: string): Promise<Module>
  /** The path of a program that one of its packages brings. */
  program(name: string): string
}

/** A group of test/peers. @throws where it is missing although `UNBUSY_MUST` names it */
export function peers(group: PeerGroup): Peers {
  const folder = folderOf(group)
  const missing = whyMissing(group)
  return {
    ...needed(group, missing && `test/peers/${group} ${missing}`),
    folder,
    async load<Module>(name: string) {
      return (await import(pathToFileURL(moduleOf(name, folder)).href)) as Module
    },
    program: name => join(folder, 'node_modules/.bin', process.platform === 'win32' ? `${name}.cmd` : name),
  }
}

function moduleOf(name: string, folder: string): string {
  const { resolve } = createRequire(join(folder, 'package.json'))
  // not in the types: the conditions of `import`, as packages may have another file for `require`, or none
  const options: { readonly conditions: ReadonlySet<string> } = { conditions: new Set(['node', 'import']) }
  return resolve(name, options as NodeJS.RequireResolveOptions)
}
